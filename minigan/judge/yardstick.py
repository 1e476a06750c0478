"""How far samples are from the data, and how varied: three numbers that need no labels and no download."""

from typing import Any

import numpy as np

from .. import nn
from ..data import scaled
from ..errors import DataError
from ..metrics import sliced_wasserstein
from ..nn import in_chunks, init
from ..random import Stream
from ..tensor import tensor
from .verdict import MEASURED

COUNT = 512  # samples compared
ROUNDING = 1e-6  # of the largest of some numbers, that they may differ by and still be the same
FITTED = 2048  # images that tell in which directions features differ
COMPONENTS = 64  # of those directions
CELLS = 4  # features are averaged over so many cells a side


class Yardstick:
    """Compares samples with COUNT of the data: uint8 images (N, C, H, W) or float32 points (N, features).

    Images are compared by the features of two convolutions with random weights, always the same ones: random filters
    tell edges from blur, and where they are, without having learnt anything (random features as a test of two samples:
    Zhao and Meng 2015).
    """

    def __init__(self, data: np.ndarray, seed: int = 0) -> None:
        order = Stream(seed, "yardstick").permutation(len(data))
        self.count = min(COUNT, max(len(data) // 2, min(len(data), 2)))
        real, others = data[order[: self.count]], data[order[self.count : 2 * self.count]]
        self._network = _features(data.shape[1:]) if data.ndim == 4 else None
        self._real = self._described(real)
        flat = (scaled(real) if real.dtype == np.uint8 else real).reshape(self.count, -1)
        spreads = [_deviation(a) > ROUNDING * abs(a).max(initial=0.0) for a in (self._real, flat)]
        self.spread = all(spreads)  # do the data differ at all? Nothing can be measured in units of what is 0
        if self.spread:
            self._units = _deviation(self._real), _deviation(flat), _gap(_distinct(flat))
        comparable = self.spread and len(others) == self.count
        self.floor = self._distance(self._described(others)) if comparable else 0.0

    def measure(self, samples: np.ndarray) -> dict[str, float]:
        """Of `count` samples, float32 images in [-1, 1] or points:

        - `distance`: the sliced Wasserstein distance of their features to the data's, in units of the spread of the
          data's: `floor` for other data; of MNIST, whose floor is 0.1, digits can be guessed from 0.5 on, and be read
          below 0.25, from where on it says little more (`benches/verdict.py`);
        - `diversity`: the deviation of a value between samples, in units of the data's: 0 if all are the same;
        - `spacing`: the distance of a sample to the nearest other, in units of that of the data to the nearest that
          is not the same: near 0 if there are only a few different ones, or if all lie on a curve.

        They are NaN for samples that are not finite. If the data do not differ, there is `spread` alone, and it is 0.
        """
        if not self.spread:
            return {"spread": 0.0}
        if not (np.isfinite(samples).all() and np.isfinite(features := self._described(samples)).all()):
            return dict.fromkeys(MEASURED, np.nan)
        flat = samples.reshape(len(samples), -1)
        _, deviation, gap = self._units
        return {
            "distance": self._distance(features),
            "diversity": _deviation(flat) / deviation,
            "spacing": _gap(flat) / gap,
        }

    def _distance(self, features: np.ndarray) -> float:
        return sliced_wasserstein(features, self._real) / self._units[0]

    def _described(self, samples: np.ndarray) -> np.ndarray:
        if self._network is None:
            return samples.reshape(len(samples), -1)
        return in_chunks(self._network, samples)


class RandomFeatures:
    """A reader of images of any kind, which has learnt nothing: the yardstick's features, in few numbers.

    They are the COMPONENTS in which the features of `images`, uint8 (N, C, H, W), vary most, and 100 is the variance
    of all of them together: a Frechet distance of 1 is a hundredth of it. `probabilities` are None, for there are no
    classes. DataError if the images are all the same.
    """

    name = "random features"

    def __init__(self, images: np.ndarray) -> None:
        self._network = _features(images.shape[1:])
        fitted = in_chunks(self._network, images[Stream(0, self.name).permutation(len(images))[:FITTED]])
        self._mean = fitted.mean(0)
        centred = fitted - self._mean
        # the leading eigenvectors of the covariance, from those of the smaller matrix of inner products
        values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        kept = values[-COMPONENTS:] > ROUNDING**2 * np.square(fitted, dtype=np.float64).sum()
        if not kept.any():
            raise DataError(f"RandomFeatures: expected images that differ, {images.shape} are all the same")
        lengths = np.sqrt(values[-COMPONENTS:][kept])
        directions = centred.T @ (vectors[:, -COMPONENTS:][:, kept] / lengths)
        self._directions = (directions * (10 / np.sqrt(centred.var(0).sum()))).astype(np.float32)
        self.about: dict[str, Any] = {"features": len(lengths)}

    def features(self, images: np.ndarray) -> np.ndarray:
        """Float32 (N, at most COMPONENTS) of images (N, C, H, W): uint8, or float in [-1, 1]."""
        directions = tensor(self._directions)
        return in_chunks(lambda x: (self._network(x) - tensor(self._mean)) @ directions, images)

    def probabilities(self, images: np.ndarray) -> None:
        """None: no classes are known."""


def _features(shape: tuple[int, ...]) -> nn.Sequential:
    """Images of this shape to features, by random weights."""
    channels, height, width = shape
    rng = Stream(0, "random features")
    first, second = nn.Conv2d(channels, 32, 4, 2, 1, rng=rng), nn.Conv2d(32, 64, 4, 2, 1, rng=rng)
    for layer in (first, second):
        init.normal_(layer.weight, 0.0, (2 / (layer.weight.size // len(layer.weight))) ** 0.5, rng=rng)
    pooled = nn.AvgPool2d((max(height // 4 // CELLS, 1), max(width // 4 // CELLS, 1)))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), pooled, nn.Flatten())


def _deviation(rows: np.ndarray) -> float:
    """The root of the mean variance of a column."""
    return float(np.sqrt(rows.var(0).mean()))


def _distinct(rows: np.ndarray) -> np.ndarray:
    """The rows, in order, each once."""
    return rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]


def _gap(points: np.ndarray) -> float:
    """The mean distance of a point to its nearest other."""
    p = points.astype(np.float64)
    squares = (p**2).sum(1)
    apart = squares[:, None] + squares - 2 * p @ p.T
    np.fill_diagonal(apart, np.inf)
    return float(np.sqrt(np.maximum(apart.min(1), 0)).mean()) if len(p) > 1 else 0.0
