"""Train a BiGAN (Donahue et al. 2017; ALI, Dumoulin et al. 2017): a GAN that learns to invert itself.

The paper's networks for MNIST without convolutions, half as wide, and its rates: z ~ U(-1, 1)^50, Adam(2e-4, 0.5),
weight decay 2.5e-5; for 12 epochs instead of 400. At the end it prints how well the nearest neighbour tells a digit, as
the paper does: in E's code, in the code before its tanh, which the paper's program compares, and among raw pixels. In
OUT/samples, left: what G draws; right: images of the training set over their reconstructions G(E(x)).
"""

import sys
from collections.abc import Callable, Sequence

import minigan as mg
from minigan import training
from minigan.data import Samples, held_out, scaled
from minigan.errors import DataError
from minigan.gan import BiGAN, uniform_latent
from minigan.metrics import one_nn_accuracy
from minigan.nn import in_chunks
from minigan.training import positive, say


def build(settings: training.Settings) -> BiGAN:
    extra = settings.extra
    players = mg.models.bigan28(extra["z_dim"], extra["hidden"], rng=mg.random.Stream(settings.seed))
    G, E, D = (player.to(settings.device) for player in players)
    adam = {"lr": extra["lr"], "betas": (0.5, 0.999), "weight_decay": extra["weight_decay"]}
    return BiGAN(
        *(G, E, D),
        latent=uniform_latent(extra["z_dim"]),
        inference_optimizer=mg.optim.Adam([*G.parameters(), *E.parameters()], **adam),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), **adam),
        seed=settings.seed,
    )


def measure(game: BiGAN, samples: Samples, settings: training.Settings) -> dict[str, float]:
    try:
        images, labels = held_out(samples, few=settings.dry_run)
    except DataError as error:
        say(f"the codes are not measured: {error}")
        return {}
    again = in_chunks(game.reconstruct, images, settings.device)

    def accuracy(features: Callable[[mg.Tensor], mg.Tensor]) -> float:
        with mg.nn.evaluating(game.encoder):
            known, asked = (in_chunks(features, x, settings.device) for x in (samples.values, images))
        return one_nn_accuracy(known, samples.labels, asked, labels)

    return {
        "one_nn_codes": accuracy(game.encode),
        "one_nn_before_tanh": accuracy(game.encoder[:-1]),
        "one_nn_pixels": accuracy(lambda x: x),
        "reconstruction_rms": float(((again - scaled(images)) ** 2).mean() ** 0.5),
    }


def options() -> training.Options:
    p = training.parser("bigan", __doc__, epochs=12, batch_size=128)
    p.add_argument("--lr", type=float, default=2e-4, help="Adam's learning rate for all (default: 0.0002)")
    p.add_argument("--weight-decay", type=float, default=2.5e-5, help="of all weights (default: 2.5e-5)")
    p.add_argument("--z-dim", type=positive, default=50, help="latent dimensions (default: 50)")
    p.add_argument(
        "--hidden", type=positive, default=512, help="units of the hidden layers (default: 512; the paper: 1024)"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return training.main(build, options(), picture=training.reconstruction_grid, measure=measure, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
