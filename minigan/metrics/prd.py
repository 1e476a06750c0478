"""The curve of precision against recall of two clouds of features: PRD."""

from typing import NamedTuple

import numpy as np

from ..data import k_means
from ..errors import ShapeError
from ..random import Stream
from .finite import check_clouds, check_finite


class PRDCurve(NamedTuple):
    """Precisions that samples can have at each recall, and its two summaries; all in [0, 1], 1 at best."""

    precision: np.ndarray  # (angles,) rising
    recall: np.ndarray  # (angles,) falling
    f8: float  # the best F score that counts recall 8 times as much as precision
    f_eighth: float  # the best one that counts precision 8 times as much


def prd_curve(
    real: np.ndarray,
    fake: np.ndarray,
    clusters: int = 20,
    angles: int = 1001,
    runs: int = 10,
    rng: Stream | None = None,
) -> PRDCurve:
    """The curve of features real (N, d) and fake (M, d) by their histograms over k-means clusters of both.

    With shares p of the real and q of the fake over the clusters, precision is sum min(l p, q) and recall
    sum min(p, q / l) for the slopes l = tan(i / (angles + 1) pi / 2), i = 1 .. angles (Sajjadi et al. 2018),
    averaged over `runs` of k-means; F_b = (1 + b^2) P R / (b^2 P + R). **Bias**: upwards for few clusters, as
    differences within one are not seen, and downwards for few samples, as histograms of one distribution differ too;
    clusters fit the larger cloud, so compare equal numbers. Without `rng` the same clusters are found each time.
    ShapeError if features do not fit, are none, are not finite, or there are fewer points than clusters.
    """
    check_clouds("prd_curve", real, fake)
    if min(clusters, angles, runs) < 1 or clusters > len(real) + len(fake):
        raise ShapeError(
            f"prd_curve: expected clusters, angles, runs >= 1 and no more clusters than samples, "
            f"got {clusters}, {angles} and {runs} for {len(real) + len(fake)}"
        )
    rng = rng or Stream(0, "prd_curve")
    both = np.concatenate([real, fake])
    check_finite("prd_curve", np.square(both))
    slopes = np.tan(np.arange(1, angles + 1) / (angles + 1) * np.pi / 2)
    precision, recall = np.zeros(angles), np.zeros(angles)
    for _ in range(runs):
        found = k_means(both, clusters, seed=int(rng.integers(1 << 31)), components=both.shape[1])
        p, q = (np.bincount(part, minlength=clusters) / len(part) for part in np.split(found, [len(real)]))
        here = np.minimum(slopes[:, None] * p, q).sum(1)
        precision += here / runs
        recall += here / slopes / runs
    return PRDCurve(precision, recall, _f_score(precision, recall, 8), _f_score(precision, recall, 1 / 8))


def _f_score(precision: np.ndarray, recall: np.ndarray, beta: float) -> float:
    """The best on the curve; 0 where the two clouds share no cluster."""
    weighted = beta**2 * precision + recall
    return float(((1 + beta**2) * precision * recall / np.maximum(weighted, 1e-12)).max())
