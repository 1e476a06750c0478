"""The score of a classifier's probabilities at its ends, and its bias."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import inception_score


def test_the_score_at_its_ends():
    assert inception_score(np.eye(4)[np.arange(40) % 4], splits=5) == pytest.approx((4, 0))
    assert inception_score(np.eye(4)[np.zeros(40, int)]).value == pytest.approx(1)  # one class alone
    assert inception_score(np.full((40, 4), 0.25, np.float32)).value == pytest.approx(1)  # no idea


def test_fewer_samples_have_a_lower_score(rng):
    p = rng.dirichlet(np.full(10, 0.1), 2000)
    values = [inception_score(p, splits).value for splits in (1, 20, 100)]
    assert values[0] > values[1] > values[2]
    assert np.log(values[0] / values[1]) < (10 - 1) / (2 * 100)  # what the docstring states, for hard labels
    assert np.isnan(inception_score(p, 1).error)


@pytest.mark.parametrize(
    ("probabilities", "splits"),
    [(np.eye(3), 4), (np.eye(3), 0), (np.ones(3), 1), (np.ones((3, 2)), 1), (np.array([[1.5, -0.5]]), 1)],
)
def test_what_are_no_probabilities_is_refused(probabilities, splits):
    with pytest.raises(ShapeError, match="inception_score: expected"):
        inception_score(probabilities, splits)
