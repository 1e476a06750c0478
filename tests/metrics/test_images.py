"""Measures of samples: the Frechet distance in closed form, strokes that are drawn to measure."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import frechet_distance, slant, thickness


def test_frechet_distance_of_aligned_clouds_in_closed_form(rng):
    """Where covariances commute it is |m_a - m_b|^2 + sum (s_a - s_b)^2 over their standard deviations."""
    cloud = rng.standard_normal((500, 3))
    cloud = np.linalg.qr(cloud - cloud.mean(0))[0] * 499**0.5  # mean 0, covariance exactly 1
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    a = cloud * [1.0, 2.0, 3.0] @ turn + 5
    b = cloud[::-1] * [4.0, 1.0, 0.0] @ turn
    expected = 3 * 25 + 3**2 + 1**2 + 3**2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)  # b's covariance has no inverse:
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-7)  # zeros are roots of rounding errors


def test_frechet_distance_against_the_root_of_the_product(rng):
    """The other form: tr (C_a C_b)^(1/2) is the sum of roots of the product's eigenvalues."""
    a, b = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 5)), rng.standard_normal((40, 5)) + 0.3
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = np.sqrt(np.linalg.eigvals(ca @ cb).real).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a.astype("float32"), b) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_fewer_samples_than_features(rng):
    """Covariances without full rank: rounding makes some of their eigenvalues negative."""
    a, b = rng.standard_normal((8, 64)), rng.standard_normal((8, 64)) + 1
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    assert apart < frechet_distance(a, b) < apart + 64 * 2 * 2
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)


def test_frechet_distance_refuses_what_does_not_fit():
    for shapes in [((5, 2), (5, 3)), ((1, 2), (5, 2)), ((5, 2), (1, 2)), ((4,), (4,)), ((4, 0), (4, 0))]:
        with pytest.raises(ShapeError, match="frechet_distance"):
            frechet_distance(*(np.zeros(shape) for shape in shapes))


def bar(width, shear=0.0, side=28):
    """A bar 20 pixels high, `width` wide, that moves `shear` pixels to the right for each it goes up."""
    y, x = np.mgrid[:side, :side]
    centre = (side - 1) / 2 - shear * (y - (side - 1) / 2)
    ink = np.clip(width / 2 + 0.5 - abs(x - centre), 0, 1) * (abs(y - (side - 1) / 2) < 10)
    return 2 * ink[None] - 1


def test_thickness_of_bars_in_pixels():
    measured = thickness(np.stack([bar(w) for w in (2, 3, 5)]))
    # the ends are edges too: 2 w 20 / (2 * 20 + 2 w)
    np.testing.assert_allclose(measured, [20 * w / (20 + w) for w in (2, 3, 5)], rtol=0.04)


def test_slant_of_bars_is_their_shear():
    measured = slant(np.stack([bar(3, s) for s in (-0.4, 0.0, 0.25)]))
    np.testing.assert_allclose(measured, [-0.4, 0.0, 0.25], atol=0.01)


def test_empty_images_have_no_strokes():
    empty = -np.ones((2, 1, 8, 8), np.float32)
    assert not thickness(empty).any()
    assert not slant(empty).any()
    for measure in (thickness, slant):
        with pytest.raises(ShapeError, match=r"got \(2, 3, 8, 8\)"):
            measure(np.zeros((2, 3, 8, 8)))
