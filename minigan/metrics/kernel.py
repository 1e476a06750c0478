"""The kernel distance of two clouds of features: KID."""

import numpy as np

from ..errors import ShapeError
from ..random import Stream
from .estimates import Estimate
from .finite import check_clouds, check_finite


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = 100, size: int = 1000, rng: Stream | None = None
) -> Estimate:
    """The squared maximum mean discrepancy of features (N, d) and (M, d) under the kernel (x . y / d + 1)^3.

    It is the mean over `subsets` draws of `size` from each, without replacement (at most half of the smaller cloud, so
    that draws differ), of the unbiased estimate (Gretton et al. 2012, lemma 6; Binkowski et al. 2018, who call it KID).
    **No bias**: for two clouds of one distribution it is 0 on average, so it may be below 0, and it may be compared
    between different numbers of samples, which no Frechet distance may. It sees means, covariances and skewness, no
    more; features that are scaled by c change it, about as c^6 if they are large.

    The error is that of the whole clouds: with s the deviation of subsets, n the smaller cloud,
    s sqrt(1 / subsets + size / (n - size)). For clouds of one distribution that is too large rather than too small.
    Products are float32, or float64 if a cloud is. Without `rng` the same subsets are drawn each time. ShapeError if
    the features do not fit, are not finite, a cloud has fewer than four, subsets < 2 or size < 2.
    """
    check_clouds("kernel_distance", a, b, least=4)
    if subsets < 2 or size < 2:
        raise ShapeError(f"kernel_distance: expected subsets >= 2 of size >= 2, got {subsets} and {size}")
    rng = rng or Stream(0, "kernel_distance")
    smaller = min(len(a), len(b))
    size = min(size, smaller // 2)
    dtype = np.result_type(a.dtype, b.dtype, np.float32)
    a, b = a.astype(dtype), b.astype(dtype)
    found = np.empty(subsets)
    for i in range(subsets):
        found[i] = _discrepancy(a[rng.permutation(len(a))[:size]], b[rng.permutation(len(b))[:size]])
    check_finite("kernel_distance", found)  # cubes of large features overflow
    error = found.std(ddof=1) * np.sqrt(1 / subsets + size / (smaller - size))
    return Estimate(float(found.mean()), float(error))


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate for as many a as b: the kernel of a point with itself does not count."""
    n = len(a)
    within = sum(_kernel_sum(x, x) - _own_kernel(x).sum(dtype=np.float64) for x in (a, b))
    return float(within / (n * (n - 1)) - 2 * _kernel_sum(a, b) / n**2)


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    inner = a @ b.T
    inner /= a.shape[1]
    inner += 1
    return (inner * inner * inner).sum(1).sum(dtype=np.float64)


def _own_kernel(a: np.ndarray) -> np.ndarray:
    return (np.einsum("nd,nd->n", a, a) / a.shape[1] + 1) ** 3
