"""Which pixels, and how much of each, a row of pixels is resampled from, for each size once.

PyTorch's conventions. Without align_corners a pixel is a square, and the outer borders of both rows coincide; with it a
pixel is a point, and the first and the last points of both do.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from .banded import Banded

MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
SMOOTH = ("bilinear", "bicubic")  # those that align_corners and antialias say something about

# What is cached here is cached for good: a captured step on a GPU reads it when all else has forgotten it.


@cache
def resized(size: int, out: int, mode: str, align_corners: bool, factor: float | None, antialias: bool) -> Banded:
    """The map from `size` pixels to `out` of them. `factor` is out / size, where that was given and not the size."""
    if mode == "area":
        return _averaged(size, out)
    step = 1 / factor if factor else size / out
    if mode in ("nearest", "nearest-exact"):
        return _picked(size, out, step, 0.5 if mode == "nearest-exact" else 0.0)
    if align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    if antialias:
        return _antialiased(size, out, step, mode)
    places = np.arange(out) * step if align_corners else (np.arange(out) + 0.5) * step - 0.5
    if mode == "bilinear":
        places = places.clip(0)
    first = np.floor(places)
    offsets = np.arange(2) if mode == "bilinear" else np.arange(-1, 3)
    weights = _KERNELS[mode](places[:, None] - first[:, None] - offsets)
    return _banded(size, first[:, None] + offsets, weights)


@cache
def filtered(size: int, taps: tuple[float, ...], up: int, down: int, pads: tuple[int, int]) -> Banded:
    """The map of `size` pixels that puts up - 1 zeros behind each, pads or crops, sums over taps, keeps each down-th.

    The sum is a correlation: the first tap is that of the first pixel of a window, of which there is at least one.
    """
    length = size * up + sum(pads)
    out = (length - len(taps)) // down + 1
    met = np.arange(out)[:, None] * down + np.arange(len(taps)) - pads[0]
    is_pixel = (met >= 0) & (met < size * up) & (met % up == 0)
    return _banded(size, met // up, np.where(is_pixel, taps, 0.0))


def _picked(size: int, out: int, step: float, shift: float) -> Banded:
    """One pixel each, in single precision: PyTorch's choice to the last one."""
    places = np.floor((np.arange(out, dtype="float32") + np.float32(shift)) * np.float32(step))
    return _banded(size, places[:, None], np.ones((out, 1)))


def _averaged(size: int, out: int) -> Banded:
    """The mean of the pixels that each of the results touches."""
    first = np.arange(out) * size // out
    last = -(-(np.arange(out) + 1) * size // out)
    met = first[:, None] + np.arange((last - first).max())
    return _banded(size, met, (met < last[:, None]) / (last - first)[:, None])


def _antialiased(size: int, out: int, step: float, mode: str) -> Banded:
    """The kernel as wide as a pixel of the result, where that is larger, cut off at the borders, sum 1."""
    wide = max(step, 1.0)
    reach = _REACH[mode] * wide
    centre = step * (np.arange(out) + 0.5)
    first = np.floor(centre - reach + 0.5).clip(0)
    last = np.floor(centre + reach + 0.5).clip(max=size)
    met = first[:, None] + np.arange(math.ceil(2 * reach) + 1)
    curve = _linear if mode == "bilinear" else _sharper
    weights = np.where(met < last[:, None], curve((met - centre[:, None] + 0.5) / wide), 0.0)
    return _banded(size, met, weights / weights.sum(1, keepdims=True))


def _banded(size: int, met: np.ndarray, weights: np.ndarray) -> Banded:
    """The map whose k-th result is the sum of weights[k] times the pixels met[k], the border's where there is none."""
    rows, taps = np.nonzero(weights)
    columns = met[rows, taps].astype(int).clip(0, size - 1)
    return Banded((len(weights), size), rows, columns, weights[rows, taps])


def _linear(t: np.ndarray) -> np.ndarray:
    return (1 - abs(t)).clip(0)


def _cubic(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The cubic convolution kernel (Keys 1981)."""
    t = abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _sharper(t: np.ndarray) -> np.ndarray:
    """As Pillow has it."""
    return _cubic(t, -0.5)


_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"bilinear": _linear, "bicubic": _cubic}
_REACH = {"bilinear": 1.0, "bicubic": 2.0}
