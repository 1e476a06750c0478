"""Attention: what it starts as, what it sees, what it refuses."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn


def test_it_begins_as_the_image_and_gamma_learns(rng):
    layer = nn.SelfAttention2d(16)
    x = mg.tensor(rng.standard_normal((2, 16, 4, 4)).astype("float32"))
    y = layer(x)
    assert np.array_equal(y.numpy(), x.numpy())
    names = [k for k, _ in layer.named_parameters()]
    slopes = dict(zip(names, mg.grad(mg.sum(y * y), layer.parameters()), strict=True))
    assert slopes["gamma"].item() != 0
    assert not slopes["o.weight"].numpy().any()


def test_a_pixel_sees_all_others(rng):
    layer = nn.SelfAttention2d(8, rng=mg.random.Stream(0)).to(dtype="float64")
    nn.init.ones_(layer.gamma)
    x = rng.standard_normal((1, 8, 6, 6))
    other = x.copy()
    other[0, :, 4:, 4:] += 9  # all pixels that are pooled to one
    change = layer(mg.tensor(other)).numpy() - layer(mg.tensor(x)).numpy()
    assert (np.abs(change[0]).max(0) > 1e-9).all()


def test_weights_are_a_mean_and_the_scale_sharpens_it(rng):
    q, k = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    one = np.eye(5)
    weights = mg.scaled_dot_product_attention(q, k, one).numpy()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(mg.scaled_dot_product_attention(q, k, one, scale=0.0).numpy(), 0.2)
    sharp = mg.scaled_dot_product_attention(q, k, one, scale=1e4).numpy()
    assert np.array_equal(sharp.argmax(-1), (q @ k.T).argmax(-1))
    assert np.isfinite(sharp).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.SelfAttention2d(12), "multiple of 2 and of the reduction 8, got 12"),
        (lambda: nn.SelfAttention2d(8, 0), "SelfAttention2d: reduction: expected an integer >= 1, got 0"),
        (lambda: nn.SelfAttention2d(8)(mg.ones((1, 4, 4, 4))), r"images \(N, 8, H, W\) of 2x2 or more, got \(1, 4,"),
        (lambda: nn.SelfAttention2d(8)(mg.ones((1, 8, 1, 4))), r"of 2x2 or more, got \(1, 8, 1, 4\)"),
        (lambda: nn.MultiheadAttention(6, 4), "6 numbers do not split into 4 heads"),
        (lambda: nn.MultiheadAttention(4, 2)(*[mg.ones((2, 3, 5))] * 3), r"expected \(L, N, 4\), got \(2, 3, 5\)"),
        (
            lambda: nn.MultiheadAttention(4, 2)(mg.ones((2, 3, 4)), mg.ones((5, 3, 4)), mg.ones((6, 3, 4))),
            r"keys and values of one shape.*got \(2, 3, 4\), \(5, 3, 4\), \(6, 3, 4\)",
        ),
        (lambda: mg.scaled_dot_product_attention(mg.ones((2, 3)), mg.ones((2, 4)), mg.ones((2, 4))), "one length E"),
        (lambda: mg.scaled_dot_product_attention(mg.ones((2, 3)), mg.ones((2, 3)), mg.ones((3, 4))), "of S = 2 keys"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()


def test_integers_are_refused():
    x = np.ones((2, 3), "int64")
    with pytest.raises(mg.errors.DTypeError, match="scaled_dot_product_attention: expected floats, got int64"):
        mg.scaled_dot_product_attention(x, x, x)
