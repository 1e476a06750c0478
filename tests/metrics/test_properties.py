"""What must not change a measure does not, and what must does as the formula says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import metrics
from minigan.metrics import distances

D, SIGMA, ALIKE = 4, 0.5, 1.2


def nearest_accuracy(a, b):
    return metrics.two_sample_test(a, b).accuracy


MEASURES = {  # of two clouds, as arrays; with how each number scales with the clouds
    "frechet_distance": (metrics.frechet_distance, lambda value, c: value * c**2),
    "precision_recall": (metrics.precision_recall, lambda value, c: value),
    "density_coverage": (metrics.density_coverage, lambda value, c: value),
    "two_sample_test": (nearest_accuracy, lambda value, c: value),
    "memorisation": (lambda a, b: metrics.memorisation(a[:20], b, a[20:]), lambda value, c: value * [1, 1, c, c]),
    "mean_nearest_distance": (metrics.mean_nearest_distance, lambda value, c: value * c),
}


@st.composite
def clouds(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng, rng.standard_normal((45, D)), rng.standard_normal((45, D)) * draw(st.floats(0.3, 2)) + 0.3


@pytest.mark.parametrize("name", MEASURES)
@given(drawn=clouds(), factor=st.floats(0.1, 10))
def test_motions_change_nothing_and_scaling_what_it_should(name, drawn, factor):
    (rng, a, b), (measure, scaled) = drawn, MEASURES[name]
    expected = np.asarray(measure(a, b))
    turn, shift = np.linalg.qr(rng.standard_normal((D, D)))[0], rng.standard_normal(D)
    for move, there in ((lambda x: x @ turn + shift, expected), (lambda x: factor * x, scaled(expected, factor))):
        assert np.asarray(measure(move(a), move(b))) == pytest.approx(there, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - {"memorisation"}))
@given(drawn=clouds())
def test_the_order_of_samples_does_not_matter(name, drawn):
    (rng, a, b), (measure, _) = drawn, MEASURES[name]
    assert np.asarray(measure(rng.permutation(a), rng.permutation(b))) == pytest.approx(np.asarray(measure(a, b)))


@given(drawn=clouds(), factor=st.floats(0.1, 10))
def test_densities_and_pairs_scale_with_their_width(drawn, factor):
    _, a, b = drawn
    before, after = (metrics.parzen_log_likelihood(c * a, c * b, c * SIGMA) for c in (1, factor))
    assert after.value == pytest.approx(before.value - D * np.log(factor))
    assert metrics.support_size(factor * a, factor * ALIKE) == metrics.support_size(a, ALIKE)


@given(drawn=clouds())
def test_a_cloud_and_itself(drawn):
    _, a, _ = drawn
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.precision_recall(a, a) == (1, 1)
    density, coverage = metrics.density_coverage(a, a)
    assert 1 - 1e-9 < density < 1.2 + 1e-9  # its own ball, those of k - 1, and of k: on the border, rounding decides
    assert coverage == 1
    assert nearest_accuracy(a, a) == 0  # the nearest is the copy in the other cloud
    assert metrics.two_sample_test(a, a).p < 1e-6
    curve = metrics.prd_curve(a, a, clusters=5, runs=2)
    assert (curve.f8, curve.f_eighth) == pytest.approx((1, 1))  # at the slope of 1, the 501st of 1 001
    assert metrics.memorisation(a, a, a + 0.1).samples == 0


@given(drawn=clouds(), far=st.floats(50, 1e3))
def test_clouds_without_anything_in_common(drawn, far):
    _, a, b = drawn
    assert metrics.precision_recall(a, b + far) == (0, 0)
    assert metrics.density_coverage(a, b + far) == (0, 0)
    assert nearest_accuracy(a, b + far) == 1
    assert metrics.two_sample_test(a, b + far, "linear").accuracy == 1
    curve = metrics.prd_curve(a, b + far, clusters=2, runs=1)
    assert (curve.f8, curve.f_eighth) == (0, 0)
    assert metrics.frechet_distance(a, b + far) > D * (far - 5) ** 2


@pytest.mark.parametrize("block", [1, 200, 1 << 22])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kth_nearest_against_every_distance_sorted(rng, monkeypatch, block, dtype):
    monkeypatch.setattr(distances, "BLOCK", block)
    a, b = rng.standard_normal((30, D)).astype(dtype) + 100, rng.standard_normal((40, D)).astype(dtype) + 100
    other, own = (np.sort(((a[:, None] - x.astype(float)) ** 2).sum(2), 1) for x in (b, a))
    for k in (1, 2, 7):
        np.testing.assert_allclose(distances.kth_squares(a, b, k), other[:, k - 1], rtol=1e-4)
        np.testing.assert_allclose(distances.kth_squares(a, a, k, own=True), own[:, k], rtol=1e-4)
