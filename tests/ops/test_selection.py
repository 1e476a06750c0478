"""Where a gradient does not go it is 0, whatever comes down: a choice, not a product with 0. To second order."""

import numpy as np
import pytest

import minigan as mg

INF, NAN = np.inf, np.nan


def tensor(values):
    return mg.tensor(np.array(values, "float64"))


def gradient(fn, values):
    x = tensor(values)
    with np.errstate(all="ignore"):
        return mg.grad(mg.sum(fn(x)), x).numpy()


CHOICES = {
    "relu": (mg.relu, [-1.0, 4.0], [0.0, 0.25]),
    "leaky_relu, slope 0": (lambda x: mg.leaky_relu(x, 0.0), [-1.0, 4.0], [0.0, 0.25]),
    "maximum": (lambda x: mg.maximum(x, 0.0), [-1.0, 4.0], [0.0, 0.25]),
    "maximum, second": (lambda x: mg.maximum(0.0, x), [-1.0, 4.0], [0.0, 0.25]),
    "minimum": (lambda x: -mg.minimum(-x, 0.0), [-1.0, 4.0], [0.0, 0.25]),
    "minimum, second": (lambda x: -mg.minimum(0.0, -x), [-1.0, 4.0], [0.0, 0.25]),
    "clip": (lambda x: mg.clip(x, 0.0, None), [-1.0, 4.0], [0.0, 0.25]),
    "where": (lambda x: mg.where(x > 0, x, 0.0), [-1.0, 4.0], [0.0, 0.25]),
    "max": (mg.max, [-1.0, 0.0], [0.0, INF]),
    "max over an axis": (lambda x: mg.max(x, 1), [[-1.0, 0.0], [4.0, 1.0]], [[0.0, INF], [0.25, 0.0]]),
    "min": (lambda x: -mg.min(-x), [-1.0, 0.0], [0.0, INF]),
    "max_pool2d": (lambda x: mg.max_pool2d(x, 2), [[[[0.0, -1.0], [-2.0, -3.0]]]], [[[[INF, 0.0], [0.0, 0.0]]]]),
    "max_pool2d, overlapping": (
        lambda x: mg.max_pool2d(x, 2, 1),
        [[[[0.0, -1.0, 4.0], [-2.0, -3.0, 1.0]]]],
        [[[[INF, 0.0, 0.25], [0.0, 0.0, 0.0]]]],
    ),
    "power 0": (lambda x: x**0 - 1, [2.0, -1.0], [0.0, 0.0]),
    "power 0, a tensor": (lambda x: x ** tensor([0.0, 1.0]) - tensor([1.0, 0.0]), [2.0, 4.0], [0.0, 0.25]),
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_infinite_gradient_does_not_reach_what_was_not_chosen(name):
    fn, values, expected = CHOICES[name]
    np.testing.assert_array_equal(gradient(lambda x: mg.sqrt(fn(x)), values), expected)


@pytest.mark.parametrize("name", CHOICES)
def test_nor_at_second_order(name):
    fn, values, first = CHOICES[name]
    x = tensor(values)
    with np.errstate(all="ignore"):
        slope = mg.grad(mg.sum(mg.sqrt(fn(x))), x, create_graph=True)
        second = mg.grad(mg.sum(slope * x), x).numpy()
    not_chosen = np.array(first) == 0
    np.testing.assert_array_equal(second[not_chosen], 0)


def test_what_a_max_pool_takes_is_chosen_too():
    """The second derivative of a pool picks from x what the first picked from y."""
    g = tensor([[[[1.0, 1.0]]]])
    x = tensor([[[[2.0, 1.0, 0.0, 3.0]]]])
    cotangent = tensor([[[[5.0, INF, NAN, 7.0]]]])
    pooled = mg.grad(mg.max_pool2d(x, (1, 2)), x, g, create_graph=True)
    np.testing.assert_array_equal(mg.grad(pooled, g, cotangent).numpy(), [[[[5.0, 7.0]]]])


@pytest.mark.parametrize("fn", [mg.maximum, mg.minimum])
def test_equal_infinities_share_the_gradient_and_a_nan_takes_it(fn):
    a, b = tensor([INF, -INF, 2.0, NAN]), tensor([INF, -INF, 2.0, 0.0])
    for gradient in mg.grad(fn(a, b), [a, b], mg.ones(4, "float64")):
        np.testing.assert_array_equal(gradient.numpy(), [0.5, 0.5, 0.5, 1.0])


@pytest.mark.parametrize("fn", [mg.max, mg.min])
def test_extremes_that_are_infinite_or_nan_share_the_gradient(fn):
    np.testing.assert_array_equal(gradient(lambda x: fn(x, 1), [[INF, INF], [-INF, -INF]]), np.full((2, 2), 0.5))
    np.testing.assert_array_equal(gradient(fn, [1.0, NAN, 2.0, NAN]), [0.0, 0.5, 0.0, 0.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_first_nan_of_a_window_is_its_winner(dtype):
    x = mg.tensor(np.array([[[[0, NAN, 1, 2], [-2, NAN, 9, 3]]]], dtype))
    expected = [[[[0, 1, 0, 0], [0, 0, 1, 0]]]]
    np.testing.assert_array_equal(mg.grad(mg.sum(mg.max_pool2d(x, 2)), x).numpy(), expected)


def test_a_slope_of_0_is_relu_at_infinities():
    x = tensor([INF, 1.0, -1.0, -INF])
    np.testing.assert_array_equal(mg.leaky_relu(x, 0.0).numpy(), [INF, 1.0, 0.0, 0.0])
    assert np.isnan(mg.leaky_relu(tensor([NAN]), 0.0).numpy()).all()


def test_where_keeps_the_sign_of_a_zero_and_the_type_that_numpy_gives():
    mask = mg.tensor([True, False])
    for zero in (0.0, -0.0):
        found = mg.where(mask, tensor([1.0, 1.0]), zero).numpy()
        assert np.signbit(found).tolist() == [False, np.signbit(zero)]
    assert mg.where(mask, mg.tensor([1, 2]), 0.0).dtype == np.float32
    assert mg.where(mask, mg.tensor([1, 2]), 0).dtype == np.int64
    np.testing.assert_array_equal(mg.where(mask, 0.0, tensor([INF, NAN])).numpy(), [0.0, NAN])


def test_power_by_its_exponent():
    """d a^b / db = a^b ln a, which is NaN for a < 0, 0 for 0^b with b >= 0 and -inf for 0^b with b < 0."""
    b = tensor([2.0, 2.0, 0.0, -1.0, 3.0])
    with np.errstate(all="ignore"):
        y = tensor([-2.0, 0.0, 0.0, 0.0, 2.0]) ** b
        found = mg.grad(mg.sum(y), b).numpy()
    np.testing.assert_allclose(found, [NAN, 0.0, 0.0, -INF, 8 * np.log(2)])


def test_power_of_a_number_by_a_tensor_at_0():
    b = tensor([0.0, 2.0])
    np.testing.assert_array_equal(mg.grad(mg.sum(0.0**b), b).numpy(), [0.0, 0.0])
