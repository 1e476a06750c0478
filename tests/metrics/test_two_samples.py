"""The two-sample test: its p-value against labels dealt at random, and what it is made for."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import two_sample_test, two_samples


def test_mean_and_deviation_are_those_of_labels_dealt_at_random(rng):
    n = 9
    neighbour = rng.integers(0, 2 * n - 1, 2 * n)
    neighbour += neighbour >= np.arange(2 * n)  # never itself; some are mutual, some share one
    labels = np.arange(2 * n) < n
    dealt = []
    for _ in range(40_000):
        now = labels[rng.permutation(2 * n)]
        dealt.append((now[neighbour] == now).mean())
    mean, deviation = two_samples._dealt(neighbour, n)
    assert np.mean(dealt) == pytest.approx(mean, abs=4e-3)
    assert np.std(dealt) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("classifier", ["nearest", "linear"])
def test_p_is_small_as_seldom_as_it_says(rng, classifier):
    p = np.array([two_sample_test(*rng.standard_normal((2, 60, 3)), classifier).p for _ in range(100)])
    assert (p < 0.2).mean() == pytest.approx(0.2, abs=0.12)
    assert (p < 0.01).sum() < 5


def test_the_linear_one_sees_means_alone(rng):
    a, b = rng.standard_normal((400, 3)), 3 * rng.standard_normal((300, 3))
    assert two_sample_test(a, b).p < 1e-3
    assert two_sample_test(a, b, "linear").p > 1e-3
    assert two_sample_test(a, b + 9, "linear").accuracy > 0.95


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ShapeError, match="of nearest, linear, got 'forest'"):
        two_sample_test(np.zeros((9, 2)), np.zeros((9, 2)), "forest")
    with pytest.raises(ShapeError, match="at least 4"):
        two_sample_test(np.zeros((3, 2)), np.zeros((9, 2)))
