"""Kernels on NumPy arrays in C (c/*.c), float32: the same functions as cpu.py.

Images are channels-last in memory, so that a batch is a matrix with one row per pixel and one column per channel.
What is of another layout, type or size than the C kernels read goes NumPy's way, by the function of cpu.py.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..backend import FLOAT32, Array
from . import cpu, memory, portable
from .compiled_channels import (  # noqa: F401  offered as kernels of this device
    SIMPLE,
    are_floats,
    batch_norm,
    batch_norm_grad,
    channel_dot,
    channel_rows,
    channel_stats,
    channel_sums,
    sample_affine,
    sample_moments,
    sample_sums,
    scale_shift,
    sum,
    track,
)
from .compiled_conv import conv, conv_input, conv_weight  # noqa: F401  likewise
from .compiled_linear import linear, linear_weight, matmul  # noqa: F401  likewise
from .cpu import (  # noqa: F401  as NumPy does them
    banded,
    concatenate,
    empty_image,
    extreme,
    flattened,
    function,
    sigmoid,
    softplus,
    where,
    zero_image,
)
from .geometry import Geometry
from .library import address, call, note_besides
from .library import table as table_of
from .means import lengths, mean_of, mean_of_grad  # noqa: F401  as on each device
from .portable import winner_dtype

SMALL = 1 << 10  # elements below which NumPy has done two functions of them before a call of C begins
FEW_CHANNELS = 8  # below which windows are slower in C, which takes the channels of a pixel together
SLOTS = 3  # of an optimizer, at most

_BYTE = np.dtype(np.uint8)


def _is_dense(x: Array) -> bool:
    """True if x fills one run of memory: in C order, or as a batch of channels-last images."""
    return x.flags.c_contiguous or portable.is_image(x)


def _is_packed(x: Array) -> bool:
    """True if x fills one run of memory, in any order of its axes."""
    return (
        _is_dense(x) or x.transpose(sorted(range(x.ndim), key=x.strides.__getitem__, reverse=True)).flags.c_contiguous
    )


def _are_alike(a: Array, b: Array) -> bool:
    """True if both are laid out in the same order of memory."""
    return a.shape == b.shape and a.strides == b.strides


# --- orders of memory -------------------------------------------------------------------------------------------


def channels_last(x: Array) -> Array:
    """`x` (N, C, H, W) with its memory in the order N, H, W, C; the same object if it is so already."""
    is_so = x.transpose(0, 2, 3, 1).flags.c_contiguous
    if is_so or x.size < SMALL or not (are_floats(x) and x.flags.c_contiguous):
        return cpu.channels_last(x)
    n, c, h, w = x.shape
    y = memory.empty((n, h, w, c))
    call("turned", address(x), address(y), n, c, h * w)
    return y.transpose(0, 3, 1, 2)


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """x in another shape, its elements in C order: a view of it where that is possible."""
    if x.ndim != 4 or x.size < SMALL or not are_floats(x) or x.flags.c_contiguous:
        return cpu.reshaped(x, shape)
    rows = x.transpose(0, 2, 3, 1)
    if not rows.flags.c_contiguous:
        return cpu.reshaped(x, shape)
    n, c, h, w = x.shape
    y = memory.empty(x.shape)
    call("turned", address(rows), address(y), n, h * w, c)
    return y.reshape(shape)


# --- element by element -----------------------------------------------------------------------------------------

_ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum")  # in the order of pointwise.c
_NUMBERS = {name: k for k, name in enumerate(_ARITHMETIC)}
_LARGEST = float(np.finfo(np.float32).max)


def arithmetic(name: str, a: Array, b: Array) -> Array:
    """NumPy's function of that name of a and b, one of which may be a number."""
    a, b = _told_once(a, b), _told_once(b, a)
    sizes = [x.size if isinstance(x, np.ndarray) else -1 for x in (a, b)]
    first = sizes[0] >= sizes[1]
    large, small = (a, b) if first else (b, a)
    if max(sizes) < SIMPLE or not (are_floats(large) and _is_dense(large)):
        return cpu.arithmetic(name, a, b)
    if min(sizes) > 1 and are_floats(small) and _are_alike(a, b):
        y = memory.empty_like(large)
        call("arithmetic", _NUMBERS[name], address(a), address(b), address(y), y.size)
        return y
    fitted = _fitted(small, large)
    if fitted is None:
        return cpu.arithmetic(name, a, b)
    taken, other, sizes_of = fitted
    y = memory.empty_like(large)
    places = [address(operand) for operand in ((large, other) if first else (other, large))]
    call(taken, _NUMBERS[name], *places, address(y), y.size, *sizes_of, int(first))
    return y


def _told_once(x: Any, other: Any) -> Any:
    """x without what broadcasting repeats in it, where the other has all of the shape."""
    if not isinstance(x, np.ndarray) or 0 not in x.strides or np.shape(other) != x.shape or 0 in other.strides:
        return x
    return x[tuple(slice(None if stride else 1) for stride in x.strides)]


def _fitted(x: Any, large: Array) -> tuple[str, Array, tuple[int, ...]] | None:
    """Which function puts x together with the larger array, x as that takes it, and of how many values; or None."""
    if (row := _as_row(x, large)) is not None:
        return "arithmetic_row", row, (row.size,)
    if not isinstance(x, np.ndarray) or not are_floats(x):
        return None
    if _is_column(x, large):
        return "arithmetic_column", np.ascontiguousarray(x), (large.size // len(large),)
    if large.ndim == 4 and x.shape == (*large.shape[:2], 1, 1) and channel_rows(large) is not None:
        return "arithmetic_rows", np.ascontiguousarray(x), (large.shape[1], large.shape[2] * large.shape[3])
    return None


def _as_row(x: Array, large: Array) -> Array | None:
    """x as a value for each channel of `large`, or one for all of them; None if it is neither."""
    if not isinstance(x, np.ndarray):
        return np.array(x, np.float32) if type(x) in (int, float) and abs(x) <= _LARGEST else None
    if x.ndim > large.ndim or not are_floats(x):
        return None
    if x.size == 1:
        return x
    if x.shape == (1, *large.shape[1:2], *(1,) * (large.ndim - 2)) and channel_rows(large) is not None:
        return np.ascontiguousarray(x)
    return None


def _is_column(x: Array, large: Array) -> bool:
    """Is x a value for each place of the first axis of `large`, along which memory moves most slowly?"""
    return x.shape == (len(large), *(1,) * (large.ndim - 1)) and large.strides[0] * len(large) == large.nbytes


def leaky_relu(x: Array, slope: float) -> Array:
    """x where x > 0, slope * x elsewhere; slope >= 0."""
    if not slope:
        return arithmetic("maximum", x, 0)
    if x.size < SMALL or not (are_floats(x) and _is_dense(x)):
        return cpu.leaky_relu(x, slope)
    y = memory.empty_like(x)
    call("leaky_relu", address(x), address(y), x.size, slope)
    return y


def leaky_relu_grad(g: Array, y: Array, slope: float) -> Array:
    """g where y > 0, slope * g elsewhere."""
    if y.size < SMALL or not (are_floats(g, y) and _is_dense(y) and g.shape == y.shape):
        return cpu.leaky_relu_grad(g, y, slope)
    g = portable.laid_out_as(y, g)
    x = memory.empty_like(y)
    call("leaky_relu_grad", address(g), address(y), address(x), y.size, slope)
    return x


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    """e^x / sum(e^x) over `axes`; NaN where one is infinity, or all are -infinity."""
    if not _lie_in_rows(axes, x):
        return cpu.softmax(x, axes)
    y = memory.empty_like(x)
    call("softmax", address(x), address(y), x.size // x.shape[-1], x.shape[-1])
    return y


def softmax_grad(g: Array, y: Array, axes: tuple[int, ...]) -> Array:
    """y (g - sum(g y) over `axes`)."""
    if not _lie_in_rows(axes, g, y):
        return cpu.softmax_grad(g, y, axes)
    x = memory.empty_like(y)
    call("softmax_grad", address(g), address(y), address(x), y.size // y.shape[-1], y.shape[-1])
    return x


def _lie_in_rows(axes: tuple[int, ...], *arrays: Array) -> bool:
    """Are they floats of one shape that lie row by row, whose last axis is the one that is summed over?"""
    first = arrays[0]
    if first.size < max(SMALL, 1) or axes != (first.ndim - 1,) or not are_floats(*arrays):
        return False
    return all(a.flags.c_contiguous and a.shape == first.shape for a in arrays)


# --- pooling: C reads channels-last images ------------------------------------------------------------------------


def pool_max(x: Array, s: Geometry) -> Array:
    """The largest element of each window."""
    return _pooled("pool_max", s.y, s, x) if _are_pixels(x) else cpu.pool_max(x, s)


def pool_winner(x: Array, y: Array, s: Geometry) -> Array:
    """Which element of each window is its largest, y: the number of elements before the first that equals it."""
    if winner_dtype(s) != "uint8" or not _are_pixels(x, y):
        return cpu.pool_winner(x, y, s)
    return _pooled("pool_winner", s.y, s, x, y, dtype=_BYTE)


def pool_take(x: Array, winner: Array, s: Geometry) -> Array:
    """The element of each window that `winner` points at."""
    if winner.dtype != _BYTE or not _are_pixels(x):
        return cpu.pool_take(x, winner, s)
    return _pooled("pool_take", s.y, s, x, winner)


def pool_put(g: Array, winner: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's winner lies."""
    if winner.dtype != _BYTE or not _are_pixels(g):
        return cpu.pool_put(g, winner, s)
    return _pooled("pool_put", s.x, s, g, winner)


def pool_max_grad(g: Array, x: Array, y: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's first element equal to its largest, y, lies."""
    return pool_put(g, pool_winner(x, y, s), s)


def pool_sum(x: Array, s: Geometry) -> Array:
    """The sum of each window."""
    return _pooled("pool_sum", s.y, s, x) if _are_pixels(x) else cpu.pool_sum(x, s)


def pool_spread(g: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added to every element of its window."""
    return _pooled("pool_spread", s.x, s, g) if _are_pixels(g) else cpu.pool_spread(g, s)


def _are_pixels(*images: Array) -> bool:
    return are_floats(*images) and images[0].shape[1] >= FEW_CHANNELS


def _pooled(name: str, shape: tuple[int, ...], s: Geometry, *operands: Array, dtype: Any = FLOAT32) -> Array:
    """The image of this shape that a function of pool.c makes of the operands."""
    out = empty_image(operands[0], shape, dtype)
    read = [channels_last(a) for a in operands]
    call(name, *(address(a) for a in read), address(out), address(_sizes(s)))
    return out


@lru_cache(maxsize=1024)
def _sizes(s: Geometry) -> Array:
    """The sizes that pool.c reads."""
    return np.array((*s.x, *s.y[2:], *s.w[2:], *s.stride), np.int64)


# --- batches ------------------------------------------------------------------------------------------------------


@cache
def _table() -> Array:
    """What `scaled` makes of each byte."""
    return portable.scaled(np.arange(256, dtype=np.uint8))


def scaled(images: Array) -> Array:
    """uint8 images as float32 in [-1, 1]: x (1 / 127.5) - 1."""
    if images.dtype != _BYTE or not _is_dense(images):
        return cpu.scaled(images)
    out = memory.empty_like(images, dtype=FLOAT32)
    call("scaled", address(images), address(_table()), address(out), out.size)
    return out


def gather_images(images: Array, order: Array, k: int, per_epoch: int, batch: int) -> Array:
    """The k-th batch, in this order, of uint8 images (N, ...) as float32 in [-1, 1]."""
    first = k % per_epoch * batch
    chosen = order[first : first + batch]
    plain = images.dtype == _BYTE and images.flags.c_contiguous and chosen.dtype == np.int64
    if not plain or not chosen.flags.c_contiguous or not chosen.size or not _are_below(chosen, len(images)):
        return cpu.gather_images(images, order, k, per_epoch, batch)
    out = memory.empty((len(chosen), *images.shape[1:]))
    places = address(images), address(_table()), address(chosen), address(out)
    call("gather_images", *places, len(chosen), out.size // len(chosen))
    return out


def _are_below(indices: Array, n: int) -> bool:
    return int(indices.min()) >= 0 and int(indices.max()) < n


# --- optimizer updates --------------------------------------------------------------------------------------------


def update(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    """rule(parameter, gradient, *slots, **options) for each row of these arrays, all in one call of C.

    `rule` is one of portable.py but `total`; the function in update.c has its name and formula.
    """
    table, others, kept = [], [], []
    for row in rows:
        p, g, *slots = row
        if not (are_floats(*row) and _is_packed(p) and all(_are_alike(s, p) for s in slots)):
            others.append(row)
            continue
        g = portable.laid_out_as(p, g)
        kept.append(g)  # until C has read it
        table.append((address(p), address(g), *(address(s) for s in slots), *(0,) * (SLOTS - len(slots)), p.size))
    if others:
        note_besides()
        cpu.update(rule, others, **options)
    if table:
        _ARGUMENTS[rule.__name__](table_of(table), len(rows[0]) - 2, **options)


def _sgd(table: Array, slots: int, lr: Array, momentum: float, weight_decay: float, nesterov: bool) -> None:
    lr = np.asarray(lr, np.float64)
    call("sgd", address(table), len(table), address(lr), momentum, weight_decay, int(nesterov), slots)


def _rmsprop(
    table: Array, slots: int, lr: Array, alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool
) -> None:
    lr = np.asarray(lr, np.float64)
    call("rmsprop", address(table), len(table), address(lr), alpha, eps, weight_decay, momentum, int(centered))


def _adam(
    table: Array,
    slots: int,
    lr: Array,
    t: Array,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    lr, t = np.asarray(lr, np.float64), np.asarray(t, np.int64)
    places = address(table), len(table), address(lr), address(t)
    call("adam", *places, *betas, eps, weight_decay, int(decoupled))


def _average(table: Array, slots: int, decay: Array) -> None:
    decay = np.asarray(decay, np.float64)
    call("average", address(table), len(table), address(decay))


_ARGUMENTS: dict[str, Callable[..., None]] = {"sgd": _sgd, "rmsprop": _rmsprop, "adam": _adam, "average": _average}
