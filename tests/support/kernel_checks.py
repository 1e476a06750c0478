"""Runs functions of minigan/kernels twice, by references and as written, and compares; one example of every kernel."""

import contextlib
from functools import partial

import fakecupy
import numpy as np
import pytest
from fakecuda import device

from minigan.backend import array_module, to_device
from minigan.kernels import cuda, cuda_conv, cuda_linear, cuda_random, geometry, portable, precision
from minigan.kernels.draws import Draw


@contextlib.contextmanager
def on_the_shim(order):
    device.order = order
    try:
        yield
    finally:
        device.order = None


def on_device(*arrays):
    return [a if a is None else fakecupy.ndarray(a.copy(order="K")) for a in arrays]


def results(made, changed=()):
    made = made if isinstance(made, list | tuple) else [made]
    return [a._host for a in (*made, *changed) if a is not None]


def check(order, function, *arrays, changes=(), rtol=1e-4):
    """function(*arrays) gives the same on the shim as by the references; `changes` are positions written in place.

    The order "gpu" stands for the device of this machine.
    """
    outcomes = []
    if order == "gpu":
        _check_on_gpu(function, arrays, changes, rtol)
        return
    for how in (None, order):
        given = on_device(*arrays)
        with on_the_shim(how) if how is not None else contextlib.nullcontext():
            made = function(*given)
        outcomes.append(results(made, [given[i] for i in changes]))
    _compare(*outcomes, rtol)


def _check_on_gpu(function, arrays, changes, rtol):
    with pytest.MonkeyPatch.context() as patch:
        fakecupy.install(patch)
        given = on_device(*arrays)
        expected = results(function(*given), [given[i] for i in changes])
    cupy = array_module("cuda")
    given = [a if a is None else to_device(a.copy(order="K"), "cuda") for a in arrays]
    made = function(*given)
    made = made if isinstance(made, list | tuple) else [made]
    _compare(expected, [cupy.asnumpy(a) for a in (*made, *(given[i] for i in changes)) if a is not None], rtol)


def _compare(expected_arrays, found_arrays, rtol):
    for expected, found in zip(expected_arrays, found_arrays, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        tolerance = rtol if expected.dtype != np.float64 else 1e-11
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def images(rng, shape, dtype):
    """Random images (N, C, H, W), channels-last in memory as often as not."""
    x = rng.standard_normal(shape).astype(dtype)
    return portable.channels_last(x) if rng.integers(2) else x


def spoilt(rng, x, *values):
    """x with an eighth of its elements replaced by some of `values`."""
    chosen = rng.random(x.shape) < 1 / 8
    x[chosen] = rng.choice(values, chosen.sum())
    return x


# --- what is checked of the kernels of a source, for any sizes ---------------------------------------------------


def pointwise(order, shape, seed, dtype, slope):
    rng = np.random.default_rng(seed)
    x, g = (rng.standard_normal(shape).astype(dtype) * 10 for _ in range(2))
    check(order, cuda.softplus, x)
    check(order, cuda.sigmoid, x)
    x, g = (spoilt(rng, a, np.inf, -np.inf, np.nan) for a in (x, g))
    check(order, lambda x: cuda.leaky_relu(x, slope), x)
    check(order, lambda g, x: cuda.leaky_relu_grad(g, x, slope), g, x)


def channels(order, shape, seed, dtype):
    rng = np.random.default_rng(seed)
    g, x = images(rng, shape, dtype), images(rng, shape, dtype)
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    w, b = (rng.standard_normal((1, shape[1], 1, 1)).astype(dtype) for _ in range(2))
    check(order, lambda x: cuda.sum(x, (0, 2, 3), True), x)
    check(order, lambda x, m: cuda.inv_std(x, m, 0.1), x, mean)
    check(order, cuda.normalize, x, mean, w)
    check(order, cuda.scale_shift, x, w, b)
    check(order, cuda.channel_dot, g, x)
    check(order, cuda.normalize_grad, g, x, w)
    running = [rng.random(shape[1]).astype(dtype) for _ in range(2)]
    moved = lambda a, b, m, r: cuda.track(a, b, m, r, 10, 0.1, 1e-5)
    check(order, moved, *running, mean, 0.5 + np.abs(w), changes=(0, 1))


def pool(order, shape, window, stride, seed, dtype):
    s = geometry.pooling("pool", shape, window, stride)
    rng = np.random.default_rng(seed)
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
    x = portable.channels_last(spoilt(rng, x, np.inf, np.nan))
    g = spoilt(rng, images(rng, s.y, dtype), np.inf)
    y = portable.pool_max(x, s)
    winner = portable.pool_winner(x, y, s)
    check(order, lambda x: cuda.pool_max(x, s), x)
    check(order, lambda x, y: cuda.pool_winner(x, y, s), x, y)
    check(order, lambda x, w: cuda.pool_take(x, w, s), x, winner)
    check(order, lambda g, w: cuda.pool_put(g, w, s), g, winner)
    check(order, lambda x: cuda.pool_sum(x, s), x)
    check(order, lambda g: cuda.pool_spread(g, s), g)


# --- one example of every kernel, by source: what mutants must fail and sanitizers watch -------------------------


def _rng():
    return np.random.default_rng(0)


# sums of 48 elements, three times what is moved at once, and of 84 for the weights
GEOMETRY = geometry.convolution("conv", (6, 16, 7, 6), (32, 8, 3, 2), (2, 3), ((2, 1), (0, 2)), (1, 2), 2)


def columns(order):
    _convolution(order, "im2col", 1e-5)


def convolution(order):
    _convolution(order, "implicit", 1e-5)


def convolution_on_tensor_cores(order):
    with _tf32():
        _convolution(order, "implicit", 3e-3)


def _convolution(order, way, rtol):
    before, cuda_conv.FORCED = cuda_conv.FORCED, way
    try:
        rng, s = _rng(), GEOMETRY
        x, w, y = (rng.standard_normal(shape).astype("float32") for shape in (s.x, s.w, s.y))
        check(order, lambda x, w, b: cuda.conv(x, w, s, b), x, w, w[:, 0, 0, 0], rtol=rtol)
        check(order, lambda w, y, b: cuda.conv_input(w, y, s, b), w, y, x[0, :, 0, 0], rtol=rtol)
        check(order, lambda x, y: cuda.conv_weight(x, y, s), x, y, rtol=rtol)
    finally:
        cuda_conv.FORCED = before


@contextlib.contextmanager
def _tf32():
    before, precision._chosen = precision._chosen, "tf32"
    try:
        yield
    finally:
        precision._chosen = before


def product(order):
    a, b = (_rng().standard_normal(shape).astype("float32") for shape in ((2, 70, 40), (40, 33)))
    check(order, cuda_linear.product, a, b, b[0], rtol=1e-5)
    check(order, cuda_linear.product, a[0].T, b.T.copy().T[:3].repeat(24, 0)[:70], None, rtol=1e-5)


def product_on_tensor_cores(order):
    with _tf32():
        a, b = (_rng().standard_normal(shape).astype("float32") for shape in ((70, 40), (40, 33)))
        check(order, cuda_linear.product, a, b, b[0], rtol=3e-3)


def update(order):
    arrays = [_rng().random(size).astype("float32") + 1 for size in (700, 3) for _ in range(4)]

    def move(rule, slots, **options):
        def run(*given):
            lr, t = (array_module("cuda").asarray(v) for v in (np.array(0.1), np.array(3)))
            known = {"lr": lr, "t": t} if rule is portable.adam else {"lr": lr} if rule is not portable.average else {}
            cuda.update(rule, [given[:slots], given[4 : 4 + slots]], **options, **known)
            return []

        check(order, run, *arrays, changes=range(8))

    move(portable.adam, 4, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, decoupled=False)
    move(portable.sgd, 3, momentum=0.9, weight_decay=0.1, nesterov=True)
    move(portable.rmsprop, 3, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.0, centered=False)
    move(portable.average, 2, decay=0.9)


def random(order):
    draw = Draw(np.array([5, 7], np.uint64), 2, 3)
    check(order, lambda: cuda_random.words(draw, 11))
    check(order, lambda: cuda_random.uniform(draw, 11, -1.0, 1.0, "float32"))
    check(order, lambda: cuda_random.normal(draw, 11, 0.0, 1.0, "float32"), rtol=1e-5)
    check(order, lambda: cuda_random.integers(draw, 11, 99))


def images_(order):
    rng = _rng()
    pictures = rng.integers(0, 256, (13, 3, 5, 2)).astype("uint8")
    check(order, lambda i, o, k: cuda.gather_images(i, o, k, 3, 4), pictures, rng.permutation(13), np.array(2))
    check(order, cuda.scaled, pictures)


EXAMPLES = {
    "channels": [partial(channels, shape=(2, 40, 9, 31), seed=0, dtype="float32")],
    "columns": [columns],
    "convolution": [convolution, convolution_on_tensor_cores],
    "images": [images_],
    "pointwise": [partial(pointwise, shape=(5, 61), seed=0, dtype="float32", slope=0.2)],
    "pool": [partial(pool, shape=(2, 3, 7, 8), window=(3, 2), stride=(2, 3), seed=0, dtype="float32")],
    "product": [product, product_on_tensor_cores],
    "random": [random],
    "update": [update],
}
"""By the name of the source whose kernels they run, all of them."""


def run_all_sanitized():
    """Every example with memory checked, in arrays that nothing lies next to."""
    with pytest.MonkeyPatch.context() as patch:
        fakecupy.install(patch, library=None)
        device.sanitize = True
        for examples in EXAMPLES.values():
            for example in examples:
                example("backward")
