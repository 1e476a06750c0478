"""The exact Wasserstein distance against every pairing, and where it is known."""

import itertools

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import sliced_wasserstein, wasserstein


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


def test_the_sliced_distance_where_it_is_known(rng):
    a = rng.normal(0, 1, (80, 3))
    assert sliced_wasserstein(a, a[rng.permutation(80)]) == pytest.approx(0, abs=1e-6)
    t = np.array([3.0, -4.0, 12.0])
    found = sliced_wasserstein(a, a + t, directions=20_000)  # a translation: its length along a direction
    assert found == pytest.approx(13 / 3**0.5, rel=0.02)
    x, y = rng.normal(0, 1, (100, 1)), rng.normal(1, 3, (100, 1))
    in_order = np.sqrt(np.mean((np.sort(x, 0) - np.sort(y, 0)) ** 2))
    assert sliced_wasserstein(x, y) == pytest.approx(in_order, rel=1e-6)
    assert in_order > 1.05 * abs(np.sort(x, 0) - np.sort(y, 0)).mean()  # its square is averaged, not its length
    assert sliced_wasserstein(a, a + t) == sliced_wasserstein(a, a + t)
    assert sliced_wasserstein(a, a + t, seed=1) != sliced_wasserstein(a, a + t)


def test_a_distance_that_overflows_is_refused():
    far = np.full((3, 2), 1e200)
    with pytest.raises(ShapeError, match="wasserstein: expected finite numbers"), np.errstate(all="ignore"):
        wasserstein(far, -far)


def test_clouds_of_other_sizes_are_refused():
    with pytest.raises(ShapeError, match=r"got \(3, 2\) and \(4, 2\)"):
        wasserstein(np.zeros((3, 2)), np.zeros((4, 2)))
