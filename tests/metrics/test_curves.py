"""Curves: a median filter's values, and rank correlation against its definition."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import median_filter, spearman


def test_median_filter_ignores_one_outlier_and_keeps_a_step():
    values = np.array([1.0, 1, 100, 1, 1, 5, 5, 5])
    np.testing.assert_array_equal(median_filter(values, 3), [1, 1, 1, 1, 1, 5, 5, 5])
    np.testing.assert_array_equal(median_filter(values, 1), values)
    np.testing.assert_array_equal(median_filter(np.array([1.0, 2, 6]), 5), [2, 2, 2])
    for window in (0, 4):
        with pytest.raises(ShapeError, match=f"and {window}"):
            median_filter(values, window)


def test_spearman_sees_order_alone():
    a = np.array([0.1, 0.5, 2.0, 9.0])
    assert spearman(a, np.exp(a)) == pytest.approx(1)
    assert spearman(a, -(a**3)) == pytest.approx(-1)
    swapped = np.array([1.0, 3, 2, 4])  # 1 - 6 sum d^2 / (n (n^2 - 1)) = 1 - 6 * 2 / 60
    assert spearman(a, swapped) == pytest.approx(0.8)


def test_spearman_with_ties():
    a, b = np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4])
    assert spearman(a, b) == pytest.approx(np.corrcoef([1, 2.5, 2.5, 4], b)[0, 1])


def test_spearman_refuses_what_has_no_order():
    with pytest.raises(ShapeError, match="constant"):
        spearman(np.ones(3), np.arange(3.0))
    with pytest.raises(ShapeError, match=r"\(3,\) and \(2,\)"):
        spearman(np.ones(3), np.ones(2))
