"""Clusters that nobody named: k-means."""

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..random import Stream
from .finite import check_clouds


class Clusters(NamedTuple):
    """Points by the nearest of some centres."""

    centres: np.ndarray  # (K, d)
    nearest: np.ndarray  # (N,) int64: which one of them each point is of


def k_means(points: np.ndarray, clusters: int, rounds: int = 30, rng: Stream | None = None) -> Clusters:
    """Lloyd's algorithm on points (N, d) from the seeds of k-means++ (Arthur and Vassilvitskii 2007).

    It ends when no point changes its cluster, or after `rounds`. A cluster that loses its last point keeps its centre.
    It finds a local minimum of the squared distances, another one for another stream; without `rng` the same for the
    same points. Distances are float32, or float64 if points are. ShapeError if points are not (N, d) and finite, or
    not 1 <= clusters <= N.
    """
    check_clouds("k_means", points)
    if not 1 <= clusters <= len(points):
        raise ShapeError(f"k_means: expected 1 to {len(points)} clusters, one for a point at most, got {clusters}")
    points = points.astype(np.result_type(points.dtype, np.float32))
    middle = points.mean(0)
    points -= middle  # squares of small numbers: what is common to all would only cost digits
    centres = _seeds(points, clusters, rng or Stream(0, "k_means"))
    nearest = _nearest(points, centres)
    for _ in range(rounds):
        centres = _means(points, nearest, centres)
        before, nearest = nearest, _nearest(points, centres)
        if np.array_equal(before, nearest):
            break
    return Clusters(centres + middle, nearest)


def _seeds(points: np.ndarray, clusters: int, rng: Stream) -> np.ndarray:
    """Points of the cloud, each drawn with a probability that grows as its squared distance to those before."""
    chosen = [int(rng.integers(len(points)))]
    left = np.full(len(points), np.inf)
    for _ in range(clusters - 1):
        left = np.minimum(left, ((points - points[chosen[-1]]) ** 2).sum(1, dtype=np.float64))
        reach = np.cumsum(left)
        drawn = np.searchsorted(reach, reach[-1] * float(rng.uniform(dtype="float64")), side="right")
        chosen.append(min(int(drawn), len(points) - 1))
    return points[chosen]


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    # |p - c|^2 / 2 without |p|^2, which is the same for every c
    return (np.einsum("kd,kd->k", centres, centres) / 2 - points @ centres.T).argmin(1)


def _means(points: np.ndarray, nearest: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of each cluster's points; its centre before, where there are none."""
    member = (nearest == np.arange(len(centres))[:, None]).astype(points.dtype)
    counts = np.bincount(nearest, minlength=len(centres))[:, None]
    return np.where(counts > 0, member @ points / np.maximum(counts, 1), centres).astype(points.dtype)
