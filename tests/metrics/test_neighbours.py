"""Nearest neighbours against every distance written out."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import distances, nearest, one_nn_accuracy


@pytest.mark.parametrize("block", [1, 64, 1 << 24])
def test_the_nearest_is_the_one_of_least_distance(rng, monkeypatch, block):
    monkeypatch.setattr(distances, "BLOCK", block)
    pool, queries = rng.standard_normal((40, 2, 3)) + 100, rng.standard_normal((23, 2, 3)) + 100
    written_out = ((queries[:, None] - pool[None]) ** 2).sum((2, 3))
    found = nearest(queries, pool)
    assert np.array_equal(found, written_out.argmin(1))
    assert found.dtype == np.int64


def test_bytes_are_numbers_and_the_first_of_equals_is_taken():
    pool = np.array([[0, 0], [255, 255], [0, 0], [250, 0]], np.uint8)
    assert nearest(pool, pool).tolist() == [0, 1, 0, 3]
    assert nearest(pool[:0], pool).shape == (0,)


def test_accuracy_of_separate_and_of_shuffled_classes(rng):
    labels = np.arange(60) % 3
    points = 10.0 * labels[:, None] + rng.standard_normal((60, 4))
    assert one_nn_accuracy(points[:40], labels[:40], points[40:], labels[40:]) == 1
    assert one_nn_accuracy(points[:40], labels[:40], points[40:], (labels[40:] + 1) % 3) == 0
    half = np.where(np.arange(20) < 10, labels[40:], (labels[40:] + 1) % 3)
    assert one_nn_accuracy(points[:40], labels[:40], points[40:], half) == 0.5


def test_what_does_not_fit_is_named():
    with pytest.raises(ShapeError, match=r"got \(2, 3\) in a pool \(4, 5\)"):
        nearest(np.zeros((2, 3)), np.zeros((4, 5)))
    with pytest.raises(ShapeError, match=r"pool \(0, 3\)"):
        nearest(np.zeros((2, 3)), np.zeros((0, 3)))
    with pytest.raises(ShapeError, match="2 samples with 2 labels, and 2 with 2 to test"):
        one_nn_accuracy(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(2))
    with pytest.raises(ShapeError, match="4 samples with 3 labels, and 2 with 2 to test"):
        one_nn_accuracy(np.zeros((4, 1)), np.zeros(3), np.zeros((2, 1)), np.zeros(2))
