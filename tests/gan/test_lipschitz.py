"""Bounds of a critic's Lipschitz constant: against the matrix of each layer, and in the order they must have."""

import numpy as np
import pytest

import minigan as mg
from minigan.gan import lipschitz
from minigan.tensor import Tensor

CONVOLUTIONS = [
    ((2, 6, 6), {"kernel_size": 3}),
    ((3, 8, 8), {"kernel_size": 4, "stride": 2, "padding": 1}),
    ((2, 7, 5), {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)}),
    ((2, 2, 2), {"kernel_size": 2}),  # one window: a dense layer
    ((4, 7, 7), {"kernel_size": 3, "dilation": 2, "groups": 2, "padding": "same"}),
    ((1, 9, 9), {"kernel_size": 3, "stride": 2, "dilation": 2}),
]


def matrix(layer, shape):
    """The layer's linear part as a dense matrix, a column for each pixel of the input."""
    basis = Tensor(np.eye(int(np.prod(shape))).reshape(-1, *shape))
    return lipschitz._linear_part(layer, basis).numpy().reshape(len(basis), -1).T


def convolution(shape, options):
    mg.random.seed(3)
    return mg.nn.Conv2d(shape[0], 4, **options).to(dtype="float64")


@pytest.mark.parametrize(("shape", "options"), CONVOLUTIONS)
def test_spectral_norm_is_that_of_the_matrix(shape, options):
    layer = convolution(shape, options)
    exact = np.linalg.norm(matrix(layer, shape), 2)
    found = lipschitz.spectral_norm(layer, shape, iterations=400, rng=mg.random.Stream(1))
    assert exact * (1 - 1e-4) < found < exact * (1 + 1e-12)


@pytest.mark.parametrize(("shape", "options"), CONVOLUTIONS)
def test_bound_of_clipped_weights_holds_and_is_its_formula(shape, options):
    layer = convolution(shape, options)
    bound = lipschitz.clipped_bound(mg.nn.Sequential(layer), shape, 0.25)
    for weights in (np.full(layer.weight.shape, 0.25), 0.25 * np.sign(layer.weight.numpy())):
        layer.weight.copy_(weights)
        a = matrix(layer, shape)
        assert np.linalg.norm(a, 2) <= bound * (1 + 1e-12)
    rows, columns = np.abs(a).sum(1).max(), np.abs(a).sum(0).max()
    assert bound == pytest.approx(np.sqrt(rows * columns), rel=0.35)  # the borders may leave it unreached
    assert bound >= np.sqrt(rows * columns) * (1 - 1e-12)


def test_bounds_of_a_dense_layer_are_reached():
    layer = mg.nn.Linear(6, 3).to(dtype="float64")
    layer.weight.copy_(np.full((3, 6), 0.5))
    net = mg.nn.Sequential(layer)
    assert lipschitz.clipped_bound(net, (6,), 0.5) == pytest.approx(0.5 * 18**0.5, rel=1e-12)
    assert lipschitz.clipped_bound(net, (6,)) == pytest.approx(0.5 * 18**0.5, rel=1e-12)
    assert lipschitz.spectral_bound(net, (6,)) == pytest.approx(0.5 * 18**0.5, rel=1e-12)


def test_a_critic_lies_between_its_bounds():
    mg.random.seed(0)
    critic = mg.models.dcgan(16, channels=1, width=4, norm=None).discriminator
    mg.gan.clip_weights(critic.parameters(), 0.03)
    x = Tensor(mg.random.Stream(2).uniform((32, 1, 16, 16), -1, 1))
    slope = lipschitz.steepest_slope(critic, x)
    spectral = lipschitz.spectral_bound(critic, (1, 16, 16))
    assert 0 < slope < spectral < lipschitz.clipped_bound(critic, (1, 16, 16), 0.03)
    half = lipschitz.clipped_bound(critic, (1, 16, 16), 0.015)
    assert half == pytest.approx(lipschitz.clipped_bound(critic, (1, 16, 16), 0.03) / 2**5, rel=1e-12)  # five layers


def test_slope_of_a_linear_critic_is_its_weight():
    w = Tensor(np.array([[3.0], [4.0]]))
    assert lipschitz.steepest_slope(lambda x: x @ w, Tensor(np.ones((5, 2)))) == pytest.approx(5, rel=1e-12)


def test_layers_without_a_bound_are_named():
    norm = mg.nn.Sequential(mg.nn.Conv2d(1, 2, 3), mg.nn.BatchNorm2d(2))
    with pytest.raises(mg.errors.ShapeError, match="BatchNorm2d"):
        lipschitz.spectral_bound(norm, (1, 8, 8))
    with pytest.raises(mg.errors.ShapeError, match="got Tanh"):
        lipschitz.spectral_norm(mg.nn.Tanh(), (3,))
    for critic in (mg.nn.Linear(3, 1), mg.nn.Sequential(mg.nn.Tanh())):
        with pytest.raises(mg.errors.ShapeError, match="that of a Sequential with weights, got"):
            lipschitz.clipped_bound(critic, (3,))
