"""Quality and variety apart: how far two clouds lie in each other's neighbourhoods."""

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from .distances import kth_squares, squared_distances
from .finite import check_clouds


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1], both 1 at best."""

    precision: float  # of the fakes, those within the real cloud's balls: are samples good?
    recall: float  # of the real, those within the fake cloud's balls: are all kinds drawn?


class DensityCoverage(NamedTuple):
    """Both about 1 for two clouds of one distribution."""

    density: float  # real balls that a fake lies in, over k: may be above 1
    coverage: float  # of the real balls, those that hold a fake: in [0, 1]


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> PrecisionRecall:
    """The share of features `fake` (M, d) inside the cloud `real` (N, d), and the other way round.

    A cloud is the union of balls about its points, each up to the k-th nearest other (Kynkaanniemi et al. 2019).
    **Biased by outliers**: the ball of one lonely point can hold many others, so both are too high, and higher for
    larger k; and both rise with the numbers of samples, so compare equal numbers. Distances are float32, or float64 if
    a cloud is. ShapeError if the features do not fit, are not finite, or a cloud has not more than k >= 1.
    """
    _check("precision_recall", real, fake, k)
    around_real, around_fake = kth_squares(real, real, k, own=True), kth_squares(fake, fake, k, own=True)
    good = np.empty(len(fake), bool)
    reached = np.zeros(len(real), bool)
    for rows, squares in squared_distances(fake, real):
        good[rows] = (squares < around_real).any(1)
        reached |= (squares < around_fake[rows, None]).any(0)
    return PrecisionRecall(float(good.mean()), float(reached.mean()))


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> DensityCoverage:
    """How many balls of features `real` (N, d) each of `fake` (M, d) lies in, and how many balls hold one.

    The balls are those of `precision_recall`, of the real points alone (Naeem et al. 2020): counting balls instead of
    asking for one makes an outlier's ball cheap. For N = M of one distribution density is 1 and coverage 1 - 2^-k, or
    nearly so: 0.969 for k = 5 is the coverage of real against real, not 1. Coverage is **biased downwards** where there
    are fewer fakes than real samples, and rises with their number; density has no such bias. Distances and errors are
    those of `precision_recall`.
    """
    _check("density_coverage", real, fake, k)
    around = kth_squares(real, real, k, own=True)
    inside = 0
    closest = np.full(len(real), np.inf)
    for _, squares in squared_distances(fake, real):
        inside += int(np.count_nonzero(squares < around))
        np.minimum(closest, squares.min(0), out=closest)
    return DensityCoverage(inside / (k * len(fake)), float((closest < around).mean()))


def _check(call: str, real: np.ndarray, fake: np.ndarray, k: int) -> None:
    if k < 1:
        raise ShapeError(f"{call}: expected k >= 1 neighbours, got {k}")
    check_clouds(call, real, fake, least=k + 1)
