"""The exact Wasserstein distance against every pairing, and where it is known."""

import itertools

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import wasserstein


@pytest.mark.parametrize("n", range(1, 7))
def test_no_pairing_is_cheaper(n, rng):
    for k in range(10):
        a, b = (rng.normal(0, 1, (2, n, 3)) if k % 2 else rng.integers(0, 3, (2, n, 3))).astype(float)
        cost = np.linalg.norm(a[:, None] - b, axis=2)
        best = min(cost[np.arange(n), list(order)].mean() for order in itertools.permutations(range(n)))
        assert wasserstein(a, b) == pytest.approx(best, abs=1e-7)


def test_where_it_is_known(rng):
    a = rng.normal(0, 1, (80, 2))
    assert wasserstein(a, a[rng.permutation(80)]) == pytest.approx(0, abs=1e-6)
    assert wasserstein(a, a + np.array([3.0, 4.0])) == pytest.approx(5)  # a translation: its length
    x, y = rng.normal(0, 1, (100, 1)), rng.normal(1, 3, (100, 1))
    assert wasserstein(x, y) == pytest.approx(abs(np.sort(x, 0) - np.sort(y, 0)).mean())  # on a line: in order


def test_clouds_of_other_sizes_are_refused():
    with pytest.raises(ShapeError, match=r"got \(3, 2\) and \(4, 2\)"):
        wasserstein(np.zeros((3, 2)), np.zeros((4, 2)))
