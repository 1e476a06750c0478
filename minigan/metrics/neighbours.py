"""Nearest neighbours: which of many samples lies closest, and how well that tells a class."""

import numpy as np

from ..errors import ShapeError
from .distances import squared_distances
from .finite import check_finite


def nearest(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """The position in `pool` (M, ...) of the sample closest to each of `queries` (N, ...): int64 (N,).

    Distances are Euclidean over all axes but the first; the first of several that are equally close is taken. They are
    float32, or float64 if an array is, and computed blockwise. ShapeError if the pool is empty, its samples have
    another shape, or a number is not finite.
    """
    if len(pool) == 0 or queries.shape[1:] != pool.shape[1:]:
        raise ShapeError(
            f"nearest: expected samples of one shape and some to find, got {queries.shape} in a pool {pool.shape}"
        )
    check_finite("nearest", queries, pool)
    found = [squares.argmin(1) for _, squares in squared_distances(queries, pool)]
    return np.concatenate([np.empty(0, np.int64), *found])


def one_nn_accuracy(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """The share of `test` samples whose nearest neighbour in `train` has the same label: 0 to 1.

    ShapeError if there is nothing to test, or not one label for each sample.
    """
    counts = len(train), len(train_labels), len(test), len(test_labels)
    listed = train_labels.ndim == test_labels.ndim == 1
    if not listed or counts[0] != counts[1] or counts[2] != counts[3] or counts[2] == 0:
        raise ShapeError(
            f"one_nn_accuracy: expected a label for each sample and a test sample at least, got {counts[0]} samples "
            f"with {counts[1]} labels, and {counts[2]} with {counts[3]} to test"
        )
    return float((train_labels[nearest(test, train)] == test_labels).mean())
