"""How good are samples: each measure with its interval, and what real ones reach, in one table."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..data import DATASETS, Samples, held_out
from ..errors import DataError
from ..metrics import (
    bootstrap,
    class_balance,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_distance,
    memorisation,
    mode_coverage,
    precision_recall,
    radial_power,
    sliced_wasserstein,
    wasserstein,
)
from ..random import Stream
from .yardstick import RandomFeatures

LEAST = 40  # samples of a table: its intervals measure a quarter of them
SURE = 1.96  # standard errors to each side of a value, for 95 %
COPIES = 1000  # samples whose nearest training images are looked for
PIXELS = 1 << 26  # numbers of the training images that are searched: 256 MiB
SPECTRA = 1 << 24  # numbers of the images whose spectra are taken
BYTE_NOISE = 1 / 12  # the variance that rounding to bytes leaves at every frequency
PAIRED = 300  # points whose cheapest pairing is looked for
MEASURES = {
    "frechet": ("Fréchet distance", "low"),
    "kernel": ("kernel distance (KID)", "low"),
    "score": ("score", "high"),
    "precision": ("precision", "high"),
    "recall": ("recall", "high"),
    "density": ("density", "high"),
    "coverage": ("coverage", "high"),
    "smallest_class": ("smallest class", "real"),
    "class_kl": ("KL of classes to even", "low"),
    "memorised": ("nearer to training images", "real"),
    "spectrum": ("spectrum, dB apart", "low"),
    "modes": ("modes", "high"),
    "good": ("near a mode", "high"),
    "reverse_kl": ("KL of modes to even", "low"),
    "sliced_wasserstein": ("sliced Wasserstein distance", "low"),
    "wasserstein": (f"Wasserstein distance, {PAIRED} points", "low"),
}
"""Every row there is, in order: what it is called, and whether good samples are low, high, or as real ones are."""


class Reader(Protocol):
    """What makes features of images: a judge, or what stands in for one."""

    name: str
    about: dict[str, Any]

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, F) of images (N, C, H, W): uint8, or float in [-1, 1]."""

    def probabilities(self, images: np.ndarray) -> np.ndarray | None:
        """(N, classes), or None of a reader that knows no classes."""


class Measured(NamedTuple):
    """A number, and the interval it lies in with 95 % as far as chance in the samples goes; None where none is told."""

    value: float
    low: float | None = None
    high: float | None = None


class Row(NamedTuple):
    """A measure of samples, by its name among MEASURES, and the same of real ones."""

    name: str
    value: float
    low: float | None
    high: float | None
    floor: float | None


class Sides(NamedTuple):
    """What samples are compared with: uint8 images (N, C, H, W), all of one shape."""

    real: np.ndarray  # at most so many as were asked for
    other: np.ndarray  # as many real ones, which stand where samples do to tell how near samples can come
    train: np.ndarray  # all that was learnt from
    held_out: bool  # was nothing of `real` learnt from?


class Seen(NamedTuple):
    """What a reader makes of images: features (N, F), and probabilities (N, classes) if it knows classes."""

    features: np.ndarray
    probabilities: np.ndarray | None = None


def seen(reader: Reader, images: np.ndarray) -> Seen:
    """The images (N, C, H, W) as the reader has them."""
    return Seen(reader.features(images), reader.probabilities(images))


def sides(samples: Samples, n: int, *, few: bool = False, seed: int = 0) -> Sides:
    """Real images to compare n samples with: held-out ones, or where none are known half of those learnt from.

    Chosen by `seed`, at most `n` on each side. DataError if the samples are no images, or fewer than four.
    """
    train = samples.drawn
    if train.ndim != 4 or len(train) < 4:
        raise DataError(f"{samples.name}: expected at least 4 images (N, C, H, W) to compare with, got {train.shape}")
    order = Stream(seed, "compared with samples").permutation(len(train))
    if samples.name not in DATASETS:
        n = min(n, len(train) // 2)
        return Sides(train[order[:n]], train[order[n : 2 * n]], train, False)
    images, _ = held_out(samples, few=few, shape=train.shape[1:])
    chosen = Stream(seed, "held-out images").permutation(len(images))[:n]
    return Sides(images[chosen], train[order[:n]], train, True)


class Gauge:
    """Frechet distances of a run's samples to real images, always by the same reader and to the same images.

    `count` samples are compared at a time, which took `seconds` of as many real images, whose distance is the `floor`.
    """

    def __init__(self, samples: Samples, n: int, reader: Reader | None, *, few: bool = False) -> None:
        held = sides(samples, n, few=few)
        self.reader = reader or RandomFeatures(held.train)
        self.count = len(held.other)
        against = "held-out images" if held.held_out else "images of the data"
        self.described = f"{self.count} samples against {len(held.real)} {against}, by {self.reader.name}"
        self._real = self.reader.features(held.real)
        begun = time.perf_counter()
        self.floor = self.measure(held.other)
        self.seconds = time.perf_counter() - begun

    def measure(self, images: np.ndarray) -> float:
        """The distance of `count` images (N, C, H, W): uint8, or float in [-1, 1]; NaN if they are not finite."""
        if images.dtype != np.uint8 and not np.isfinite(images).all():
            return float("nan")
        return frechet_distance(self.reader.features(images), self._real)


# --- tables -----------------------------------------------------------------------------------------------------


def of_images(
    images: np.ndarray,
    held: Sides,
    fake: Seen,
    real: Seen,
    other: Seen | None,
    floors: Mapping[str, float],
    stage: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """The table of uint8 images (N, C, H, W), which the reader has as `fake`, and held.real as `real`.

    `other` are held.other as the reader has them; what they reach, in the place of samples, is each row's floor, which
    is measured unless `floors` tells it. `stage` is told what is done next. Rows that need classes, or held-out images,
    are left out without them. DataError if there are too few of any.
    """
    _check_enough(images, *(side.features for side in (fake, real, other) if side is not None))
    measured = _of_features(fake, real, stage) | _of_pixels(images, held, stage)
    floor = dict(floors)
    if other is not None and not floors:
        stage("real against real")
        reached = _of_features(other, real) | _of_pixels(None, held)
        floor = {name: found.value for name, found in reached.items()}
    return [Row(name, *measured[name], floor.get(name)) for name in MEASURES if name in measured]


def of_points(
    points: np.ndarray, real: np.ndarray, other: np.ndarray, centres: np.ndarray | None, std: float
) -> list[Row]:
    """The table of points (N, D) beside as many real ones, and others; with the modes about `centres`, if any.

    DataError if there are too few.
    """
    _check_enough(points, real, other)
    measured, floor = _of_plane(points, real, centres, std, sure=True), _of_plane(other, real, centres, std)
    return [Row(name, *measured[name], floor[name].value) for name in MEASURES if name in measured]


def _check_enough(*sides: np.ndarray) -> None:
    fewest = min(map(len, sides))
    if fewest < LEAST:
        raise DataError(f"evaluation: expected at least {LEAST} samples and as many real ones, got {fewest}")


def _of_features(fake: Seen, real: Seen, stage: Callable[[str], None] | None = None) -> dict[str, Measured]:
    """What is measured of features and classes: with intervals if there is a stage to play, and else not all."""
    sure, stage = stage is not None, stage or (lambda name: None)
    stage("distances")
    found = {
        "frechet": _sure(frechet_distance, fake.features, real.features, rounds=20, sure=sure),
        "kernel": _estimated(*kernel_distance(fake.features, real.features, subsets=50)),
    }
    stage("neighbours")
    near, balls = precision_recall(real.features, fake.features), density_coverage(real.features, fake.features)
    found["precision"] = _share(near.precision, len(fake.features))
    found["recall"] = _share(near.recall, len(real.features))
    found["coverage"] = _share(balls.coverage, len(real.features))
    found["density"] = Measured(balls.density)
    if sure:  # balls of a quarter of the real features hold as many samples of a quarter
        low, high = bootstrap(_density, real.features, fake.features, rounds=12, share=0.25)
        found["density"] = _within(balls.density, (high - low) / 2, 0.0)
    if fake.probabilities is not None:
        stage("classes")
        found["score"] = _estimated(*inception_score(fake.probabilities))
        labels, classes = fake.probabilities.argmax(1), fake.probabilities.shape[1]
        found["smallest_class"] = _share(class_balance(labels, classes).counts.min() / len(labels), len(labels))
        found["class_kl"] = _sure(lambda some: class_balance(some, classes).kl, labels, sure=sure)
    return found


def _density(real: np.ndarray, fake: np.ndarray) -> float:
    return density_coverage(real, fake).density


def _of_pixels(
    images: np.ndarray | None, held: Sides, stage: Callable[[str], None] | None = None
) -> dict[str, Measured]:
    """What needs no reader, of these images; or of real ones, in two halves where they must not be learnt from."""
    sure, stage = stage is not None, stage or (lambda name: None)
    stage("spectrum")
    most = max(SPECTRA // held.real[0].size, LEAST)
    spectra = [radial_power(side[:most]) for side in (held.other if images is None else images, held.real)]
    found = {"spectrum": _sure(_decibels_apart, *spectra, sure=sure)}
    if held.held_out:
        stage("copies")
        if images is None:
            images, unseen = np.array_split(held.real[: 2 * COPIES], 2)
        else:
            unseen = held.real
        found["memorised"] = _nearer(images[:COPIES], held.train, unseen[:COPIES])
    return found


def _decibels_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The root mean square, over frequencies but 0, of how far mean powers (N, R) and (M, R) of bytes are apart."""
    levels = [10 * np.log10(power.mean(0)[1:] + BYTE_NOISE) for power in (a, b)]
    return float(np.sqrt(((levels[0] - levels[1]) ** 2).mean()))


def _nearer(images: np.ndarray, train: np.ndarray, unseen: np.ndarray) -> Measured:
    """The share of pairs in which a sample is nearer to the training images than an unseen image is.

    Copies are, and so are samples that are blurred: see `memorisation`.
    """
    some = train[:: -(-train.size // PIXELS)]
    flat = [side.reshape(len(side), -1).astype(np.float32) for side in (images, some, unseen)]
    n, m = len(images), len(unseen)
    error = np.sqrt((n + m + 1) / (12 * n * m))  # of Mann and Whitney's U, over n m
    return _within(memorisation(*flat).nearer, SURE * error, 0.0, 1.0)


def _of_plane(
    points: np.ndarray, real: np.ndarray, centres: np.ndarray | None, std: float, *, sure: bool = False
) -> dict[str, Measured]:
    found = {
        "sliced_wasserstein": _sure(sliced_wasserstein, points, real, rounds=20, sure=sure),
        "wasserstein": _sure(wasserstein, points[:PAIRED], real[:PAIRED], rounds=12, sure=sure),
    }
    if centres is not None:
        held = mode_coverage(points, centres, std)
        found["modes"] = Measured(held.modes)
        found["good"] = _share(held.good, len(points))
        found["reverse_kl"] = Measured(held.reverse_kl)
    return found


# --- intervals --------------------------------------------------------------------------------------------------


def _estimated(value: float, error: float) -> Measured:
    return _within(value, SURE * error)


def _within(value: float, half: float, least: float = -np.inf, most: float = np.inf) -> Measured:
    """A value, and what its measure can be of the interval about it."""
    return Measured(float(value), float(max(value - half, least)), float(min(value + half, most)))


def _sure(measure: Callable[..., float], *samples: np.ndarray, rounds: int = 40, sure: bool) -> Measured:
    """The measure of all samples, and if one is to be `sure` the interval that `bootstrap` finds; none is below 0."""
    if not sure:
        return Measured(measure(*samples))
    low, high = bootstrap(measure, *samples, rounds=rounds)
    return _within((low + high) / 2, (high - low) / 2, 0.0)


def _share(share: float, n: int) -> Measured:
    """A share of n, as if each counted for itself, with Wilson's interval (1927), which is right near 0 and 1 too."""
    z = SURE
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
    return Measured(float(share), float(middle - half), float(middle + half))
