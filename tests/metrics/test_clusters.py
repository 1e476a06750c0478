"""Purity of clusters against counts by hand."""

import numpy as np
import pytest

import minigan as mg
from minigan.metrics import majority, purity


def test_purity_counts_each_clusters_majority():
    clusters, labels = np.array([0, 0, 0, 2, 2, 2, 2]), np.array([5, 5, 1, 0, 7, 7, 0])
    assert purity(clusters, labels) == (2 + 2) / 7
    assert majority(clusters, labels).tolist() == [5, -1, 0]


def test_purity_at_its_ends(rng):
    labels = rng.integers(0, 10, 1000)
    assert purity((labels + 3) % 10, labels) == 1  # names do not matter
    assert purity(np.zeros(1000, np.int64), labels) == np.bincount(labels).max() / 1000
    assert purity(np.arange(1000), labels) == 1


@pytest.mark.parametrize(
    ("clusters", "labels"), [([0, 1], [0]), ([], []), ([0.0, 1.0], [0, 1]), ([[0]], [[1]]), ([0, -1], [0, 1])]
)
def test_what_is_no_clustering_is_refused(clusters, labels):
    with pytest.raises(mg.errors.ShapeError, match="expected two arrays of integers"):
        purity(np.array(clusters), np.array(labels))
