"""A GAN that has seen one picture: SinGAN (Shaham et al. 2019) draws others of its kind, of any size.

    python examples/singan.py --data PICTURE
    python examples/singan.py --data PICTURE --side 128 --smallest 25 --scale-rounds 2000

A pyramid of generators learns, from coarse to fine, what patches of the picture look like in each size; one epoch is
one scale. Without --data the picture is a page of digits. In OUT/samples: the picture, what the pyramid makes of the
noise that is to become it, and samples of its size; wide_*.png are samples twice as wide. The paper plays 2 000 rounds
at each scale, on pictures of 250 pixels; these are 200 on 64, so that it takes minutes on two cores.

At the end `reconstruction_rms` is how far the picture's reconstruction is from it, and `diversity` the deviation of a
pixel between samples, averaged, in units of the deviation of the picture's pixels, as the paper has it. That the data
do not differ, as the verdict says, is meant so.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import data, training, viz
from minigan.data import Samples, Shape
from minigan.data.pictures import read_picture
from minigan.errors import DataError
from minigan.gan import SinGAN
from minigan.models.singan import scale_sides
from minigan.training import Settings, positive

PAGE = 6  # digits a side of the page
DRAWN = 8  # samples in a picture
MEASURED = 100


def build(settings: Settings) -> SinGAN:
    extra = settings.extra
    shape = {name: extra[name] for name in ("channels", "width", "factor", "smallest")}
    G, D = mg.models.singan(extra["side"], **shape, rng=mg.random.Stream(settings.seed))
    G.to(settings.device)
    D.to(settings.device)
    adams = [[mg.optim.Adam(s.parameters(), extra["lr"], (0.5, 0.999)) for s in player.scales] for player in (G, D)]
    return SinGAN(
        *(G, D),
        generator_optimizers=adams[0],
        discriminator_optimizers=adams[1],
        rounds_per_scale=extra["scale_rounds"],
        reconstruction_weight=extra["reconstruction"],
        seed=settings.seed,
    )


def shape(settings: Settings) -> Shape:
    return settings.extra["channels"], settings.extra["side"], settings.extra["side"]


def load(settings: Settings, limit: int | None) -> Samples:
    """As many copies of the picture as a scale takes, so that one is an epoch."""
    channels, side, _ = shape(settings)
    if settings.data == "auto":
        digits = mg.tensor(data.scaled(data.digits(PAGE * PAGE, settings.seed)[0]))
        page = digits.reshape(PAGE, PAGE, 28, 28).transpose(0, 2, 1, 3).reshape(1, 1, PAGE * 28, PAGE * 28)
        small = mg.interpolate(page, side, mode="bicubic", antialias=True).numpy()
        picture, name = viz.to_uint8(small).repeat(channels, 1), "auto"
    else:
        path = Path(settings.data)
        try:
            picture, name = read_picture(path, side, channels).transpose(2, 0, 1)[None], str(path.resolve())
        except (OSError, DataError) as error:
            raise DataError(f"--data {path}: expected a picture: {error}") from error
    return Samples(picture.repeat(settings.extra["scale_rounds"] * settings.batch_size, 0), None, name)


def picture(game: SinGAN, samples: Samples, path: Path) -> None:
    side = game.generator.sides[-1]
    shown = np.concatenate([game.reconstruct().numpy(), game.sample(DRAWN).numpy()])
    images = np.concatenate([samples.drawn[:1], viz.to_uint8(shown)])
    viz.save_png(viz.grid(images, 5), path)
    wide = viz.to_uint8(game.sized(4, side, 2 * side).numpy())
    viz.save_png(viz.grid(wide, 2), path.with_name(f"wide_{path.name}"))


def measure(game: SinGAN, samples: Samples, settings: Settings) -> dict[str, float]:
    real = data.scaled(samples.drawn[:1])
    drawn = game.sample(2 if settings.dry_run else MEASURED).numpy()
    return {
        "reconstruction_rms": float(np.sqrt(((game.reconstruct().numpy() - real) ** 2).mean())),
        "diversity": float(drawn.std(0).mean() / max(real.std(), 1e-12)),
    }


def options() -> training.Options:
    p = training.parser("singan", __doc__, epochs=1, batch_size=1)
    p.named("--data").help = "a picture to learn from (default: a page of digits)"
    p.named("--epochs").help = "scales that are learnt (default: all)"
    p.without("--labels-from", "--stream", "--flip", "--crop")
    p.add_argument("--side", type=positive, default=64, help="of the picture, a square (default: 64)")
    p.add_argument("--channels", type=int, choices=[1, 3], default=3, help="(default: 3)")
    p.add_argument("--width", type=positive, default=32, help="maps of the first four scales (default: 32)")
    p.add_argument("--factor", type=float, default=0.75, help="of a scale's side to the next's (default: 0.75)")
    p.add_argument("--smallest", type=positive, default=20, help="side of a scale, at least 11 (default: 20)")
    p.add_argument("--scale-rounds", type=positive, default=200, help="at each scale (default: 200; paper: 2000)")
    p.add_argument("--reconstruction", type=float, default=10.0, help="weight of the picture itself (default: 10)")
    p.add_argument("--lr", type=float, default=5e-4, help="Adam's, in the last fifth a tenth (default: 0.0005)")
    return p


def train(arguments: Sequence[str] | None) -> int:
    p = options()
    settings = Settings.parsed(p, arguments)
    if "epochs" not in p.given:
        extra = settings.extra
        settings.epochs = len(scale_sides(extra["side"], extra["factor"], extra["smallest"]))
    return training.start(build, settings, shape, load=load, picture=picture, measure=measure)


def main(arguments: Sequence[str] | None = None) -> int:
    return training.ending("singan.py", lambda: train(arguments))


if __name__ == "__main__":
    sys.exit(main())
