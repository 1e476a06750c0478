"""What is checked of the kernels of each source, on every stand-in and on a device; one example of every kernel."""

import contextlib
from dataclasses import replace
from functools import partial

import fakecupy
import numpy as np
import pytest
from fakecuda import device
from kernel_comparisons import check, check_kernels, images, spoilt

from minigan.backend import array_module
from minigan.kernels import (
    compiled,
    cuda,
    cuda_conv,
    cuda_linear,
    cuda_random,
    gemm,
    geometry,
    means,
    portable,
    precision,
)
from minigan.kernels.draws import Draw

# --- what is checked of the kernels of a source, for any sizes ---------------------------------------------------


def pointwise(order, shape, seed, dtype, slope):
    rng = np.random.default_rng(seed)
    x, g = (rng.standard_normal(shape).astype(dtype) * 10 for _ in range(2))
    check_kernels(order, lambda k, x: k.softplus(x), x)
    check_kernels(order, lambda k, x: k.sigmoid(x), x)
    x, g = (spoilt(rng, a, np.inf, -np.inf, np.nan) for a in (x, g))
    check_kernels(order, lambda k, x: k.leaky_relu(x, slope), x)
    check_kernels(order, lambda k, g, x: k.leaky_relu_grad(g, x, slope), g, x)


def sums(order, shape, seed, dtype, scale, shift):
    rng = np.random.default_rng(seed)
    x = images(rng, shape, dtype) if len(shape) == 4 else rng.standard_normal(shape).astype(dtype)
    g = rng.standard_normal(()).astype(dtype)
    for f in means.FUNCTIONS:
        check_kernels(order, lambda k, x, f=f: k.mean_of(x, f, scale, shift), x)
        check_kernels(order, lambda k, g, x, f=f: k.mean_of_grad(g, x, f, scale, shift), g, x)
    check_kernels(order, lambda k, x: k.lengths(x, 0.1), x)
    hard = spoilt(rng, x, np.inf, -np.inf, np.nan)
    check_kernels(order, lambda k, x: k.mean_of(x, "relu", scale, shift), hard)
    check_kernels(order, lambda k, g, x: k.mean_of_grad(g, x, "relu", scale, shift), np.array(np.inf, dtype), hard)


def channels(order, shape, seed, dtype):
    rng = np.random.default_rng(seed)
    g, x = images(rng, shape, dtype), images(rng, shape, dtype)
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    w, b = (rng.standard_normal((1, shape[1], 1, 1)).astype(dtype) for _ in range(2))
    for axes in ((0, 2, 3), (2, 3)):
        for kept in (True, False):
            check_kernels(order, lambda k, x, axes=axes, kept=kept: k.sum(x, axes, kept), x)
    check_kernels(order, lambda k, x: k.channel_stats(x, 0.1), x)
    check_kernels(order, lambda k, *given: k.scale_shift(*given), x, w, b)
    check_kernels(order, lambda k, *given: k.channel_dot(*given), g, x)
    stats, sums = np.stack([mean, 0.5 + np.abs(b)]), rng.standard_normal((2, *w.shape)).astype(dtype)
    for given in ((), (w,), (w, b)):
        check_kernels(order, lambda k, *given: k.batch_norm(*given), x, stats, *given)
    check_kernels(order, lambda k, *given: k.channel_sums(*given), g, x, stats)
    for given in ((), (w,)):
        check_kernels(order, lambda k, *given: k.batch_norm_grad(*given), g, x, stats, sums, *given)
    each = [rng.standard_normal((*shape[:2], 1, 1)).astype(dtype) for _ in range(3)]
    for groups in (n for n in range(1, shape[1] + 1) if shape[1] % n == 0):
        check_kernels(order, lambda k, x, groups=groups: k.sample_moments(x, groups), x)
    for given in (each[:2], each):
        check_kernels(order, lambda k, *given: k.sample_affine(*given), x, *given)
    check_kernels(order, lambda k, *given: k.sample_sums(*given), g, x, each[0])
    running = [rng.random(shape[1]).astype(dtype) for _ in range(2)]
    moved = lambda k, *given: k.track(*given, 10, 0.1, 1e-5)
    check_kernels(order, moved, *running, np.array(41), *stats, changes=(0, 1, 2))


def pool(order, shape, window, stride, seed, dtype):
    s = geometry.pooling("pool", shape, window, stride)
    rng = np.random.default_rng(seed)
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
    x = portable.channels_last(spoilt(rng, x, np.inf, np.nan))
    g = spoilt(rng, images(rng, s.y, dtype), np.inf)
    y = portable.pool_max(x, s)
    winner = portable.pool_winner(x, y, s)
    check_kernels(order, lambda k, x: k.pool_max(x, s), x)
    check_kernels(order, lambda k, x, y: k.pool_winner(x, y, s), x, y)
    check_kernels(order, lambda k, x, w: k.pool_take(x, w, s), x, winner)
    check_kernels(order, lambda k, *given: k.pool_max_grad(*given, s), g, x, y)
    check_kernels(order, lambda k, x: k.pool_sum(x, s), x)
    check_kernels(order, lambda k, g: k.pool_spread(g, s), g)


RULES = [  # (rule, slots, options) of each way in which a rule can be asked for
    *[
        (portable.sgd, bool(momentum) * 1, {"momentum": momentum, "weight_decay": decay, "nesterov": nesterov})
        for momentum, decay, nesterov in [(0.0, 0.0, False), (0.9, 0.1, False), (0.9, 0.0, True)]
    ],
    *[
        (
            portable.rmsprop,
            1 + centered + bool(momentum),
            {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": momentum, "centered": centered},
        )
        for momentum in (0.0, 0.5)
        for centered in (False, True)
    ],
    *[
        (portable.adam, 2, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "decoupled": decoupled, "t": 3})
        for decoupled in (False, True)
    ],
    (portable.average, 0, {}),
]


def rows_to_move(rng, rule, slots, options, sizes, dtype):
    """(p, g, *slots) of each size, some with what is hard: the largest numbers, infinities, NaN."""
    # later slots are smaller: an average of squares is not less than the average's square
    rows = [[rng.random(size).astype(dtype) + (3 - k) % 4 for k in range(2 + slots)] for size in sizes]
    hard = next(row for row in rows if row[0].ndim == 1 and row[0].size > 40)
    if rule is not portable.average:
        largest = np.finfo(dtype).max
        hard[1][:5] = np.inf, -np.inf, np.nan, largest, float(largest) ** 0.6
    if options.get("centered"):
        hard[3][5:40] = 100  # its square is above the average of squares, as rounding may have it
    return rows


def known(rule, options, array):
    """The options of a step, with its rate and number as what `array` makes of them."""
    given = {"decay" if rule is portable.average else "lr": array(np.array(0.1))}
    return options | given | ({"t": array(np.array(options["t"]))} if "t" in options else {})


# --- one example of every kernel, by source: what mutants must fail and sanitizers watch -------------------------


def _rng():
    return np.random.default_rng(0)


# sums of 48 elements, three times what is moved at once, and of 84 for the weights
GEOMETRY = geometry.convolution("conv", (6, 16, 7, 6), (32, 8, 3, 2), (2, 3), ((2, 1), (0, 2)), (1, 2), 2)


# numbers of channels of which no four are moved at once
ODD_GEOMETRY = geometry.convolution("conv", (4, 5, 9, 8), (7, 5, 4, 3), 2, 1, 1, 1)


def columns(order):
    _convolution(order, "im2col", 1e-5)


def rounded_columns(order):
    """To bfloat16, bit by bit, in packs of eight and one by one, with what has no ordinary neighbour."""
    rng, s = _rng(), GEOMETRY
    x = portable.channels_last(spoilt(rng, rng.standard_normal(s.x).astype("float32"), *HARD_TO_ROUND))
    image = lambda x: portable.channels_last(x)
    for first in (0, 8):
        check(order, lambda x, f=first: cuda_conv._columns(image(x), s, f, gemm.BFLOAT16), x, rtol=0)
    few = replace(s, x=(6, 6, *s.x[2:]), w=(32, 3, *s.w[2:]))
    check(order, lambda x: cuda_conv._columns(image(x), few, 3, gemm.BFLOAT16), image(x[:, :6]), rtol=0)
    for flat in (x.reshape(-1), x.reshape(-1)[: x.size - 3], HARD_TO_ROUND):
        check(order, cuda_linear.rounded, flat.copy(), rtol=0)
        check(order, cuda_linear.rounded, flat.copy(), x[:2].copy(), rtol=0)


_HALVES = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7F7FFF, 0x7F7F8000], np.uint32)
_NANS = np.array([0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x7F80FFFF], np.uint32)
_SMALL = np.array([0, 1, 0x8000, 0x8001, 0x18000, 0x7FFFFF, 0x800000], np.uint32)
HARD_TO_ROUND = np.concatenate([_HALVES, _NANS, _SMALL, [np.uint32(0x7F800000)]]).view(np.float32)
HARD_TO_ROUND = np.concatenate([HARD_TO_ROUND, -HARD_TO_ROUND])
"""Halves between two bfloat16, the largest numbers, NaN whose fraction is cut off, denormals, infinity."""


def convolution(order):
    _convolution(order, "implicit", 1e-5)


ROUNDING = {"tf32": 3e-3, "bf16": 2e-2}  # of a result, in units of the largest


def convolution_on_tensor_cores(order, s=GEOMETRY, name="tf32"):
    with _rounding(name):
        _convolution(order, "implicit", ROUNDING[name], s)


def _convolution(order, way, rtol, s=GEOMETRY):
    before, cuda_conv.FORCED = cuda_conv.FORCED, way
    try:
        rng = _rng()
        x, w, y = (rng.standard_normal(shape).astype("float32") for shape in (s.x, s.w, s.y))
        check(order, lambda x, w, b: cuda.conv(x, w, s, b), x, w, w[:, 0, 0, 0], rtol=rtol)
        check(order, lambda w, y, b: cuda.conv_input(w, y, s, b), w, y, x[0, :, 0, 0], rtol=rtol)
        check(order, lambda x, y: cuda.conv_weight(x, y, s), x, y, rtol=rtol)
    finally:
        cuda_conv.FORCED = before


def slices(order):
    """Slices of a weight gradient, few elements and many."""

    def total(parts):
        out = array_module("cuda").empty(parts.shape[1], dtype=parts.dtype)
        cuda_conv._total(parts, out)
        return out

    for n in (9, cuda_conv.MANY_ELEMENTS):
        check(order, total, _rng().standard_normal((3, n)).astype("float32"))


@contextlib.contextmanager
def _rounding(name):
    before, precision._chosen = precision._chosen, name
    try:
        yield
    finally:
        precision._chosen = before


def product(order):
    a, b = (_rng().standard_normal(shape).astype("float32") for shape in ((2, 70, 40), (40, 33)))
    check(order, cuda_linear.product, a, b, b[0], rtol=1e-5)
    check(order, cuda_linear.product, a[0].T, b.T.copy().T[:3].repeat(24, 0)[:70], None, rtol=1e-5)


def product_on_tensor_cores(order, name="tf32"):
    with _rounding(name):
        a, b = (_rng().standard_normal(shape).astype("float32") for shape in ((70, 40), (40, 33)))
        check(order, cuda_linear.product, a, b, b[0], rtol=ROUNDING[name])


def update(order):
    arrays = [_rng().random(size).astype("float32") + 1 for size in (700, 3) for _ in range(4)]

    def move(rule, slots, **options):
        def run(*given):
            lr, t = (array_module("cuda").asarray(v) for v in (np.array(0.1), np.array(3)))
            known = {"decay" if rule is portable.average else "lr": lr} | ({"t": t} if rule is portable.adam else {})
            cuda.update(rule, [given[:slots], given[4 : 4 + slots]], **options, **known)
            return []

        check(order, run, *arrays, changes=range(8))

    move(portable.adam, 4, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, decoupled=False)
    move(portable.sgd, 3, momentum=0.9, weight_decay=0.1, nesterov=True)
    move(portable.rmsprop, 3, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.0, centered=False)
    move(portable.average, 2)
    totals(order, "float32")


def totals(order, dtype):
    """Sums of two to five arrays of several sizes, some of which do not lie alike."""
    rng = _rng()
    shapes = [((700,), 2), ((3, 1, 5), 3), ((2, 2), 4), ((4, 6), 4), ((9,), 5)]
    rows = [[rng.standard_normal(shape).astype(dtype) for _ in range(1 + n)] for shape, n in shapes]
    rows[3][2] = rows[3][2].T.copy().T
    ends = np.cumsum([len(row) for row in rows])

    def run(*given):
        cuda.update(portable.total, [given[end - len(row) : end] for end, row in zip(ends, rows, strict=True)])
        return []

    check(order, run, *(a for row in rows for a in row), changes=range(ends[-1]))


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
    "columns": [columns, rounded_columns],
    "convolution": [
        convolution,
        convolution_on_tensor_cores,
        partial(convolution_on_tensor_cores, s=ODD_GEOMETRY),
        partial(convolution_on_tensor_cores, name="bf16"),
    ],
    "images": [images_],
    "pointwise": [partial(pointwise, shape=(5, 61), seed=0, dtype="float32", slope=0.2), slices],
    "pool": [partial(pool, shape=(2, 3, 7, 8), window=(3, 2), stride=(2, 3), seed=0, dtype="float32")],
    "product": [product, product_on_tensor_cores, partial(product_on_tensor_cores, name="bf16")],
    "random": [random],
    "sums": [
        partial(sums, shape=(7, 300), seed=0, dtype="float32", scale=-0.5, shift=1.0),
        partial(sums, shape=(3, 5, 40, 31), seed=0, dtype="float32", scale=1.0, shift=0.0),
    ],
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


ONCE = (
    np.s_[:1, :, :1, :1],
    np.s_[:, :1, :1, :1],
    np.s_[:, :, :1, :1],
)  # of each channel, each image, each of its channels


def run_passes():
    """Every compiled function that passes over memory, on arrays of which some are so large that threads share them."""
    rng = np.random.default_rng(0)
    for shape in ((2, 40, 9, 31), (3, 3, 70, 80), (1, 70, 31, 33)):
        for slope in (0.0, 0.2):
            pointwise("compiled", shape, 0, "float32", slope)
        channels("compiled", shape, 0, "float32")
        for window, stride in (((2, 2), (2, 2)), ((3, 2), (2, 3)), ((3, 3), (3, 3)), ((2, 2), (4, 4))):
            pool("compiled", shape, window, stride, 0, "float32")
        a, b = (portable.channels_last(rng.standard_normal(shape).astype("float32")) for _ in range(2))
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
            for other in (b, *(b[key].copy() for key in ONCE), 0.5):
                compiled.arithmetic(name, a, other)
        compiled.channels_last(compiled.reshaped(a, shape))
    for shape in ((3, 1), (7, 5, 33), (700, 128), (2, 90_001)):
        g, y = rng.standard_normal((2, *shape)).astype("float32")
        compiled.softmax(g, (len(shape) - 1,))
        compiled.softmax_grad(g, y, (len(shape) - 1,))
    for rule, slots, options in RULES:
        rows = [[np.ones(size, "float32") for _ in range(2 + slots)] for size in (700, 3, 90_000)]
        compiled.update(rule, rows, **known(rule, options, np.asarray))
    pictures = rng.integers(0, 256, (13, 90, 500)).astype("uint8")
    compiled.gather_images(pictures, rng.permutation(13), 2, 3, 4)
    compiled.scaled(pictures)
