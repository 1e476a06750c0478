"""Are samples copies, of the training data or of each other?"""

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from .curves import ranks
from .distances import kth_squares, squared_distances
from .finite import check_clouds
from .neighbours import nearest


class Memorisation(NamedTuple):
    """How near samples lie to training data, against data that were not trained on."""

    nearer: float  # share of pairs (sample, held-out) where the sample is the nearer one: 0.5 for none
    z: float  # the same in standard errors, C_T: far below 0 for copies (and blur), far above 0 for noise
    samples: float  # median distance of a sample to the nearest training sample
    held_out: float  # median distance of a held-out one


class SupportSize(NamedTuple):
    """How many different samples there seem to be."""

    size: float  # infinite if no two are alike
    least: float  # what it is above with 95 % confidence
    pairs: int  # alike


def memorisation(
    fake: np.ndarray, train: np.ndarray, held_out: np.ndarray, centres: np.ndarray | None = None
) -> Memorisation:
    """Whether samples `fake` (N, d) lie nearer to `train` (T, d) than `held_out` data (M, d) do.

    Each has its distance to the nearest training sample; Mann and Whitney's U says which of two such sets is the
    smaller: z = (U - N M / 2) / deviation, with ties. With `centres` (K, d), the means of clusters of the training
    data for instance, z is taken among the samples about each and averaged by their shares of held-out data: C_T of
    Meehan, Chaudhuri and Dasgupta 2020, who find copies of one region so (distances are to all training data here).
    Below -3 says copying, if samples are as good as data are: **blur looks like it**, as pictures without the details
    in which any two differ are nearer to all, and **noise hides it**, which is far from all. So read it beside a
    measure of quality. z grows as sqrt(N): compare equal numbers. Distances are float32, or float64 if an array is.
    ShapeError if features do not fit, are none, or are not finite.
    """
    check_clouds("memorisation", fake, train, held_out)
    here, there = (np.sqrt(kth_squares(x, train)) for x in (fake, held_out))
    nearer, z = _mann_whitney(here, there)
    if centres is not None:
        check_clouds("memorisation", centres, train)
        cells_here, cells_there = nearest(fake, centres), nearest(held_out, centres)
        both = np.intersect1d(cells_here, cells_there)
        if not len(both):
            raise ShapeError("memorisation: expected samples and held-out data about the same centres, got none")
        each = [_mann_whitney(here[cells_here == c], there[cells_there == c])[1] for c in both]
        z = float(np.average(each, weights=[(cells_there == c).sum() for c in both]))
    return Memorisation(nearer, z, float(np.median(here)), float(np.median(there)))


def support_size(samples: np.ndarray, distance: float) -> SupportSize:
    """How many different samples a generator draws, by the birthday test on features or pixels (N, d).

    Two are alike if they are nearer than `distance`: that of a pair a human takes for one image, or the least distance
    within as many real samples. If c of the n (n - 1) / 2 pairs are alike the size is n (n - 1) / (2 c), one over the
    probability of a pair: exact for equally likely samples, and **biased downwards** for others, as a frequent few
    are met first (Arora and Zhang 2017; Arora, Risteski and Zhang 2018). `least` is from Poisson's upper bound on c;
    with c = 0 it is all that is known. ShapeError if there are fewer than two samples, one is not finite, or the
    distance is not > 0.
    """
    check_clouds("support_size", samples, least=2)
    if not 0 < distance < np.inf:
        raise ShapeError(f"support_size: expected a distance > 0, got {distance}")
    alike = sum(int((squares < distance**2).sum()) for _, squares in squared_distances(samples, samples, own=True)) // 2
    pairs = len(samples) * (len(samples) - 1) / 2
    return SupportSize(pairs / alike if alike else math.inf, pairs / _poisson_bound(alike), alike)


def _mann_whitney(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The share of pairs (of a, of b) in which a is the smaller, ties counted half, and U of a in deviations.

    U counts pairs in which a is the larger, so that both halves agree: a small a has a negative z.
    """
    n, m = len(a), len(b)
    both = np.concatenate([a, b])
    larger = float(ranks(both)[:n].sum()) - n * (n + 1) / 2
    _, count = np.unique(both, return_counts=True)
    ties = (count.astype(float) ** 3 - count).sum() / ((n + m) * (n + m - 1)) if n + m > 1 else 0.0
    deviation = math.sqrt(n * m / 12 * (n + m + 1 - ties))
    return 1 - larger / (n * m), (larger - n * m / 2) / deviation if deviation else 0.0


def _poisson_bound(count: int) -> float:
    """The mean under which so few events have a probability of 5 %: about 3 for none (Wilson and Hilferty 1931)."""
    n = count + 1
    return n * (1 - 1 / (9 * n) + 1.645 / (3 * math.sqrt(n))) ** 3
