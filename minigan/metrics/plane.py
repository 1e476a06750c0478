"""How well points in the plane lie on a curve."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError


class OnCurve(NamedTuple):
    """How points lie on the graph of a function."""

    residual: float  # mean |y - f(x)| over the standard deviation of f on the interval
    coverage: float  # share of the interval's pieces that hold at least a fifth of their share of points


def on_curve(
    points: np.ndarray, f: Callable[[np.ndarray], np.ndarray], low: float, high: float, pieces: int = 20
) -> OnCurve:
    """How closely points (N, 2) follow y = f(x), and how much of low <= x < high they reach.

    The residual is 0 for points on the curve, wherever they are. The coverage is 1 for x that are uniform, if N is
    large, and 0 for points that all lie elsewhere. ShapeError if points are not (N, 2), N > 0.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ShapeError(f"on_curve: expected points (N, 2), at least one, got {points.shape}")
    x, y = points.astype(np.float64).T
    spread = f(np.linspace(low, high, 10_001)).std()
    held, _ = np.histogram(x, pieces, (low, high))
    return OnCurve(float(np.abs(y - f(x)).mean() / spread), float((held >= 0.2 * len(points) / pieces).mean()))
