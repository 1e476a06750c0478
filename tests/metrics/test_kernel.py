"""The kernel distance: no bias, and an error that is one."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import kernel_distance
from minigan.random import Stream


def test_it_has_no_bias_and_its_error_is_that_of_the_whole_cloud(rng):
    """Against clouds drawn anew: the mean of estimates is the distance, their deviation the error they state."""
    draws = Stream(0, "kernel")
    found = []
    for _ in range(60):
        a, b = rng.standard_normal((60, 2)), rng.standard_normal((60, 2)) + 0.7
        found.append(kernel_distance(a, b, subsets=20, size=30, rng=draws))
    values, errors = np.array(found).T
    # E (x.y/2 + 1)^3 for independent normal x, y of means s and t: with m = s.t/2, terms of the third moments
    wide = rng.standard_normal((4, 200_000, 2)) + np.array([0, 0, 0.7, 0.7])[:, None, None]
    expected = [((wide[i] * wide[j]).sum(1) / 2 + 1) ** 3 for i, j in ((0, 1), (2, 3), (0, 2))]
    truth = expected[0].mean() + expected[1].mean() - 2 * expected[2].mean()
    assert values.mean() == pytest.approx(truth, abs=4 * values.std() / 60**0.5)
    assert 0.7 * values.std() < errors.mean() < 1.5 * values.std()


def test_for_one_distribution_it_is_below_zero_as_often_as_above(rng):
    values = [kernel_distance(*rng.standard_normal((2, 40, 3)), subsets=2, size=20).value for _ in range(60)]
    assert 15 < np.sum(np.array(values) < 0) < 50
    assert abs(np.mean(values)) < 3 * np.std(values) / 60**0.5


def test_subsets_are_drawn_by_the_stream(rng):
    a, b = rng.standard_normal((2, 50, 3))
    assert kernel_distance(a, b) == kernel_distance(a, b)
    assert kernel_distance(a, b) != kernel_distance(a, b, rng=Stream(1))


@pytest.mark.parametrize(("shapes", "options"), [(((3, 2), (9, 2)), {}), (((9, 2), (9, 2)), {"size": 1})])
def test_too_few_are_refused(shapes, options):
    with pytest.raises(ShapeError, match="kernel_distance: expected"):
        kernel_distance(*(np.zeros(shape) for shape in shapes), **options)
