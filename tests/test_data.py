"""Data sets that are drawn, and data sets by the name or path that a command line gives."""

import numpy as np

from minigan import data


def test_digits_are_the_same_for_the_same_seed():
    pictures, labels = data.digits(300, seed=1)
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((300, 1, 28, 28), np.uint8, np.int64)
    again, same = data.digits(300, seed=1)
    assert np.array_equal(pictures, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(pictures, data.digits(300, seed=2)[0])


def test_digits_are_digits():
    """Black ground, enough ink, and told apart by their nearest neighbours."""
    pictures, labels = data.digits(4000)
    flat = pictures.reshape(4000, -1).astype("float32") / 255
    assert np.bincount(labels, minlength=10).min() > 300
    assert flat[:, :28].mean() < 0.01
    assert flat.mean(1).min() > 0.02
    train, test = flat[:3500], flat[3500:]
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    assert (labels[:3500][distance.argmin(1)] == labels[3500:]).mean() > 0.92


def test_point_sets():
    x, y = data.quadratic(1000).T
    assert x.min() >= -50
    assert x.max() < 50
    np.testing.assert_allclose(y, 10 + x**2, rtol=1e-6)
    points, mode = data.gaussians_ring(2000, modes=8)
    assert points.dtype == np.float32
    for k in range(8):
        angle = 2 * np.pi * k / 8
        centre = points[mode == k].mean(0)
        np.testing.assert_allclose(centre, [2 * np.cos(angle), 2 * np.sin(angle)], atol=0.01)
