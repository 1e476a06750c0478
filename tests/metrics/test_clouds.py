"""Curves, densities, pairs and spectra where they are known."""

import numpy as np
import pytest

from minigan import metrics
from minigan.errors import ShapeError
from minigan.metrics import similarity
from minigan.random import Stream


def test_the_curve_of_two_histograms_written_out(rng):
    """Of clusters that nobody can miss: shares (.5, .3, .2) of the real, (0, .4, .6) of the fake."""
    centres = 1e3 * np.eye(3)
    real, fake = (np.repeat(centres, counts, 0) for counts in ([50, 30, 20], [0, 40, 60]))
    curve = metrics.prd_curve(real + rng.random(real.shape), fake, clusters=3, angles=3, runs=1, rng=Stream(0))
    slopes = [np.tan(np.pi / 8), 1.0, np.tan(3 * np.pi / 8)]
    precision = [min(0.3 * s, 0.4) + min(0.2 * s, 0.6) for s in slopes]
    np.testing.assert_allclose(curve.precision, precision, rtol=1e-9)
    np.testing.assert_allclose(curve.recall, np.divide(precision, slopes), rtol=1e-9)
    p, r = curve.precision, curve.recall
    assert curve.f8 == pytest.approx((65 * p * r / (64 * p + r)).max())
    assert curve.f_eighth == pytest.approx((65 / 64 * p * r / (p / 64 + r)).max())


def test_density_of_a_window_about_one_sample():
    samples, test = np.zeros((1, 3)), np.array([[0, 3, 4.0], [0, 0, 0]])
    value, error = metrics.parzen_log_likelihood(samples, test, 2.0)
    logs = np.array([-25 / 8, 0]) - 1.5 * np.log(2 * np.pi * 4)
    assert (value, error) == pytest.approx((logs.mean(), logs.std(ddof=1) / 2**0.5))
    far = metrics.parzen_log_likelihood(samples, 1e3 * test[:1], 0.1)  # exp(-1.25e9) is 0
    assert far.value == pytest.approx(-25e6 / 0.02 - 1.5 * np.log(2 * np.pi * 0.01))
    assert np.isnan(far.error)


def test_the_likeliest_sigma_is_that_of_the_data(rng):
    samples, validation = rng.standard_normal((2, 300, 1)) * 1e-3, 0.4 * rng.standard_normal((300, 1))
    sigma = metrics.parzen_sigma(samples[0], validation)
    assert sigma == np.logspace(-1, 0, 10)[np.argmin(abs(np.logspace(-1, 0, 10) - 0.4))]
    assert metrics.parzen_sigma(samples[0], validation, [3.0, 0.4]) == 0.4
    for sigmas in ([], [0.0], [[0.1]]):
        with pytest.raises(ShapeError, match="parzen_sigma: expected sigmas"):
            metrics.parzen_sigma(samples[0], validation, sigmas)
    with pytest.raises(ShapeError, match="a sigma > 0, got -1"):
        metrics.parzen_log_likelihood(samples[0], validation, -1)


def test_support_of_samples_that_are_known(rng):
    x = np.repeat(rng.random((30, 2)) + 10 * np.arange(30)[:, None], 20, 0)  # 30 samples, 20 times each
    found = metrics.support_size(x, 0.1)
    assert found.pairs == 30 * 20 * 19 / 2
    assert found.size == pytest.approx(600 * 599 / (30 * 20 * 19))
    assert found.least < found.size
    none = metrics.support_size(x[::20], 0.1)
    assert (none.size, none.pairs) == (np.inf, 0)
    assert none.least == pytest.approx(30 * 29 / 2 / 3.0, rel=0.02)  # Poisson's 5 % for no event: 3.0


def test_one_dropped_neighbour_or_centre_is_named(rng):
    x = rng.random((9, 2))
    with pytest.raises(ShapeError, match="k >= 1 neighbours, got 0"):
        metrics.precision_recall(x, x, 0)
    with pytest.raises(ShapeError, match="at least 6 in each"):
        metrics.density_coverage(x, x[:5])
    with pytest.raises(ShapeError, match="the same centres, got none"):
        metrics.memorisation(x, x, x + 100, np.array([[0.0, 0], [100, 100]]))
    with pytest.raises(ShapeError, match="a distance > 0, got 0"):
        metrics.support_size(x, 0)
    for options in ({"runs": 0}, {"clusters": 19}):
        with pytest.raises(ShapeError, match="clusters, angles, runs >= 1"):
            metrics.prd_curve(x, x, **options)


@pytest.mark.parametrize("measure", [metrics.precision_recall, metrics.kernel_distance, metrics.nearest])
def test_what_overflows_is_refused(measure):
    far = np.linspace(-1e25, 1e25, 20, dtype="float32").reshape(10, 2)
    with pytest.raises(ShapeError, match="expected finite numbers"), np.errstate(all="ignore"):
        measure(far, far)


@pytest.mark.parametrize("size", [(16, 16), (15, 20)])
def test_power_is_where_the_waves_are(rng, size):
    x = np.arange(size[1]) * np.ones((size[0], 1))
    waves = 3 * np.cos(2 * np.pi * 5 * x / size[1])
    power = metrics.radial_power(np.stack([waves, np.full(size, 2.0)])[:, None])
    at = round(5 * min(size) / size[1])
    assert power.shape == (2, min(size) // 2 + 1)
    assert power[0].argmax() == at
    np.testing.assert_allclose(power[0, np.arange(len(power[0])) != at], 0, atol=1e-9)
    np.testing.assert_allclose(power[1], [4 * np.prod(size)] + [0] * (min(size) // 2), atol=1e-9)
    noise = metrics.radial_power(0.5 * rng.standard_normal((400, 3, *size))).mean(0)
    np.testing.assert_allclose(noise, 0.25, rtol=0.15)
    with pytest.raises(ShapeError, match=r"radial_power: expected images .* got \(5, 5\)"):
        metrics.radial_power(np.zeros((5, 5)))


def test_scales_fit_the_image_and_bytes_are_their_own_range(rng):
    sides = {11: 1, 21: 1, 28: 2, 32: 2, 64: 3, 96: 4, 176: 5, 512: 5}
    assert {side: similarity.scales_of((side, side)) for side in sides} == sides
    a, b = rng.integers(0, 256, (2, 4, 3, 29, 35)).astype(np.uint8)
    as_bytes = metrics.ms_ssim(a, b)
    assert as_bytes.shape == (4,)
    np.testing.assert_allclose(metrics.ms_ssim(a / 255.0, b / 255.0, span=1.0), as_bytes, rtol=1e-9)
    np.testing.assert_allclose(metrics.ms_ssim(b, a), as_bytes, rtol=1e-12)
    assert (metrics.ms_ssim(a, 255 - a) < 0.01).all()  # opposite structure counts as none
    for measure in (metrics.ms_ssim, metrics.ssim):
        for bad, span in ((a[:, :, :10], None), (a, 0)):
            with pytest.raises(ShapeError, match=f"{measure.__name__}: expected"):
                measure(bad, bad, span)


def test_sharpness_is_how_much_neighbours_differ(rng):
    b = rng.integers(0, 256, (5, 3, 12, 12)).astype(np.uint8)
    assert metrics.sharpness(b, b) == 1
    assert metrics.sharpness(b / 2.0, b * 1.0) == pytest.approx(0.5)
    blurred = (b + np.roll(b.astype(float), 1, 3)) / 2
    assert 0.4 < metrics.sharpness(blurred, b) < 0.9
    steps = np.zeros((1, 1, 2, 3))
    steps[..., 1:] = 2.0  # one step in each of two rows
    tall = np.zeros((1, 1, 2, 3))
    tall[..., 1, :] = 1.0  # one in each of three columns
    assert metrics.sharpness(steps, tall) == pytest.approx(4 / 3)
    assert metrics.sharpness(b, np.zeros_like(b)) == np.inf
    with pytest.raises(ShapeError, match="sharpness: expected two sets"):
        metrics.sharpness(b, b[:1])


def test_psnr_is_how_far_pixels_are_apart_in_decibels(rng):
    a = rng.integers(0, 246, (5, 3, 7, 9)).astype(np.uint8)
    np.testing.assert_allclose(metrics.psnr(a, a + 10), 20 * np.log10(25.5))
    np.testing.assert_allclose(metrics.psnr(a / 127.5 - 1, (a + 10.0) / 127.5 - 1), 20 * np.log10(25.5))
    assert (metrics.psnr(a, a) == np.inf).all()
    assert (metrics.ssim(a.repeat(2, 2).repeat(2, 3), a.repeat(2, 2).repeat(2, 3)) == 1).all()
    for bad, span in ((a[0], None), (a, 0)):
        with pytest.raises(ShapeError, match="psnr: expected"):
            metrics.psnr(bad, bad, span)
