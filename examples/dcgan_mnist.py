"""Train a DCGAN to draw digits: the convolutional GAN of CS231n's assignment 3 (2017), on MNIST.

Five epochs take minutes on a laptop's CPU and end with digits that can be read. Watch the samples appear in
OUT/samples, the losses in OUT/log.csv; at the end OUT/losses.png and OUT/samples.gif show the whole run.
"""

import sys

import minigan as mg
from minigan import training
from minigan.gan import ScoreGame, losses, uniform_latent

Z_DIM = 96


def build(settings: training.Settings) -> ScoreGame:
    """Two players, the non-saturating loss, Adam for both: the document's settings.

    N(0, 0.02) weights, the DCGAN paper's, gave no better samples after two epochs than the document's Glorot ones.
    """
    G, D = mg.models.dcgan28(Z_DIM, rng=mg.random.Stream(settings.seed))
    G.to(settings.device)
    D.to(settings.device)
    adam = {"lr": settings.extra["lr"], "betas": (0.5, 0.999)}
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(Z_DIM),
        generator_optimizer=mg.optim.Adam(G.parameters(), **adam),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), **adam),
        seed=settings.seed,
    )


if __name__ == "__main__":
    options = training.parser("dcgan_mnist", __doc__, epochs=5, batch_size=128)
    options.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate for both (default: 0.001)")
    sys.exit(training.main(build, options))
