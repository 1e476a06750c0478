"""How well points in the plane lie on a curve."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from .distances import kth_squares
from .finite import check_clouds, check_finite


class OnCurve(NamedTuple):
    """How points lie on the graph of a function."""

    residual: float  # mean |y - f(x)| over the standard deviation of f on the interval
    coverage: float  # share of the interval's pieces that hold at least a fifth of their share of points


def on_curve(
    points: np.ndarray, f: Callable[[np.ndarray], np.ndarray], low: float, high: float, pieces: int = 20
) -> OnCurve:
    """How closely points (N, 2) follow y = f(x), and how much of low <= x < high they reach.

    The residual is 0 for points on the curve, wherever they are. The coverage is 1 for x that are uniform, if N is
    large, and 0 for points that all lie elsewhere. ShapeError if points are not (N, 2), N > 0, and finite, there is no
    interval or piece, or f is constant on it.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ShapeError(f"on_curve: expected points (N, 2), at least one, got {points.shape}")
    if not (-np.inf < low < high < np.inf and pieces >= 1):
        raise ShapeError(f"on_curve: expected low < high and pieces >= 1, got {low}, {high} and {pieces}")
    check_finite("on_curve", points)
    x, y = points.astype(np.float64).T
    spread = f(np.linspace(low, high, 10_001)).std()
    if not spread > 0:
        raise ShapeError(f"on_curve: expected a function that varies on [{low}, {high}), its deviation is {spread}")
    held, _ = np.histogram(x, pieces, (low, high))
    return OnCurve(float(np.abs(y - f(x)).mean() / spread), float((held >= 0.2 * len(points) / pieces).mean()))


def mean_nearest_distance(points: np.ndarray, others: np.ndarray) -> float:
    """Mean distance of each of `points` (N, D) to the nearest of `others` (M, D).

    From samples to data it says how good the samples are, from data to samples how much of the data they reach.
    ShapeError if shapes do not fit, one is empty, or a number is not finite.
    """
    check_clouds("mean_nearest_distance", points, others)
    return float(np.sqrt(kth_squares(points.astype(np.float64), others)).mean())
