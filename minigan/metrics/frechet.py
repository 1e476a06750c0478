"""The distance between two clouds of features, each taken for a normal distribution."""

import numpy as np

from .finite import check_clouds, check_finite


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of features (N, d) and (M, d), >= 0; zero for equal moments.

    m are means, C covariances (divided by N - 1, as NumPy's `cov` does): the squared Wasserstein-2 distance of two
    normal distributions (Dowson and Landau 1982), used on a classifier's features by Heusel et al. 2017. It falls as
    samples become like the real ones, and is biased upwards where there are few: compare equal numbers of samples.
    ShapeError if the features do not fit, are not finite, or one cloud has fewer than two of them.
    """
    check_clouds("frechet_distance", a, b, least=2)
    (mean_a, cov_a), (mean_b, cov_b) = _moments(a), _moments(b)
    check_finite("frechet_distance", cov_a, cov_b)  # squares of large features overflow
    root = _square_root(cov_a)
    # C_a C_b is similar to the symmetric C_a^(1/2) C_b C_a^(1/2), so its root has the same trace
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap
    return max(float(distance), 0.0)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = features.astype(np.float64)
    mean = wide.mean(0)
    wide -= mean
    return mean, wide.T @ wide / (len(wide) - 1)


def _square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
