"""Train a GAN to draw digits, in five minutes on a laptop's CPU: after one they can be read, after five they are good.

    python examples/dcgan_mnist.py                  the recipe that benches/quality.py found, on MNIST
    python examples/dcgan_mnist.py --clusters 0     the same, told nothing about the images
    python examples/dcgan_mnist.py --as-printed     the DCGAN of CS231n's assignment 3 (2017), five epochs

The networks are CS231n's, the generator half as wide. Both players are told in which of 300 clusters an image is, which
nobody named; R1 keeps the discriminator smooth; both move by one pass of it. Watch the samples appear in
OUT/samples, the losses in OUT/log.csv; at the end OUT/losses.png and OUT/samples.gif show the whole run.
"""

import sys
from functools import partial
from typing import Any

import minigan as mg
from minigan import optim, training
from minigan.gan import ConditionalGame, ScoreGame, Turn, losses, penalties, uniform_latent

Z_DIM = 96


def build(settings: training.Settings) -> ScoreGame:
    """Two players, the non-saturating loss, Adam for both; and what makes them better than the document's."""
    printed, classes = settings.extra["as_printed"], training.labels.classes(settings)
    rng = mg.random.Stream(settings.seed)
    widths = {"generator_width": 64 if printed else 32, "outputs": max(classes, 1)}
    players = mg.models.dcgan28(Z_DIM + classes, **widths, rng=rng)
    G, D = mg.models.of_classes(players, classes) if classes else players
    G.to(settings.device)
    D.to(settings.device)
    g_adam, d_adam = (optim.Adam(player.parameters(), settings.extra["lr"], (0.5, 0.999)) for player in (G, D))
    parts: dict[str, Any] = {"generator_optimizer": g_adam, "discriminator_optimizer": d_adam, "seed": settings.seed}
    parts |= {"loss": losses.nonsaturating, "latent": uniform_latent(Z_DIM)}
    if not printed:
        parts |= {"schedule": [Turn("one_pass_turn")], "ema": optim.EMA(G, 0.995, ramp=0.05)}
        parts |= {"penalty": penalties.r1, "penalty_weight": 0.2 if classes else 0.5, "penalty_every": 8}
        parts |= {"schedules": [optim.Course(adam, partial(optim.linear, 1.0, 0.0)) for adam in (g_adam, d_adam)]}
    if classes:
        return ConditionalGame(G, D, classes=classes, counts=[1] * classes, **parts)  # the run counts them
    return ScoreGame(G, D, **parts)


def options() -> training.Options:
    p = training.parser("dcgan_mnist", __doc__, epochs=5, batch_size=128)
    training.labels.add_options(p, clusters=300)
    p.add_argument("--as-printed", action="store_true", help="the document's recipe, five epochs unless told otherwise")
    p.add_argument("--lr", type=float, default=2e-3, help="Adam's for both (default: 0.002; printed: 0.001)")
    p.set_defaults(minutes=5.0)
    if p.parse_known_args()[0].as_printed:
        p.set_defaults(minutes=None, clusters=0, lr=1e-3)
    return p


if __name__ == "__main__":
    sys.exit(training.main(build, options()))
