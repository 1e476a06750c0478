"""Samples after steps of a diffusion: the paper's schedule by plain loops, how many steps, how far they reach."""

import numpy as np
import pytest
from test_augmentations import REAL, images

import minigan as mg
from minigan.gan.adaptive import Adaptive
from minigan.gan.augmentations import augmented
from minigan.gan.diffusion import diffusion, even_diffusion
from minigan.processes import Part
from minigan.processes.part import meaning
from minigan.random import Stream
from minigan.tensor import Tensor

MANY = 40_000
BOTH = {"priority": diffusion, "even": even_diffusion}


def schedule(length):
    """sqrt(a_t) for t = 0 to T, as the paper says it."""
    rates = np.linspace(1e-4, 2e-2, length)
    return np.sqrt(np.cumprod([1.0, *(1 - rates)]))


def reach(p):
    return None if p is None else mg.tensor(np.array(p))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("p", "length"), [(None, 1000), (1.0, 1000), (0.0, 10), (0.5, 505)])
def test_each_sample_is_at_one_of_the_papers_steps_as_often_as_it_says(name, p, length):
    x = np.ones((MANY, 1))
    noise = Stream(3)
    noise.uniform((MANY, 2), dtype="float64")
    e = noise.normal(x.shape, dtype="float64")
    found = BOTH[name](Tensor(x), Stream(3), reach(p)).numpy()
    levels = schedule(length)
    t = np.array([np.abs(levels * 1 + np.sqrt(1 - levels**2) * 0.05 * e[k] - found[k]).argmin() for k in range(400)])
    expected = levels[t] + np.sqrt(1 - levels[t] ** 2) * 0.05 * e[:400, 0]
    np.testing.assert_allclose(found[:400, 0], expected, rtol=0, atol=1e-12)
    assert 0.4 < (t == 0).mean() < 0.6
    weights = np.arange(1, length + 1) if name == "priority" else np.ones(length)
    mean = 0.5 + 0.5 * (weights * levels[1:]).sum() / weights.sum()
    assert found.mean() == pytest.approx(mean, abs=0.01)


def test_its_slope_is_what_is_left_of_a_sample_to_second_order():
    x = Tensor(images((6, 2, 3, 3)))
    for change in BOTH.values():
        mg.testing.gradcheck(lambda x, change=change: mg.square(change(x, Stream(1))), [x], order=2)


@pytest.mark.parametrize("shape", [(5, 3, 4, 4), (5, 2)])
def test_float32_and_channels_last_stay_and_points_are_diffused_too(shape):
    x = images(shape, "float32")
    if len(shape) == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    y = augmented(Tensor(x), ("diffusion",), Stream(0), reach(0.3))
    assert y.dtype == np.float32
    assert len(shape) == 2 or y.data.transpose(0, 2, 3, 1).flags.c_contiguous
    with pytest.raises(mg.errors.ShapeError, match="augment: expected images"):
        augmented(mg.zeros((5, 2)), ("diffusion", "color"), Stream(0))


def test_rows_of_a_batch_are_diffused_as_they_are_in_the_whole():
    x = images((8, 1, 4, 4))
    whole = diffusion(Tensor(x), Stream(4), reach(0.4)).numpy()
    for index in range(2):
        with meaning(Part(index, 2)):
            rows = diffusion(Tensor(x[index::2]), Stream(4), reach(0.4)).numpy()
        np.testing.assert_array_equal(rows, whole[index::2])


def test_a_probability_says_how_far_and_not_how_often():
    adaptive = Adaptive(0.6, 100, 0.0, mg.zeros((), dtype="float64"))
    apart = []
    for p in (0.0, 0.5, 1.0):
        adaptive.p.copy_(p)
        found = adaptive.varied(REAL, ("diffusion",), Stream(6)).numpy()
        np.testing.assert_array_equal(found, diffusion(REAL, Stream(6), adaptive.p).numpy())
        apart.append(np.abs(found - REAL.numpy()).max())
    assert 0 < apart[0] < apart[1] < apart[2]
    by_name = augmented(REAL, ("diffusion",), Stream(6)).numpy()
    np.testing.assert_array_equal(by_name, found)
