"""Kernels on CuPy arrays: the same functions as cpu.py, most of them written in CUDA C beside this file.

Images are channels-last in memory, so that a batch is a matrix with one row per pixel and one column per channel.
What is of another layout or type than the CUDA kernels read goes the portable way.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, is_cuda, xp
from . import portable
from .cuda_conv import conv, conv_input, conv_weight  # noqa: F401  offered as kernels of this device
from .cuda_linear import linear, linear_weight, matmul  # noqa: F401  likewise
from .cuda_sums import lengths, mean_of, mean_of_grad  # noqa: F401  likewise
from .geometry import Geometry
from .launch import THREADS, is_dense, is_real, launch, launch_each, packed
from .portable import (  # noqa: F401  as they are on each device
    channels_last,
    empty_image,
    reshaped,
    where,
    winner_dtype,
    zero_image,
)

PARTS = 128  # at most, into which the rows of a sum are cut
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
    if not any(_is_image(x) for x in arrays) or not all(x.ndim in (0, 4) for x in arrays):
        return portable.arithmetic(name, a, b)
    turned = [x.transpose(0, 2, 3, 1) if is_cuda(x) and x.ndim else x for x in (a, b)]
    return portable.arithmetic(name, *turned).transpose(0, 3, 1, 2)


def function(name: str, x: Array) -> Array:
    """CuPy's function of that name of x, laid out in memory as x is: CuPy's results are in C order."""
    if not _is_image(x):
        return portable.function(name, x)
    return portable.function(name, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _is_image(x: Array) -> bool:
    """True if x (N, C, H, W) lies channels-last in memory."""
    return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous


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

# --- sums and normalisation over channels -------------------------------------------------------------------------


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`."""
    rows = _channel_rows(x) if axes == ((0,) if x.ndim == 2 else (0, 2, 3)) else None
    if rows is None:
        return portable.sum(x, axes, keepdims)
    parts, block, across = _parts_of("part_sums", rows, rows)
    total = _totals(parts[None], 1.0, block, across)[0]
    return total.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else total


def inv_std(x: Array, mean: Array, eps: float) -> Array:
    """1 / sqrt(var + eps) of each channel, var the biased variance about `mean`."""
    rows = _channel_rows(x)
    if rows is None:
        return portable.inv_std(x, mean, eps)
    parts, block, across = _parts_of("part_squares", rows, rows, mean)
    r = xp(rows).empty(rows.shape[1], dtype=rows.dtype)
    sizes = (*parts.shape, 1 / len(rows), float(eps))
    launch("channels", "inverse_root_of_parts", rows.dtype, (across,), block, parts, r, *sizes)
    return r.reshape(mean.shape)


def normalize(x: Array, mean: Array, scale: Array) -> Array:
    """(x - mean) * scale."""
    return _per_channel("normalize", x, mean, scale, portable.normalize)


def scale_shift(y: Array, w: Array, b: Array) -> Array:
    """y w + b."""
    return _per_channel("scale_shift", y, w, b, portable.scale_shift)


def _per_channel(name: str, x: Array, a: Array, b: Array, otherwise: Callable[..., Array]) -> Array:
    """A function of x and two values for each channel."""
    rows = _channel_rows(x)
    if rows is None:
        return otherwise(x, a, b)
    lib = xp(x)
    a, b = (lib.ascontiguousarray(v) for v in (a, b))
    y = _empty_rows(x)
    launch_each("channels", name, x.dtype, x.size, rows, a, b, y, x.size, rows.shape[1])
    return y


def track(
    running_mean: Array, running_var: Array, mean: Array, scale: Array, count: int, momentum: float, eps: float
) -> None:
    """Move running statistics (C,), in place, towards a batch's mean and 1 / sqrt(var + eps) over `count` values."""
    arrays = running_mean, running_var, mean, scale
    if not (is_real(*arrays) and all(is_dense(a) for a in arrays)):
        portable.track(*arrays, count, momentum, eps)
        return
    unbiased, n = count / (count - 1), mean.size
    launch_each("channels", "track", mean.dtype, n, *arrays, unbiased, float(momentum), float(eps), n)


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    a_rows, b_rows = _channel_rows(a), _channel_rows(b)
    if a_rows is None or b_rows is None:
        return portable.channel_dot(a, b)
    total = _products(a_rows, b_rows, 1.0, alone=False)[0]
    return total.reshape(1, -1, *(1 for _ in a.shape[2:]))


def normalize_grad(g: Array, y: Array, scale: Array) -> Array:
    """scale * (g - mean(g) - y mean(g y)), means over each channel."""
    g_rows, y_rows = _channel_rows(g), _channel_rows(y)
    if g_rows is None or y_rows is None:
        return portable.normalize_grad(g, y, scale)
    means = _products(g_rows, y_rows, 1 / len(g_rows), alone=True)
    x = _empty_rows(y)
    scale = xp(y).ascontiguousarray(scale)
    columns = y_rows.shape[1]
    launch_each(
        *("channels", "normalize_grad", y.dtype, y.size), g_rows, y_rows, means[1], means[0], scale, x, y.size, columns
    )
    return x


def _channel_rows(x: Array) -> Any:
    """x (N, C) or (N, C, H, W) as rows of channels (N H W, C), copied only if it is not so in memory; else None."""
    if x.ndim not in (2, 4) or not x.size or not is_real(x):
        return None
    if x.ndim == 4:
        x = channels_last(x).transpose(0, 2, 3, 1)
    return xp(x).ascontiguousarray(x).reshape(-1, x.shape[-1])


def _empty_rows(x: Array) -> Array:
    """An uninitialised array of the shape of x (N, C) or (N, C, H, W) that lies in memory as rows of channels."""
    return empty_image(x, x.shape) if x.ndim == 4 else xp(x).empty(x.shape, dtype=x.dtype)


def _parts(rows: Array) -> tuple[int, int, tuple[int, int], int]:
    """(parts, rows of each, shape of a block, blocks across) for a sum over rows."""
    count, columns = rows.shape
    across = min(32, 1 << (columns - 1).bit_length())
    block = (across, THREADS // across)
    step = max(-(-count // PARTS), 4 * block[1])
    return -(-count // step), step, block, -(-columns // across)


def _parts_of(name: str, rows: Array, *operands: Array) -> tuple[Array, tuple[int, int], int]:
    """(what the kernel `name` of channels.cu sums over parts of the rows: (parts, columns), a block, blocks across)."""
    parts, step, block, across = _parts(rows)
    partial = xp(rows).empty((parts, rows.shape[1]), dtype=rows.dtype)
    launch("channels", name, rows.dtype, (across, parts), block, *operands, partial, *rows.shape, step)
    return partial, block, across


def _products(a: Array, b: Array, scale: float, alone: bool) -> Array:
    """scale * the sums over all rows of a b and, if it is wanted too, of a: (1 or 2, columns)."""
    parts, step, block, across = _parts(a)
    lib = xp(a)
    both = lib.empty((1 + alone, parts, a.shape[1]), dtype=a.dtype)
    wanted = both[1] if alone else None
    launch("channels", "part_products", a.dtype, (across, parts), block, a, b, both[0], wanted, *a.shape, step)
    return _totals(both, scale, block, across)


def _totals(partial: Array, scale: float, block: tuple[int, int], across: int) -> Array:
    """scale * the sums of (K, parts, columns) over the parts: (K, columns)."""
    count, parts, columns = partial.shape
    total = xp(partial).empty((count, columns), dtype=partial.dtype)
    launch("channels", "total_of_parts", partial.dtype, (across, count), block, partial, total, parts, columns, scale)
    return total


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


def _average(slots: int, decay: float) -> tuple:
    return (1 - float(decay),)


def _total(slots: int) -> tuple:
    return ()


_ARGUMENTS: dict[str, Callable[..., tuple]] = {
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "average": _average,
    "total": _total,
}  # as update.cu takes them
