"""Which modes of a mixture samples reach, and how evenly: the protocol of VEEGAN and PacGAN."""

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from .classes import class_balance
from .finite import check_finite


class ModeCoverage(NamedTuple):
    """How samples are spread over the modes of a mixture of Gaussians."""

    modes: int  # that at least one good sample reaches
    good: float  # share of samples within 3 standard deviations of their nearest mode
    reverse_kl: float  # nats, of the good samples' histogram against equal shares; 0 at best, ln(modes) at worst
    histogram: np.ndarray  # good samples of each mode


def mode_coverage(points: np.ndarray, centres: np.ndarray, std: float) -> ModeCoverage:
    """Modes reached by `points` (N, D) of equally likely Gaussians of deviation `std` about `centres` (K, D).

    A sample is good if it lies within 3 std of its nearest centre; reverse KL is sum h ln(h K) over the shares h of the
    good samples, infinite if there are none (Srivastava et al. 2017, Lin et al. 2018, who draw 2 500 samples). In the
    plane 1.1% of the mixture's own samples are not good. ShapeError if shapes do not fit, one is empty, std <= 0, or a
    number is not finite.
    """
    fitting = points.ndim == centres.ndim == 2 and points.shape[1] == centres.shape[1]
    if not (fitting and points.size and centres.size and 0 < std < np.inf):
        raise ShapeError(
            f"mode_coverage: expected points (N, D), centres (K, D) and std > 0, "
            f"got {points.shape}, {centres.shape} and {std}"
        )
    check_finite("mode_coverage", points, centres)
    distance = np.sqrt(((points[:, None] - centres[None]) ** 2).sum(2, dtype=np.float64))
    nearest = distance.argmin(1)
    good = distance.min(1) <= 3 * std
    if not good.any():
        return ModeCoverage(0, 0.0, float("inf"), np.zeros(len(centres), np.int64))
    modes, kl, histogram = class_balance(nearest[good], len(centres))
    return ModeCoverage(modes, float(good.mean()), kl, histogram)
