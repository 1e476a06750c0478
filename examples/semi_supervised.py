"""Learn to read digits from 100 labels and 60 000 images without (Salimans et al. 2016, feature matching).

    python examples/semi_supervised.py --labels 100

A classifier of ten classes plays against a generator whose images would be the eleventh. The paper's networks, noise
and rates for MNIST: Adam(0.003, 0.5), batches of 100, here for some epochs instead of 300, and so with a faster average
of the weights for the test (0.999; the paper has 0.9999). At the end it prints how many of the held-out images are read
wrong, and how many if the same classifier learns from the labels alone. The paper has 93 +- 6.5 of 10 000 for 100
labels, 1677 for 20, 221 for 50, 90 for 200.
"""

import functools
import sys
from collections.abc import Sequence

import numpy as np

import minigan as mg
from minigan import data, training
from minigan.data import held_out
from minigan.errors import DataError
from minigan.gan import SemiSupervised, salimans28
from minigan.gan.semi import LABELS_ALONE, balanced
from minigan.nn import in_chunks
from minigan.training import say

SCALED_TO = 500  # images that the first lengths and biases are taken from


@functools.cache
def images_of(source: str, limit: int | None) -> data.Samples:
    return data.load_images(source, limit)


def load(settings: training.Settings, limit: int | None) -> data.Samples:
    return images_of(settings.data, limit)


def build(settings: training.Settings) -> SemiSupervised:
    return make(settings, decay=settings.extra["ema"])


def make(settings: training.Settings, *, decay: float, schedule: list | None = None) -> SemiSupervised:
    samples = images_of(settings.data, training.FEW if settings.dry_run else None)
    if samples.labels is None:
        raise DataError(f"{samples.name}: these images have no labels, so there are none to learn from")
    extra = settings.extra
    known = balanced(samples.labels, extra["labels"], mg.random.Stream(settings.seed, "known labels"))
    images, shown = (scaled(samples.values[part], settings) for part in (known, slice(SCALED_TO)))
    labels = mg.tensor(samples.labels[known], device=settings.device)
    return salimans28(images, labels, shown, lr=extra["lr"], decay=decay, schedule=schedule, seed=settings.seed)


def scaled(images: np.ndarray, settings: training.Settings) -> mg.Tensor:
    return mg.tensor(data.scaled(images), device=settings.device)


def errors(game: SemiSupervised, images: np.ndarray, labels: np.ndarray) -> int:
    read = in_chunks(game.logits, images, game.step.device).argmax(1)
    return int((read != labels).sum())


def measure(game: SemiSupervised, samples: data.Samples, settings: training.Settings) -> dict[str, float]:
    try:
        images, labels = held_out(samples, few=settings.dry_run)
    except DataError as error:
        say(f"the errors are not counted: {error}")
        return {}
    alone = make(settings, decay=0.99, schedule=LABELS_ALONE)  # few steps: an average that soon forgets the start
    for _ in range(2 if settings.dry_run else settings.extra["alone"]):
        alone.play(lambda k: alone.images[: settings.batch_size])
    return {
        "labels": settings.extra["labels"],
        "test_images": len(labels),
        "test_errors": errors(game, images, labels),
        "test_errors_labels_alone": errors(alone, images, labels),
    }


def options() -> training.Options:
    p = training.parser("semi_supervised", __doc__, epochs=6, batch_size=100)
    p.add_argument("--labels", type=int, default=100, help="how many, the same for each class (default: 100)")
    p.add_argument("--lr", type=float, default=3e-3, help="Adam's learning rate for both (default: 0.003)")
    p.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights (default: 0.999)")
    p.add_argument("--alone", type=int, default=1000, metavar="STEPS", help="on labels alone (default: 1000)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return training.main(build, options(), load=load, measure=measure, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
