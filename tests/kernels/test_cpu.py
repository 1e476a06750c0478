"""Kernels on large arrays, which threads share: the same numbers as the plain expressions."""

import numpy as np
import pytest

from minigan.kernels import cpu, geometry, portable

SHAPE = (16, 32, 26, 26)  # more elements than one thread keeps to itself


def image(rng, shape=SHAPE, dtype="float32"):
    n, c, h, w = shape
    return rng.standard_normal((n, h, w, c)).astype(dtype).transpose(0, 3, 1, 2)


def operands(rng):
    """Pairs of operands of every kind that `arithmetic` tells apart."""
    x = image(rng)
    per_channel = rng.standard_normal((1, 32, 1, 1)).astype("float32")
    return {
        "two images": (x, image(rng)),
        "other memory order": (x, rng.standard_normal(SHAPE).astype("float32")),
        "per channel": (x, per_channel),
        "per channel first": (per_channel, x),
        "per pixel": (x, rng.standard_normal((26, 26)).astype("float32")),
        "a number": (x, 1.5),
        "a number first": (1.5, x),
        "one element": (x, np.full((1, 1), 1.5, "float32")),
        "no axes": (np.asarray(1.5, "float32"), x),
        "more axes": (x.reshape(-1), np.full((1, 1, 1), 1.5, "float32")),
        "another type": (x, np.arange(26)),
        "integers": (np.arange(600_000), np.arange(600_000)),
        "a matrix and a row": (rng.standard_normal((1000, 300)), rng.standard_normal((1, 300))),
        "an outer sum": (rng.standard_normal((600, 1)), rng.standard_normal((1, 600))),
    }


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum"])
def test_arithmetic_is_numpys(name, rng):
    for kind, (a, b) in operands(rng).items():
        with np.errstate(divide="ignore", invalid="ignore"):
            got, expected = cpu.arithmetic(name, a, b), getattr(np, name)(a, b)
        assert got.dtype == expected.dtype, kind
        np.testing.assert_array_equal(got, expected, err_msg=kind)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0, 1.5])
def test_leaky_relu_and_its_gradient(slope, rng):
    x, g = image(rng), image(rng)
    x[0, 0, 0, :3] = 0.0, -0.0, np.nan
    y = cpu.leaky_relu(x, slope)
    np.testing.assert_array_equal(y, np.where(x > 0, x, np.float32(slope) * x))
    expected = np.where(y > 0, g, np.float32(slope) * g)
    np.testing.assert_allclose(cpu.leaky_relu_grad(g, y, slope), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [SHAPE, (700, 500), (3, 5, 2, 2)])
def test_normalisation_is_the_formula(shape, rng):
    x, g = (image(rng, shape, "float64") if len(shape) == 4 else rng.standard_normal(shape) for _ in range(2))
    axes = tuple(i for i in range(x.ndim) if i != 1)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    stats = cpu.channel_stats(x, 1e-5)
    r = stats[1]
    close = {"rtol": 1e-9, "atol": 1e-10}
    np.testing.assert_allclose(stats, [mean, 1 / np.sqrt(var + 1e-5)], **close)
    y = (x - mean) * r
    np.testing.assert_allclose(cpu.batch_norm(x, stats), y, **close)
    np.testing.assert_allclose(cpu.batch_norm(x, stats, var), y * var, **close)
    np.testing.assert_allclose(cpu.batch_norm(x, stats, var, mean), y * var + mean, **close)
    np.testing.assert_allclose(cpu.scale_shift(y, r, mean), y * r + mean, **close)
    np.testing.assert_allclose(cpu.channel_dot(g, y), (g * y).sum(axes, keepdims=True), **close)
    sums = cpu.channel_sums(g, x, stats)
    np.testing.assert_allclose(sums, [g.sum(axes, keepdims=True), (g * y).sum(axes, keepdims=True)], **close)
    along = r * (g - g.mean(axes, keepdims=True) - y * (g * y).mean(axes, keepdims=True))
    np.testing.assert_allclose(cpu.batch_norm_grad(g, x, stats, sums), along, **close)
    np.testing.assert_allclose(cpu.batch_norm_grad(g, x, stats, sums, var), var * along, **close)
    np.testing.assert_allclose(cpu.sum(x, axes, True), x.sum(axes, keepdims=True), **close)


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (2, 1), (3, 2), ((2, 3), (3, 3))])
def test_pooling_puts_each_gradient_where_the_winner_was(window, stride, rng):
    x = image(rng)
    s = geometry.pooling("max_pool2d", x.shape, window, stride)
    y = cpu.pool_max(x, s)
    winner = cpu.pool_winner(x, y, s)
    g = image(rng, s.y)
    expected = np.zeros_like(x)
    for k, (_, _, rows, columns) in enumerate(s.taps()):
        expected[:, :, rows, columns] += np.where(winner == k, g, 0)
    np.testing.assert_allclose(cpu.pool_put(g, winner, s), expected, rtol=1e-6)
    np.testing.assert_array_equal(cpu.pool_take(x, winner, s), y)


@pytest.mark.parametrize("sizes", [(3, 4, 5), (128, 700, 600), (600, 700, 128), (128, 1024, 1), (40, 300, 30)])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_with_a_bias(sizes, transposed, rng):
    rows, inner, columns = sizes
    x, b = rng.standard_normal((rows, inner)), rng.standard_normal(columns)
    w = rng.standard_normal((columns, inner)) if transposed else rng.standard_normal((inner, columns)).T
    np.testing.assert_allclose(cpu.linear(x, w, b), x @ w.T + b, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(cpu.linear(x, w), cpu.matmul(x, w.T), rtol=1e-10, atol=1e-10)
    y = rng.standard_normal((rows, columns))
    np.testing.assert_allclose(cpu.linear_weight(x, y), y.T @ x, rtol=1e-10, atol=1e-10)


def test_small_parameters_that_move_together_move_as_alone(rng):
    shapes = [(3, 4), (7,), (), (1,), (200, 100)]
    together, alone = [], []
    for k, shape in enumerate(shapes):
        row = [np.asarray(rng.uniform(0.5, 1.5, shape), ("float32", "float64")[k % 2]) for _ in range(4)]
        together.append([a.copy() for a in row])
        alone.append(row)
    options = {"lr": np.asarray(0.1), "t": np.asarray(3), "betas": (0.5, 0.9), "eps": 1e-8, "weight_decay": 0.1}
    cpu.update(portable.adam, together, decoupled=False, **options)
    for row in alone:
        portable.adam(*(a.reshape(-1) for a in row), decoupled=False, **options)
    for a, b in zip(together, alone, strict=True):
        for ours, theirs in zip(a, b, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [SHAPE, (700, 500)])
def test_two_memory_orders_are_the_same_numbers(shape, rng):
    """One of them rows of channels, the other not: as the first operand and as the second."""
    rows = image(rng, shape, "float64") if len(shape) == 4 else rng.standard_normal(shape)
    other = rng.standard_normal(shape) if len(shape) == 4 else rng.standard_normal(shape[::-1]).T
    stats = rng.uniform(1, 2, (2, 1, shape[1], *(1 for _ in shape[2:])))
    axes = tuple(i for i in range(rows.ndim) if i != 1)
    for a, b in ((rows, other), (other, rows)):
        np.testing.assert_allclose(cpu.channel_dot(a, b), (a * b).sum(axes, keepdims=True), rtol=1e-9)
        sums = cpu.channel_sums(a, b, stats)
        y = (b - stats[0]) * stats[1]
        np.testing.assert_allclose(sums[1], (a * y).sum(axes, keepdims=True), rtol=1e-9)
        along = stats[1] * (a - a.mean(axes, keepdims=True) - y * (a * y).mean(axes, keepdims=True))
        np.testing.assert_allclose(cpu.batch_norm_grad(a, b, stats, sums), along, rtol=1e-9, atol=1e-12)


def test_a_large_parameter_that_is_a_view_moves(rng):
    """Every second column, so that its memory is not one run: the update goes into it, not into a copy."""
    memory = rng.standard_normal((600, 1200))
    p, g = memory[:, ::2], rng.standard_normal((600, 1200))[:, ::2]
    before, kept = p.copy(), memory[:, 1::2].copy()
    assert p.strides == g.strides
    assert p.size > cpu._SHARED_ELEMENTS
    cpu.update(portable.sgd, [[p, g]], lr=np.asarray(0.5), momentum=0.0, weight_decay=0.0, nesterov=False)
    np.testing.assert_array_equal(p, before - 0.5 * g)
    np.testing.assert_array_equal(memory[:, 1::2], kept)


@pytest.mark.parametrize("count", [2, 5, 7, 8])
@pytest.mark.parametrize("keepdims", [False, True])
def test_few_elements_side_by_side_are_folded_as_numpy_does(count, keepdims, rng):
    x = rng.standard_normal((6, 9, count)).astype("float32")
    x[0, 0, 1], x[1, 1] = np.nan, 3.0
    for name in ("max", "min"):
        found = cpu.extreme(name, x, (2,), keepdims)
        np.testing.assert_array_equal(found, getattr(x, name)(axis=2, keepdims=keepdims))
    np.testing.assert_array_equal(cpu.sum(x, (2,), keepdims), x.sum(axis=2, keepdims=keepdims))
