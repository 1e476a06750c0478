"""Curves of a run: smoothed without being moved by outliers, compared without regard to scale."""

import numpy as np

from ..errors import ShapeError
from .finite import check_finite


def median_filter(values: np.ndarray, window: int) -> np.ndarray:
    """(N,) each value's median over a window of that odd width around it; at the ends, over what there is.

    ShapeError if there is no value, one is not finite, or the window is not odd.
    """
    if values.ndim != 1 or len(values) == 0 or window < 1 or window % 2 == 0:
        raise ShapeError(f"median_filter: expected (N,) and an odd window >= 1, got {values.shape} and {window}")
    check_finite("median_filter", values)
    half = window // 2
    framed = np.pad(values.astype(float), half, constant_values=np.nan)
    return np.nanmedian(np.lib.stride_tricks.sliding_window_view(framed, window), axis=1)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of ranks, in [-1, 1]: 1 if b rises wherever a rises. Ties share their mean rank.

    ShapeError if they are not two series (N,) of at least two finite values, or one of them is constant.
    """
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ShapeError(f"spearman: expected two series (N,), N >= 2, got {a.shape} and {b.shape}")
    check_finite("spearman", a, b)
    ranked = [ranks(a), ranks(b)]
    if min(r.std() for r in ranked) == 0:
        raise ShapeError("spearman: a constant series has no ranks")
    return float(np.corrcoef(ranked)[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) the place of each value in order, from 1; ties share their mean."""
    _, where, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[where]
