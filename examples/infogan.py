"""Digits sorted by nobody: InfoGAN on MNIST (Chen et al. 2016), which never sees a label.

G draws from 62 numbers of noise, a category out of ten and two continuous codes; a second head of D, Q, has to read
category and codes from the picture, and both players want it to succeed. Network, losses and learning rates are those
of the authors' code, at half its width and for fewer steps (theirs: --width 64 --steps 5000 --code-weight 1), so that
it takes minutes on two cores; in so few steps codes of weight 1 decide what digit is drawn, and of 0.1 do nothing.

Pictures have a row for each category; along a row the first code goes from -1 to 1 (in samples/c2_*.png the second).
At the end a classifier that learnt the labels reads 2 000 samples: `purity` is the share that shows its category's
most frequent digit, `digits_found` how many digits are some category's. `information` is the lower bound of the mutual
information of category and sample in nats, at most ln 10 = 2.303. `test_purity` sorts the held-out digits by Q.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import judge, training, viz
from minigan.data import Samples
from minigan.gan import Game, InfoGame, LatentCode, losses
from minigan.metrics import majority, purity
from minigan.training import Settings

CODE = LatentCode(noise=62, categories=10, continuous=2)
REACH = 1.0  # how far pictures go along a code: as far as training does
COLUMNS = 10


def build(settings: Settings) -> InfoGame:
    extra = settings.extra
    G, D = mg.models.infogan28(CODE.dim, CODE.read, width=extra["width"], rng=mg.random.Stream(settings.seed))
    G.to(settings.device)
    D.to(settings.device)
    return InfoGame(
        G,
        D,
        code=CODE,
        category_weight=extra["category_weight"],
        code_weight=extra["code_weight"],
        loss=losses.LOSSES[extra["loss"]],
        generator_optimizer=mg.optim.Adam(G.parameters(), extra["lr"], (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), extra["d_lr"], (0.5, 0.999)),
        seed=settings.seed,
    )


def along(game: InfoGame, code: int) -> np.ndarray:
    """Images, a row for each category: the same noise, one continuous code from -REACH to REACH, the others 0."""
    noise = game.stream("samples").at(0).uniform((1, CODE.noise), -1, 1)
    codes = np.zeros((CODE.categories, COLUMNS, CODE.continuous), np.float32)
    codes[..., code] = np.linspace(-REACH, REACH, COLUMNS)
    n = CODE.categories * COLUMNS
    z = CODE.join(noise.repeat(n, 0), np.arange(CODE.categories).repeat(COLUMNS), codes.reshape(n, -1))
    return game.generate(z).numpy()


def picture(game: Game, samples: Samples, path: Path) -> None:
    for code, name in enumerate([path.name, f"c2_{path.name}"]):
        viz.save_png(viz.grid(viz.to_uint8(along(game, code)), COLUMNS), path.with_name(name))


def measure(game: Game, samples: Samples, settings: Settings) -> dict[str, float]:
    reader = judge.judge_of(samples, seed=settings.seed, few=settings.dry_run, device=settings.device)
    n = 100 if settings.dry_run else 2000
    z = CODE(n, game.stream("measure")).to(settings.device)
    drawn = game.generate(z)
    category = z.numpy()[:, CODE.noise : CODE.noise + CODE.categories].argmax(1)
    digit = reader.predict(drawn.numpy())
    bounds = CODE.information(z, game.read(drawn))
    images, labels = judge.held_out(samples, few=settings.dry_run)
    sorted_by_q = game.read(mg.tensor(mg.data.scaled(images))).numpy()[:, : CODE.categories].argmax(1)
    return {
        "purity": purity(category, digit),
        "digits_found": len(set(majority(category, digit)) - {-1}),
        "information": bounds[0].item(),
        "test_purity": purity(sorted_by_q, labels),
        "test_accuracy": reader.test_accuracy,
    }


def options() -> training.Options:
    p = training.parser("infogan", __doc__, epochs=2, batch_size=128)
    p.add_argument("--loss", choices=losses.LOSSES, default="nonsaturating", metavar="NAME", help="the score loss")
    p.add_argument("--lr", type=float, default=1e-3, help="G's learning rate (default: 0.001)")
    p.add_argument("--d-lr", type=float, default=2e-4, help="D's and Q's (default: 0.0002)")
    p.add_argument("--category-weight", type=float, default=1.0, help="lambda of the category (default: 1)")
    p.add_argument("--code-weight", type=float, default=0.3, help="lambda of the continuous codes (default: 0.3)")
    p.add_argument("--width", type=int, default=32, help="maps next to the image; the authors' is 64 (default: 32)")
    return p


main = partial(training.main, build, options(), picture=picture, measure=measure)

if __name__ == "__main__":
    sys.exit(main())
