"""The modulated convolution against weights made for each sample, and what it starts as."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn


def per_sample(layer, x, style):
    """A convolution of each sample with a weight of its own: the paper's equations 1 to 3."""
    s = layer.affine(style).numpy()
    outs = []
    for k in range(len(x)):
        w = layer.weight.numpy() * s[k][None, :, None, None]
        if layer.demodulate:
            w = w / np.sqrt((w**2).sum((1, 2, 3), keepdims=True) + layer.eps)
        outs.append(mg.conv2d(x[k : k + 1], mg.tensor(w), padding=layer.padding).numpy())
    return np.concatenate(outs)


def in_groups(layer, x, style):
    """All samples at once, a group of channels for each."""
    n, c, height, width = x.shape
    outer = layer.weight.shape[0]
    w = layer.weight.numpy()[None] * layer.affine(style).numpy()[:, None, :, None, None]
    if layer.demodulate:
        w = w / np.sqrt((w**2).sum((2, 3, 4), keepdims=True) + layer.eps)
    joined = mg.reshape(x, (1, n * c, height, width))
    y = mg.conv2d(joined, mg.tensor(w.reshape(n * outer, *w.shape[2:])), padding=layer.padding, groups=n)
    return y.numpy().reshape(n, outer, *y.shape[2:])


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel", "padding"), [(3, "same"), (1, 0), ((2, 3), ((1, 0), (0, 2)))])
@pytest.mark.parametrize("other", [per_sample, in_groups])
def test_it_is_the_convolution_with_weights_of_each_sample(other, kernel, padding, demodulate, rng):
    layer = nn.ModulatedConv2d(5, 7, kernel, 6, demodulate, padding).to(dtype="float64")
    x, style = mg.tensor(rng.standard_normal((4, 5, 6, 8))), mg.tensor(rng.standard_normal((4, 6)))
    expected = other(layer, x, style)
    np.testing.assert_allclose(layer(x, style).numpy(), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_outputs_have_unit_variance_whatever_the_style(rng):
    layer = nn.ModulatedConv2d(64, 32, 3, 8)
    x = mg.tensor(rng.standard_normal((4, 64, 24, 24)).astype("float32"))
    for size in (0.1, 30.0):
        style = mg.tensor((rng.standard_normal((4, 8)) * size).astype("float32"))
        inside = layer(x, style).numpy()[:, :, 2:-2, 2:-2]
        assert inside.std() == pytest.approx(1, abs=0.05)


def test_it_starts_with_styles_of_one_and_the_variance_kept(rng):
    layer = nn.ModulatedConv2d(64, 64, 3, 512, demodulate=False, rng=mg.random.Stream(1))
    assert list(layer.state_dict()) == ["weight", "affine.weight", "affine.bias"]
    assert layer.weight.numpy().std() == pytest.approx(1 / 24, rel=0.02)
    assert layer.affine.weight.numpy().std() == pytest.approx(512**-0.5, rel=0.02)
    assert (layer.affine(mg.zeros((1, 512))).numpy() == 1).all()


def test_the_length_of_a_path_has_a_gradient(rng):
    """Path-length regularisation: |d <y, noise> / d style| differentiated with respect to the weights."""
    layer = nn.ModulatedConv2d(3, 4, 3, 2).to(dtype="float64")
    x, noise = (mg.tensor(rng.standard_normal(s)) for s in ((2, 3, 4, 4), (2, 4, 4, 4)))
    style = mg.tensor(rng.standard_normal((2, 2)))

    def length(*params):
        y = nn.functional_call(layer, list(params), x, style)
        (slope,) = mg.grad(mg.sum(y * noise), [style], create_graph=True)
        return mg.mean(mg.ops.lengths(slope, 1e-12))

    params = [mg.tensor(p.numpy()) for p in layer.parameters()]
    mg.testing.gradcheck(length, params, order=1)
    assert all(g.numpy().any() for g in mg.grad(length(*params), params))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.ModulatedConv2d(2, 3, 3, 0), "ModulatedConv2d: style_dim: expected an integer >= 1, got 0"),
        (lambda: nn.ModulatedConv2d(2, 3, 0, 4), "ModulatedConv2d: kernel_size"),
        (lambda: nn.ModulatedConv2d(2, 3, 3, 4, 1), "ModulatedConv2d: demodulate: expected True or False, got 1"),
        (lambda: nn.ModulatedConv2d(2, 3, 3, 4, padding="full"), 'padding must be "valid", "same" or numbers'),
        (lambda: nn.ModulatedConv2d(2, 3, 3, 4, eps=-1.0), "ModulatedConv2d: eps"),
        (
            lambda: nn.ModulatedConv2d(2, 3, 3, 4)(mg.ones((5, 2, 4, 4)), mg.ones((1, 4))),
            r"images \(N, 2, H, W\) and styles \(N, 4\), got \(5, 2, 4, 4\) and \(1, 4\)",
        ),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
