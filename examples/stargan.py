"""Train StarGAN (Choi et al. 2018): one network takes images from any of several domains to any other.

    python examples/stargan.py                                       each digit becomes the others, in its own hand
    python examples/stargan.py --data FOLDER --clusters 5 --side 64  domains that nobody named: clusters of pictures
    python examples/stargan.py --data FOLDER --labels-from folders   each folder in FOLDER is one

Domains are the labels of the data, or clusters. In OUT/samples: an image in each row, and what is made of it for each
domain. `minigan translate RUN PICTURES --label 2` takes pictures to a domain. At the end, where a judge knows the
domains, `read_as_asked` is the share of translated images that it reads so.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import training, viz
from minigan.data import Samples, scaled
from minigan.gan.translation import StarGAN
from minigan.training import Settings, labels, positive, sides, translations

ROWS, DOMAINS = 8, 10  # of a picture


def build(settings: Settings) -> StarGAN:
    extra, classes = settings.extra, labels.classes(settings)
    channels, side, _ = sides.target_shape(settings)
    with mg.random.using(mg.random.Stream(settings.seed)):
        size = {"width": extra["width"], "blocks": extra["blocks"], "border": mg.nn.ZeroPad2d}
        G = mg.models.WithClass(mg.models.resnet_translator(channels + classes, channels, **size), classes)
        D = mg.models.reading_discriminator(side, channels, classes, width=extra["width"])
    adam = [mg.optim.Adam(player.to(settings.device).parameters(), extra["lr"], (0.5, 0.999)) for player in (G, D)]
    return StarGAN(
        *(G, D),
        classes=classes,
        generator_optimizer=adam[0],
        discriminator_optimizer=adam[1],
        d_steps=extra["d_steps"],
        schedules=[mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in adam],
        seed=settings.seed,
    )


def translated(game: StarGAN, images: np.ndarray, domain: int) -> np.ndarray:
    """uint8 images of that domain, made of uint8 images."""
    asked = mg.tensor(np.full(len(images), domain))
    return viz.to_uint8(game.generate(mg.tensor(scaled(images)), asked).numpy())


def picture(game: StarGAN, samples: Samples, path: Path) -> None:
    images = samples.drawn[:ROWS]
    columns = [images, *(translated(game, images, k) for k in range(min(game.classes, DOMAINS)))]
    viz.save_png(viz.grid(np.stack(columns, 1).reshape(-1, *images.shape[1:]), len(columns)), path)


def measure(game: StarGAN, samples: Samples, settings: Settings) -> dict[str, float]:
    reader = translations.judge_of(settings, samples)
    if reader is None or settings.clusters or reader.classes != game.classes:
        return {}
    images = samples.drawn[: 20 if settings.dry_run else 200]
    right = [(reader.predict(translated(game, images, k)) == k).mean() for k in range(game.classes)]
    return {"read_as_asked": float(np.mean(right))}


def options() -> training.Options:
    p = training.parser("stargan", __doc__, epochs=2, batch_size=16)
    labels.add_options(p)
    group = p.add_argument_group("images")
    sides.add_sizes(group, 32)
    sides.add_judge(group)
    p.add_argument("--width", type=positive, default=32, help="maps of the networks (default: 32; the paper: 64)")
    p.add_argument("--blocks", type=positive, default=3, help="of G (default: 3; the paper: 6)")
    p.add_argument("--d-steps", type=positive, default=5, help="turns of D for each of G (default: 5)")
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0001)"
    p.add_argument("--lr", type=float, default=1e-4, help=shown)
    return p


def train(arguments: Sequence[str] | None) -> int:
    settings = Settings.parsed(options(), arguments)
    if not settings.labels_from and not settings.clusters:
        settings.labels_from = "data"
    return training.start(build, settings, sides.target_shape, picture=picture, measure=measure)


def main(arguments: Sequence[str] | None = None) -> int:
    return training.ending("stargan.py", lambda: train(arguments))


if __name__ == "__main__":
    sys.exit(main())
