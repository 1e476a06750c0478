"""Kernels on CuPy arrays: the same functions as cpu.py, most of them written in CUDA C beside this file.

Images are channels-last in memory, so that a batch is a matrix with one row per pixel and one column per channel.
What is of another layout or type than the CUDA kernels read goes the portable way.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, is_cuda, xp
from . import portable
from .arrivals import COUNTERS, counters
from .cuda_conv import conv, conv_input, conv_weight  # noqa: F401  offered as kernels of this device
from .cuda_linear import banded, linear, linear_weight, matmul  # noqa: F401  likewise
from .cuda_sums import lengths, mean_of, mean_of_grad  # noqa: F401  likewise
from .geometry import Geometry
from .launch import THREADS, in_c_order, is_dense, is_real, launch, launch_each, packed
from .portable import (  # noqa: F401  as they are on each device
    channels_last,
    empty_image,
    extreme,
    reshaped,
    sample_affine,
    sample_moments,
    sample_sums,
    softmax,
    softmax_grad,
    where,
    winner_dtype,
    zero_image,
)

PARTS = 128  # at most, into which the rows of a sum are cut
ROWS = 4  # that a thread visits where nothing is summed
ARRAYS = 64  # that one launch of an update moves
SLOTS = 3  # of each of them


# --- element by element -----------------------------------------------------------------------------------------


def leaky_relu(x: Array, slope: float) -> Array:
    """x where x > 0, slope * x elsewhere; slope >= 0."""
    if not (is_real(x) and is_dense(x)):
        return portable.leaky_relu(x, slope)
    y = xp(x).empty_like(x)
    launch_each("pointwise", "leaky_relu", x.dtype, x.size, x, y, slope, x.size)
    return y


def leaky_relu_grad(g: Array, y: Array, slope: float) -> Array:
    """g where y > 0, slope * g elsewhere."""
    if not (is_real(g, y) and is_dense(y) and g.shape == y.shape):
        return portable.leaky_relu_grad(g, y, slope)
    g = portable.laid_out_as(y, g)
    x = xp(y).empty_like(y)
    launch_each("pointwise", "leaky_relu_grad", y.dtype, y.size, g, y, x, slope, y.size)
    return x


def arithmetic(name: str, a: Array, b: Array) -> Array:
    """CuPy's function of that name of a and b, one of which may be a number; images stay channels-last in memory."""
    arrays = [x for x in (a, b) if is_cuda(x)]
    if not any(portable.is_image(x) for x in arrays) or not all(x.ndim in (0, 4) for x in arrays):
        return portable.arithmetic(name, a, b)
    turned = [x.transpose(0, 2, 3, 1) if is_cuda(x) and x.ndim else x for x in (a, b)]
    return portable.arithmetic(name, *turned).transpose(0, 3, 1, 2)


def function(name: str, x: Array) -> Array:
    """CuPy's function of that name of x, laid out in memory as x is: CuPy's results are in C order."""
    if not portable.is_image(x):
        return portable.function(name, x)
    return portable.function(name, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def softplus(x: Array) -> Array:
    """ln(1 + e^x)."""
    return _function(x, "softplus", portable.softplus)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return _function(x, "sigmoid", portable.sigmoid)


def _function(x: Array, name: str, otherwise: Callable[[Array], Array]) -> Array:
    if not (is_real(x) and is_dense(x)):
        return otherwise(x)
    y = xp(x).empty_like(x)
    launch_each("pointwise", name, x.dtype, x.size, x, y, x.size)
    return y


def concatenate(xs: Sequence[Array], axis: int) -> Array:
    """The arrays joined along `axis`, _JOINED at a time: for more CuPy sends a table to the device."""
    while len(xs) > _JOINED:
        xs = [portable.concatenate(xs[k : k + _JOINED], axis) for k in range(0, len(xs), _JOINED)]
    return portable.concatenate(xs, axis)


_JOINED = 8


def flattened(xs: Sequence[Array], by: float) -> Array:
    """The elements of all arrays times `by`, behind each other."""
    flat = concatenate([x.reshape(-1) for x in xs], 0)
    flat *= by
    return flat


# --- sums and normalisation over channels -------------------------------------------------------------------------


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`."""
    rows = _channel_rows(x) if axes == ((0,) if x.ndim == 2 else (0, 2, 3)) else None
    if rows is None:
        return portable.sum(x, axes, keepdims)
    total = _over_rows("column_sums", rows, (rows.shape[1],), rows, None)
    return total.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else total


def channel_stats(x: Array, eps: float) -> Array:
    """(2, 1, C, 1, ...): the mean of each channel, and r = 1 / sqrt(var + eps) with its biased variance."""
    rows = _channel_rows(x)
    if rows is None:
        return portable.channel_stats(x, eps)
    return _over_rows("channel_stats", rows, _of_channels(x, 2), rows, last=(float(eps),), kept=3)


def batch_norm(x: Array, stats: Array, w: Array = None, b: Array = None) -> Array:
    """y w + b with y = (x - mean) r of the channels' `stats` (mean, r); w is 1 and b 0 where they are None."""
    rows = _channel_rows(x)
    if rows is None:
        return portable.batch_norm(x, stats, w, b)
    return _each_row("batch_norm", x, rows, in_c_order(stats), in_c_order(w), in_c_order(b))


def scale_shift(x: Array, w: Array, b: Array) -> Array:
    """x w + b."""
    rows = _channel_rows(x)
    if rows is None:
        return portable.scale_shift(x, w, b)
    return _each_row("scale_shift", x, rows, in_c_order(w), in_c_order(b))


def channel_sums(g: Array, x: Array, stats: Array) -> Array:
    """(2, 1, C, 1, ...): the sums of g and of g y over each channel, y = (x - mean) r."""
    g_rows, rows = _channel_rows(g), _channel_rows(x)
    if g_rows is None or rows is None:
        return portable.channel_sums(g, x, stats)
    return _over_rows("channel_sums", rows, _of_channels(x, 2), g_rows, rows, in_c_order(stats))


def batch_norm_grad(g: Array, x: Array, stats: Array, sums: Array, w: Array = None) -> Array:
    """w r (g - (sums[0] + y sums[1]) / n), n values in each channel; w is 1 where it is None."""
    g_rows, rows = _channel_rows(g), _channel_rows(x)
    if g_rows is None or rows is None:
        return portable.batch_norm_grad(g, x, stats, sums, w)
    return _each_row("batch_norm_grad", x, g_rows, rows, in_c_order(stats), in_c_order(sums), in_c_order(w))


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    a_rows, b_rows = _channel_rows(a), _channel_rows(b)
    if a_rows is None or b_rows is None:
        return portable.channel_dot(a, b)
    return _over_rows("column_sums", a_rows, _of_channels(a, 1)[1:], a_rows, b_rows)


def track(
    running_mean: Array,
    running_var: Array,
    batches: Array,
    mean: Array,
    r: Array,
    count: int,
    momentum: float,
    eps: float,
) -> None:
    """Move running statistics (C,), in place, towards a batch's mean and r = 1 / sqrt(var + eps) over `count` values.

    `batches`, a 0-d array, grows by 1.
    """
    floats = running_mean, running_var, mean, r
    if batches.dtype != np.int64 or not (is_real(*floats) and all(is_dense(a) for a in floats)):
        portable.track(running_mean, running_var, batches, mean, r, count, momentum, eps)
        return
    arrays, n = (running_mean, running_var, batches, mean, r), mean.size
    launch_each("channels", "track", mean.dtype, n, *arrays, count / (count - 1), float(momentum), float(eps), n)


def _channel_rows(x: Array) -> Any:
    """x (N, C) or (N, C, H, W) as rows of channels (N H W, C), copied only if it is not so in memory; else None."""
    if x.ndim not in (2, 4) or not x.size or not is_real(x):
        return None
    if x.ndim == 4:
        x = channels_last(x).transpose(0, 2, 3, 1)
    return xp(x).ascontiguousarray(x).reshape(-1, x.shape[-1])


def _of_channels(x: Array, count: int) -> tuple[int, ...]:
    """The shape of `count` values for each channel of x: (count, 1, C, 1, ...)."""
    return (count, 1, x.shape[1], *(1 for _ in x.shape[2:]))


def _block(columns: int) -> tuple[tuple[int, int], int]:
    """(shape of a block of threads, blocks that lie side by side) for a matrix of so many columns."""
    across = min(32, 1 << (columns - 1).bit_length())
    return (across, THREADS // across), -(-columns // across)


def _over_rows(
    name: str, rows: Array, shape: tuple[int, ...], *operands: Array, last: tuple = (), kept: int = 0
) -> Array:
    """What a kernel of channels.cu sums over all rows: an array of this shape, which has values for each column.

    The rows are cut into parts of at least four for each thread. Of each part so many values are kept for each column
    as the result has, unless `kept` says how many.
    """
    count, columns = rows.shape
    block, across = _block(columns)
    step = max(-(-count // PARTS), 4 * block[1]) if across <= COUNTERS else count
    parts = -(-count // step)
    lib = xp(rows)
    out = lib.empty(shape, dtype=rows.dtype)
    partial = lib.empty((parts, kept * columns or out.size), dtype=rows.dtype)
    arguments = *operands, partial, out, counters(), count, columns, step, *last
    launch("channels", name, rows.dtype, (across, parts), block, *arguments)
    return out


def _each_row(name: str, x: Array, *operands: Array) -> Array:
    """What a kernel of channels.cu makes of each element of rows and of values for its column: of the shape of x."""
    count, columns = operands[0].shape
    block, across = _block(columns)
    out = empty_image(x, x.shape) if x.ndim == 4 else xp(x).empty(x.shape, dtype=x.dtype)
    down = min(-(-count // (ROWS * block[1])), 65_535)
    launch("channels", name, x.dtype, (across, down), block, *operands, out, count, columns)
    return out


# --- pooling -----------------------------------------------------------------------------------------------------


def pool_max(x: Array, s: Geometry) -> Array:
    """The largest element of each window."""
    return _pooled("pool_max", s, s.y, x) if is_real(x) else portable.pool_max(x, s)


def pool_winner(x: Array, y: Array, s: Geometry) -> Array:
    """Which element of each window is its largest, y: the number of elements before the first that equals it."""
    if winner_dtype(s) != "uint8" or not is_real(x, y):
        return portable.pool_winner(x, y, s)
    winner = empty_image(y, s.y, "uint8")
    x, y = channels_last(x), channels_last(y)
    launch_each("pool", "pool_winner", x.dtype, y.size, x, y, winner, packed(s), y.size)
    return winner


def pool_take(x: Array, winner: Array, s: Geometry) -> Array:
    """The element of each window that `winner` points at."""
    if winner.dtype != np.uint8 or not is_real(x):
        return portable.pool_take(x, winner, s)
    return _pooled("pool_take", s, s.y, x, winner)


def pool_max_grad(g: Array, x: Array, y: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's first element equal to its largest, y, lies."""
    if not is_real(g, x, y):
        return portable.pool_max_grad(g, x, y, s)
    return _pooled("pool_max_grad", s, s.x, g, x, y)


def pool_sum(x: Array, s: Geometry) -> Array:
    """The sum of each window."""
    return _pooled("pool_sum", s, s.y, x) if is_real(x) else portable.pool_sum(x, s)


def pool_spread(g: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added to every element of its window."""
    return _pooled("pool_spread", s, s.x, g) if is_real(g) else portable.pool_spread(g, s)


def _pooled(name: str, s: Geometry, shape: tuple[int, ...], x: Array, *others: Array) -> Array:
    """The image of this shape that a kernel of pool.cu makes of x and others."""
    out = empty_image(x, shape)
    operands = [channels_last(a) for a in (x, *others)]
    launch_each("pool", name, x.dtype, out.size, *operands, out, packed(s), out.size)
    return out


# --- batches -----------------------------------------------------------------------------------------------------


def scaled(images: Array) -> Array:
    """uint8 images as float32 in [-1, 1]: x (1 / 127.5) - 1."""
    images = xp(images).ascontiguousarray(images)
    out = xp(images).empty(images.shape, dtype="float32")
    launch_each("images", "scaled", out.dtype, out.size, images, out, out.size)
    return out


def gather_images(images: Array, order: Array, k: int | Array, per_epoch: int, batch: int) -> Array:
    """The k-th batch, in this order, of uint8 images (N, ...) as float32 in [-1, 1]; k may lie on the device."""
    if isinstance(k, int):
        first = k % per_epoch * batch
        return scaled(images[order[first : first + batch]])
    out = xp(images).empty((batch, *images.shape[1:]), dtype="float32")
    size = out.size // batch
    launch_each("images", "gather_images", out.dtype, out.size, images, order, k, out, per_epoch, batch, size)
    return out


# --- optimizer updates --------------------------------------------------------------------------------------------


def update(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    """rule(parameter, gradient, *slots, **options) for each row of these arrays, all of a type in one launch.

    `rule` is one of portable.py, whose name and formula the kernel in update.cu shares.
    """
    by_type: dict[Any, list[Sequence[Array]]] = {}
    for p, g, *slots in rows:
        fits = len(slots) <= SLOTS and all(portable.lie_alike(s, p) for s in slots)
        if not (fits and is_real(p, g, *slots) and is_dense(p)):
            rule(p, g, *slots, **options)
        elif p.size:
            by_type.setdefault(p.dtype, []).append((p, portable.laid_out_as(p, g), *slots))
    for dtype, alike in by_type.items():
        arguments = _ARGUMENTS[rule.__name__](len(alike[0]) - 2, **options)
        for start in range(0, len(alike), ARRAYS):
            part = alike[start : start + ARRAYS]
            blocks = min(-(-max(row[0].size for row in part) // (4 * THREADS)), 1024)
            launch("update", rule.__name__, dtype, (blocks, len(part)), (THREADS,), _pointers(part), *arguments)


def _pointers(rows: Sequence[Sequence[Array]]) -> np.ndarray:
    """The struct Table of update.cu, passed by value: nothing is sent to the device for it."""
    table = np.zeros((), _TABLE)
    for k, (p, g, *slots) in enumerate(rows):
        table["p"][k], table["g"][k], table["size"][k] = p.data.ptr, g.data.ptr, p.size
        for j, slot in enumerate(slots):
            table["slot"][j, k] = slot.data.ptr
    return table


_TABLE = np.dtype(
    [
        ("p", np.uint64, ARRAYS),
        ("g", np.uint64, ARRAYS),
        ("slot", np.uint64, (SLOTS, ARRAYS)),
        ("size", np.int64, ARRAYS),
    ]
)


def _sgd(slots: int, lr: Array, momentum: float, weight_decay: float, nesterov: bool) -> tuple:
    return lr, float(momentum), float(weight_decay), int(nesterov), slots


def _rmsprop(
    slots: int, lr: Array, alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool
) -> tuple:
    return lr, float(alpha), float(eps), float(weight_decay), float(momentum), int(centered)


def _adam(
    slots: int, lr: Array, t: Array, betas: tuple[float, float], eps: float, weight_decay: float, decoupled: bool
) -> tuple:
    beta1, beta2, decay = (np.float64(v) for v in (*betas, weight_decay))
    return lr, t, beta1, beta2, float(eps), decay, int(decoupled)


def _average(slots: int, decay: Array) -> tuple:
    return (decay,)


def _total(slots: int) -> tuple:
    return ()


_ARGUMENTS: dict[str, Callable[..., tuple]] = {
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "average": _average,
    "total": _total,
}  # as update.cu takes them
