"""Draw the digit that is asked for: three ways to tell a GAN about labels, on MNIST.

    python examples/conditional.py --model cgan        both players get the label (Mirza and Osindero 2014)
    python examples/conditional.py --model acgan       D has to tell the label too (Odena et al. 2017)
    python examples/conditional.py --model projection  conditional batch norm in G, <e_y, h(x)> in D (Miyato 2018)

Two epochs take some four minutes on two cores. Each picture has one row for each digit, and the same noise along a
column. At the end a classifier that learnt the same data reads 2 000 samples: `accuracy` is the share in which it
reads the digit that was asked for, `test_accuracy` its own share on held-out digits.

Networks are small ones of the papers' forms, made for 28x28 pixels. So that they train in minutes, learning rates are
higher than the papers' 0.0002, cgan has Adam, and projection takes one step of D for each of G, not five.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigan as mg
from minigan import judge, training, viz
from minigan.data import Samples
from minigan.gan import AuxiliaryGame, ConditionalGame, Game, alternate, losses, penalties, uniform_latent
from minigan.models import Players
from minigan.training import Settings, positive

Z_DIM, CLASSES = 100, 10


class System(NamedTuple):
    """Networks, their game, and what its paper trains it with."""

    make: Callable[..., Players]
    game: type[ConditionalGame]
    loss: str
    lr: float
    betas: tuple[float, float]


SYSTEMS = {
    "cgan": System(mg.models.cgan28, ConditionalGame, "nonsaturating", 5e-4, (0.5, 0.999)),
    "acgan": System(mg.models.acgan28, AuxiliaryGame, "nonsaturating", 5e-4, (0.5, 0.999)),
    "projection": System(mg.models.projection28, ConditionalGame, "hinge", 1e-3, (0.0, 0.9)),
}


def build(settings: Settings) -> ConditionalGame:
    extra = settings.extra
    system = SYSTEMS[extra["model"]]
    with mg.random.using(mg.random.Stream(settings.seed)):
        G, D = system.make(Z_DIM, CLASSES, width=extra["width"])
    G.to(settings.device)
    D.to(settings.device)
    lr = extra["lr"] or system.lr
    return system.game(
        G,
        D,
        classes=CLASSES,
        loss=losses.LOSSES[extra["loss"] or system.loss],
        penalty=penalties.PENALTIES.get(extra["penalty"]),
        penalty_weight=extra["penalty_weight"],
        latent=uniform_latent(Z_DIM),
        generator_optimizer=mg.optim.Adam(G.parameters(), lr, system.betas),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), extra["d_lr"] or lr, system.betas),
        schedule=alternate(d_steps=extra["d_steps"]),
        seed=settings.seed,
    )


def picture(game: Game, samples: Samples, path: Path) -> None:
    """A row for each class, the same noise along a column."""
    z = game.latent(CLASSES, game.stream("samples").at(0)).numpy()
    labels = np.arange(CLASSES).repeat(len(z))
    images = game.generate(mg.tensor(np.tile(z, (CLASSES, 1))), mg.tensor(labels)).numpy()
    viz.save_png(viz.grid(viz.to_uint8(images), len(z)), path)


def measure(game: Game, samples: Samples, settings: Settings) -> dict[str, float]:
    reader = judge.judge_of(samples, seed=settings.seed, few=settings.dry_run, device=settings.device)
    n = 100 if settings.dry_run else 2000
    drawn = game.sample(n, stream="measure").numpy()
    return {"accuracy": reader.accuracy(drawn, np.arange(n) % CLASSES), "test_accuracy": reader.test_accuracy}


def options() -> training.Options:
    p = training.parser("conditional", __doc__, epochs=2, batch_size=64)
    p.add_argument("--model", choices=SYSTEMS, default="cgan", help="how labels come in (default: cgan)")
    p.add_argument("--loss", choices=losses.LOSSES, metavar="NAME", help="another score loss than the model's own")
    p.add_argument("--penalty", choices=penalties.PENALTIES, metavar="NAME", help=", ".join(penalties.PENALTIES))
    p.add_argument("--penalty-weight", type=float, default=10.0, help="times the penalty (default: 10)")
    p.add_argument(
        "--d-steps", type=positive, default=1, help="discriminator turns for each of the generator (default: 1)"
    )
    p.add_argument("--lr", type=float, help="another learning rate than the model's own")
    p.add_argument("--d-lr", type=float, help="the discriminator's, if it is another")
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32)")
    p.idle_without("--penalty", lambda o: o.penalty, "--penalty-weight")
    return p


main = partial(training.main, build, options(), picture=picture, measure=measure)

if __name__ == "__main__":
    sys.exit(main())
