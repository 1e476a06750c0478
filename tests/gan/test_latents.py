"""Ways through a latent space: their ends, their lengths, and that a great circle is one."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.gan import LatentCode, lerp, normal_latent, slerp, truncated_latent, uniform_latent
from minigan.random import Stream

T = np.linspace(0, 1, 9)


def test_both_begin_and_end_where_they_should(rng):
    a, b = rng.standard_normal((2, 3, 50))
    for way in (lerp(a, b, T), slerp(a, b, T)):
        assert way.shape == (9, 3, 50)
        np.testing.assert_allclose(way[[0, -1]], [a, b], rtol=1e-12, atol=1e-14)


def test_a_great_circle_keeps_the_length_and_turns_evenly(rng):
    a, b = rng.standard_normal((2, 100))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    way = slerp(a, b, T)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-12)
    steps = (way[1:] * way[:-1]).sum(1) / (a @ a)
    angle = np.arccos(a @ b / (a @ a))
    np.testing.assert_allclose(np.arccos(steps), angle / 8, rtol=1e-9)
    middle = np.linalg.norm(lerp(a, b, T)[4]) / np.linalg.norm(a)
    assert middle == pytest.approx(np.cos(angle / 2), rel=1e-9)  # the straight line is shorter in the middle


def test_lengths_change_evenly():
    way = slerp(np.array([1.0, 0]), np.array([0, 3.0]), T)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1 + 2 * T, rtol=1e-12)


def test_nearly_parallel_vectors_take_the_straight_line():
    a = np.array([1.0, 0, 0])
    for apart in (0.0, 1e-9, 1e-7, 1e-4):
        b = a + np.array([0, apart, 0])
        np.testing.assert_allclose(slerp(a, b, T), lerp(a, b, T), atol=apart**2 + 1e-15)


def test_float32_stays_float32():
    a, b = np.eye(4, dtype="float32")[:2]
    assert slerp(a, b, T.astype("float32")).dtype == np.float32


def test_what_has_no_way_is_an_error():
    a = np.array([1.0, 2.0])
    with pytest.raises(ShapeError, match="opposite"):
        slerp(a, -a, T)
    with pytest.raises(ShapeError, match="length zero"):
        slerp(a, 0 * a, T)
    for way in (lerp, slerp):
        with pytest.raises(ShapeError, match=r"\(2,\), \(3,\), \(9,\)"):
            way(a, np.zeros(3), T)


@pytest.mark.parametrize("bound", [0.3, 1.0, 2.0])
def test_truncated_noise_is_normal_noise_between_its_bounds(bound):
    z = truncated_latent(normal_latent(50), bound)(2000, Stream(1)).numpy()
    assert z.dtype == np.float32
    assert np.abs(z).max() <= bound
    plain = normal_latent(50)(2000, Stream(1)).numpy()
    np.testing.assert_array_equal(z[np.abs(plain) <= bound], plain[np.abs(plain) <= bound])
    a = np.linspace(-bound, bound, 100_001)
    density = np.exp(-a * a / 2)
    spread = np.sqrt((a * a * density).sum() / density.sum())
    assert z.mean() == pytest.approx(0, abs=4 * spread / z.size**0.5)
    assert z.std() == pytest.approx(spread, rel=0.01)
    few = truncated_latent(normal_latent(50), bound)(7, Stream(1)).numpy()
    np.testing.assert_array_equal(few, z[:7])  # whatever their number


def test_noise_without_tails_is_not_truncated():
    with pytest.raises(ShapeError, match=r"truncated_latent: normal noise has .*UniformLatent.* is another"):
        truncated_latent(uniform_latent(3), 0.5)
    with pytest.raises(ShapeError, match=r"truncated_latent: bound: expected .* got 0"):
        truncated_latent(normal_latent(3), 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: normal_latent(0),
        lambda: uniform_latent(-1),
        lambda: uniform_latent(2, 1.0, 1.0),
        lambda: uniform_latent(2, np.nan),
        lambda: uniform_latent(2, 0.0, np.inf),
        lambda: LatentCode(noise=-1),
        lambda: LatentCode(categories=0),
        lambda: LatentCode(continuous=-1),
    ],
)
def test_noise_that_cannot_be_drawn_is_refused(make):
    with pytest.raises(ShapeError, match=r"(normal_latent|uniform_latent|LatentCode): .*: expected .*, got "):
        make()
