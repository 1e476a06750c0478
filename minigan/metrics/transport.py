"""Wasserstein distances of two clouds of points: exact, by the cheapest pairing, and along random directions."""

import numpy as np

from ..errors import ShapeError
from ..random import Stream
from .finite import check_finite


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """The mean Euclidean distance of the pairs, paired so that it is smallest, of points a and b (N, D): W_1, >= 0.

    It is exact, by shortest augmenting paths (Kuhn 1955, Jonker and Volgenant 1987): time grows as N^3, a second or so
    for 500 points. ShapeError unless there are as many points in both, of as many dimensions, all finite.
    """
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise ShapeError(f"wasserstein: expected two clouds (N, D) of as many points, got {a.shape} and {b.shape}")
    check_finite("wasserstein", a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    cost = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0))
    check_finite("wasserstein", cost)
    return float(cost[np.arange(len(a)), _assignment(cost)].mean())


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, directions: int = 256, seed: int = 0) -> float:
    """sqrt(E_u W_2^2(a u, b u)) of points a and b (N, D) over unit directions u, >= 0: 0 for the same points.

    Along a line the cheapest pairing is in order, so it takes a sort (Rabin et al. 2012). The same directions for the
    same seed. ShapeError unless there are as many points in both, of as many dimensions, all finite.
    """
    if a.ndim != 2 or a.shape != b.shape or not a.size or directions < 1:
        raise ShapeError(
            f"sliced_wasserstein: expected two clouds (N, D) of as many points, got {a.shape} and {b.shape}"
        )
    check_finite("sliced_wasserstein", a, b)
    u = Stream(seed, "directions").normal((a.shape[1], directions))
    u /= np.linalg.norm(u, axis=0)
    squares = np.square(np.sort(a @ u, axis=0) - np.sort(b @ u, axis=0), dtype=np.float64)
    check_finite("sliced_wasserstein", squares)
    return float(np.sqrt(squares.mean()))


def _assignment(cost: np.ndarray) -> np.ndarray:
    """The column of each row of a square matrix, so that their sum is smallest."""
    n = len(cost)
    u, v = np.zeros(n), np.zeros(n)  # prices: cost >= u + v, with equality where a row has its column
    row_of = np.full(n + 1, -1)  # of each column; the last is a start without one
    for row in range(n):
        row_of[n], column = row, n
        reach, before = np.full(n, np.inf), np.full(n, n)  # how far each column is, and the one before it on the way
        open_ = np.ones(n, bool)
        while row_of[column] >= 0:
            if column < n:
                open_[column] = False
            here = row_of[column]
            ahead = cost[here] - u[here] - v
            nearer = open_ & (ahead < reach)
            reach[nearer], before[nearer] = ahead[nearer], column
            step = reach[open_].min()
            closed = np.flatnonzero(~open_)
            u[row] += step
            u[row_of[closed]] += step
            v[closed] -= step
            reach[open_] -= step
            column = int(np.flatnonzero(open_)[reach[open_].argmin()])
        while column < n:
            row_of[column] = row_of[before[column]]
            column = before[column]
    found = np.empty(n, int)
    found[row_of[:n]] = np.arange(n)
    return found
