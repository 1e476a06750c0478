"""Intervals hold the truth as often as they say."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import bootstrap, density_coverage, frechet_distance, precision_recall
from minigan.random import Stream


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_mean_lies_in_its_interval_as_often_as_it_should(rng, share):
    draws = Stream(1, "intervals")
    held = []
    for _ in range(150):
        low, high = bootstrap(np.mean, rng.exponential(1, 60), share=share, level=0.9, rng=draws)
        held.append(low < 1 < high)
    assert 0.8 < np.mean(held) < 0.97  # 3 deviations of 150 draws are 0.07; skewed data cost a little


def test_the_width_is_that_of_the_standard_error(rng):
    x = rng.standard_normal(400)
    low, high = bootstrap(np.mean, x, rounds=1000)
    assert (low + high) / 2 == pytest.approx(x.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * x.std(ddof=1) / 20, rel=0.08)


def test_a_distance_that_is_biased_lies_in_the_middle_all_the_same(rng):
    """Efron's bootstrap would put it at the lower end, or outside: a sample drawn twice is no new one."""
    a, b = rng.standard_normal((2, 100, 20))
    value = frechet_distance(a, b)
    low, high = bootstrap(frechet_distance, a, b)
    assert 0 < low < value < high < 2 * value


@pytest.mark.slow
@pytest.mark.parametrize("measure", [frechet_distance, precision_recall, density_coverage])
def test_the_width_is_what_new_samples_differ_by(rng, measure):
    draw = lambda: (rng.standard_normal((300, 8)), rng.standard_normal((300, 8)) + 0.3)
    differ = np.std([measure(*draw()) for _ in range(60)], axis=0)
    for share in (0.2, 0.5):
        stated = np.mean([np.subtract(*bootstrap(measure, *draw(), share=share)[::-1]) / 2 / 1.96 for _ in range(8)], 0)
        assert (0.75 * differ < stated).all()
        assert (stated < 1.7 * differ).all()


def test_several_numbers_have_two_arrays(rng):
    a, b = rng.standard_normal((60, 2)), 2 * rng.standard_normal((60, 2))
    low, high = bootstrap(density_coverage, a, b, rounds=8)
    assert low.shape == high.shape == (2,)
    assert (low < density_coverage(a, b)).all()
    assert (density_coverage(a, b) < high).all()
    assert np.array_equal(low, bootstrap(density_coverage, a, b, rounds=8).low)  # the same draws each time
    assert not np.array_equal(low, bootstrap(density_coverage, a, b, rounds=8, rng=Stream(2)).low)


def test_rows_that_belong_together_are_drawn_by_their_indices(rng):
    x = rng.standard_normal(50)
    paired = bootstrap(lambda i: np.corrcoef(x[i], 2 * x[i])[0, 1], np.arange(50))
    assert paired == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("samples", "options"),
    [
        ([], {}),
        ([np.ones(9)], {"rounds": 1}),
        ([np.ones(9)], {"share": 1.0}),
        ([np.ones(9)], {"level": 0}),
        ([np.ones(9), np.ones(1)], {}),
        ([np.ones(9)], {"share": 0.01}),
    ],
)
def test_what_gives_no_interval_is_refused(samples, options):
    with pytest.raises(ShapeError, match="bootstrap: expected"):
        bootstrap(lambda *x: 0.0, *samples, **options)
