"""How well clusters that nobody named agree with labels."""

import numpy as np

from ..errors import ShapeError


def majority(clusters: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label that is most frequent in each cluster, the smallest of several; -1 for an empty one: int64 (clusters,).

    `clusters` and `labels` are integers >= 0 (N,), one of each for every sample. ShapeError if they are not.
    """
    table = _table(clusters, labels)
    return np.where(table.any(1), table.argmax(1), -1)


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """The share of samples whose label is their cluster's most frequent one, in (0, 1].

    1 - purity is the error of a classifier that names each cluster after its majority. With as many clusters as
    samples it is 1, so compare like with like. `clusters` and `labels` are integers >= 0 (N,); ShapeError if not.
    """
    return float(_table(clusters, labels).max(1).sum() / len(labels))


def _table(clusters: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How often each label occurs in each cluster: (clusters, labels)."""
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    integers = clusters.dtype.kind in "iu" and labels.dtype.kind in "iu"
    paired = clusters.ndim == 1 and clusters.shape == labels.shape and len(labels) > 0
    if not (integers and paired and clusters.min() >= 0 and labels.min() >= 0):
        raise ShapeError(
            f"clusters and labels: expected two arrays of integers >= 0 of one shape (N,), at least one each, "
            f"got {clusters.dtype} {clusters.shape} and {labels.dtype} {labels.shape}"
        )
    table = np.zeros((int(clusters.max()) + 1, int(labels.max()) + 1), np.int64)
    np.add.at(table, (clusters, labels), 1)
    return table
