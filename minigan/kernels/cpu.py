"""Kernels on NumPy arrays, in blocks and in place, shared by the threads.

Images are channels-last in memory, so that a batch is a matrix with one row per pixel and one column per channel.
Convolution and matrix products have files of their own, and what needs no care is shared with CuPy (portable.py).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array
from . import memory, portable
from .cpu_conv import conv, conv_input, conv_weight  # noqa: F401  offered as kernels of this device
from .cpu_linear import linear, linear_weight, matmul  # noqa: F401  likewise
from .geometry import Geometry
from .portable import (  # noqa: F401  as they are on each device
    channels_last,
    empty_image,
    gather_images,
    pool_max,
    pool_spread,
    pool_sum,
    pool_take,
    pool_winner,
    reshaped,
    scaled,
    sigmoid,
    softplus,
    track,
    where,
    zero_image,
)
from .threads import VECTOR_ALONE, alone, scratch, share


def update(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    """rule(parameter, gradient, *slots, **options) for each row of these arrays: small ones of a type all at once."""
    small: dict[Any, list[Sequence[Array]]] = {}
    for row in rows:
        p, g, *slots = row
        if p.size < _SMALL and all(a.flags.c_contiguous for a in row):
            small.setdefault(p.dtype, []).append(row)
            continue
        if g.strides != p.strides:
            ordered = memory.empty_like(p)
            ordered[...] = g
            g = ordered
        _along_memory(lambda *parts: rule(*parts, **options), p, g, *slots, block=_UPDATED)
    for alike in small.values():
        _update_together(rule, alike, **options)


def _update_together(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    joined = [np.concatenate([a.reshape(-1) for a in arrays]) for arrays in zip(*rows, strict=True)]
    rule(*joined, **options)
    start = 0
    for row in rows:
        stop = start + row[0].size
        for k, (array, values) in enumerate(zip(row, joined, strict=True)):
            if k != 1:  # the gradient stays as it is
                array.reshape(-1)[...] = values[start:stop]
        start = stop


_SMALL = 1 << 14  # elements of an array below which calling a function costs more than what it does
_UPDATED = 1 << 17  # elements of each of the many arrays of an update that stay in the cache together


def arithmetic(name: str, a: Array, b: Array) -> Array:
    """NumPy's function of that name of a and b, one of which may be a number; a large result is shared."""
    function = getattr(np, name)
    sizes = [x.size if isinstance(x, np.ndarray) else -1 for x in (a, b)]
    large, small = (a, b) if sizes[0] >= sizes[1] else (b, a)
    is_number = min(sizes) < 0
    if not isinstance(large, np.ndarray) or large.nbytes < memory.LARGE or large.dtype.kind != "f":
        return function(a, b)
    if not is_number and (small.dtype != large.dtype or small.ndim > large.ndim):
        return function(a, b)
    y = memory.empty_like(large)

    def with_other(other: Array) -> Callable[[Array, Array], Array]:
        if small is b:
            return lambda part, out: function(part, other, out=out)
        return lambda part, out: function(other, part, out=out)

    if is_number or small.size == 1:
        _along_memory(with_other(small if is_number else small.reshape(())), large, y)
    elif a.shape == b.shape:
        _along_memory(lambda a, b, out: function(a, b, out=out), a, b, y)
    elif (rows := _channel_rows(large)) is not None and small.shape == (1, *large.shape[1:2], *(1,) * (large.ndim - 2)):
        kernel, out = with_other(small.reshape(1, -1)), _channel_rows(y)
        _in_blocks(lambda block: kernel(rows[block], out[block]), rows.shape)
    else:
        return function(a, b)
    return y


def function(name: str, x: Array) -> Array:
    """NumPy's function of that name of each element of x; a large array is shared."""
    found = getattr(np, name)
    if x.nbytes < memory.LARGE:
        return found(x)
    y = memory.empty_like(x)
    _along_memory(lambda x, out: found(x, out=out), x, y)
    return y


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`; over all but the channels as a product with ones, which BLAS does at memory speed."""
    over_channels = axes == ((0,) if x.ndim == 2 else (0, 2, 3)) and x.size > _SMALL and x.dtype.kind == "f"
    rows = _channel_rows(x) if over_channels else None
    if rows is None:
        return portable.sum(x, axes, keepdims)
    total = _column_sums(lambda part: rows[part], rows.shape, x.dtype)
    return total.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else total


def inv_std(x: Array, mean: Array, eps: float) -> Array:
    """1 / sqrt(var + eps) of each channel, var the biased variance about `mean`."""
    rows = _channel_rows(x)
    if rows is None:
        return portable.inv_std(x, mean, eps)

    def squares(part: slice) -> Array:
        centred = np.subtract(rows[part], mean.reshape(-1), out=scratch("rows", rows[part].shape, x.dtype))
        centred *= centred
        return centred

    var = _column_sums(squares, rows.shape, x.dtype) * (1 / len(rows))
    return (1 / np.sqrt(var + eps)).reshape(mean.shape)


def normalize(x: Array, mean: Array, scale: Array) -> Array:
    """(x - mean) * scale."""
    y = _per_channel(x, (np.subtract, mean), (np.multiply, scale))
    return portable.normalize(x, mean, scale) if y is None else y


def scale_shift(y: Array, w: Array, b: Array) -> Array:
    """y w + b."""
    z = _per_channel(y, (np.multiply, w), (np.add, b))
    return portable.scale_shift(y, w, b) if z is None else z


def _per_channel(x: Array, first: tuple[np.ufunc, Array], second: tuple[np.ufunc, Array]) -> Array | None:
    """Two functions of x and a value for each channel, one after the other; None unless x is rows of channels."""
    rows = _channel_rows(x)
    if rows is None:
        return None
    y = memory.empty_like(x)
    out = _channel_rows(y)
    (start, a), (end, b) = ((function, values.reshape(-1)) for function, values in (first, second))

    def part(block: slice) -> None:
        start(rows[block], a, out=out[block])
        end(out[block], b, out=out[block])

    _in_blocks(part, rows.shape)
    return y


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    a_rows, b_rows = _channel_rows(a), _channel_rows(b)
    if a_rows is None or b_rows is None:
        return portable.channel_dot(a, b)
    return _dot_of_columns(a_rows, b_rows).reshape(1, -1, *(1 for _ in a.shape[2:]))


def normalize_grad(g: Array, y: Array, scale: Array) -> Array:
    """scale * (g - mean(g) - y mean(g y)), means over each channel."""
    g_rows, y_rows = _channel_rows(g), _channel_rows(y)
    if g_rows is None or y_rows is None:
        return portable.normalize_grad(g, y, scale)
    shift = _column_sums(lambda part: g_rows[part], g_rows.shape, g.dtype) * (1 / len(g_rows))
    slope = _dot_of_columns(g_rows, y_rows) * (1 / len(g_rows))
    x = memory.empty_like(y)
    out = _channel_rows(x)

    def part(block: slice) -> None:
        target = out[block]
        np.multiply(y_rows[block], slope, out=target)
        np.subtract(g_rows[block], target, out=target)
        target -= shift
        target *= scale.reshape(-1)

    _in_blocks(part, g_rows.shape)
    return x


def _channel_rows(x: Array) -> Any:
    """x (N, C) or channels-last (N, C, H, W) as rows of channels (N H W, C), not copied; None if it is neither."""
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    elif x.ndim != 2:
        return None
    return x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous and x.size else None


def _in_blocks(kernel: Callable[[slice], Any], shape: tuple[int, int]) -> list:
    """[kernel(block) for blocks of a few rows of a matrix of this shape], shared by the threads, in order."""
    rows, columns = shape
    step = max(1, _ELEMENTS // columns)

    def part(mine: slice) -> list:
        return [kernel(slice(i, min(i + step, mine.stop))) for i in range(mine.start, mine.stop, step)]

    return [
        result
        for results in share(part, rows, rows * columns >= _SHARED_ELEMENTS, per_thread=_PARTS)
        for result in results
    ]


def _column_sums(block_of: Callable[[slice], Array], shape: tuple[int, int], dtype: Any) -> Array:
    """The sum over all rows of a matrix given block by block: (columns,)."""
    ones = np.ones(max(1, min(shape[0], _ELEMENTS // shape[1])), dtype)

    def kernel(block: slice) -> Array:
        values = block_of(block)
        return np.dot(ones[: len(values)], values)

    def sums() -> list[Array]:
        return _in_blocks(kernel, shape)

    first, *rest = alone(sums) if shape[0] * shape[1] > VECTOR_ALONE / 2 else sums()
    for total in rest:
        first += total
    return first


def _dot_of_columns(a: Array, b: Array) -> Array:
    """The sum over all rows of a b: (columns,)."""

    def products(part: slice) -> Array:
        return np.multiply(a[part], b[part], out=scratch("rows", a[part].shape, a.dtype))

    return _column_sums(products, a.shape, a.dtype)


def leaky_relu(x: Array, slope: float) -> Array:
    """x where x > 0, slope * x elsewhere; slope >= 0."""
    y = memory.empty_like(x)
    _along_memory(lambda x, out: portable.leaky_relu(x, slope, out), x, y)
    return y


def leaky_relu_grad(g: Array, y: Array, slope: float) -> Array:
    """g where y > 0, slope * g elsewhere."""
    out = memory.empty_like(y)
    _along_memory(lambda g, y, out: portable.leaky_relu_grad(g, y, slope, out), g, y, out)
    return out


def pool_put(g: Array, winner: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's winner lies."""
    x = portable.empty_image(g, s.x)
    _along_images(lambda g, winner, out: portable.pool_put(g, winner, s, out), g, winner, x)
    return x


_SHARED_ELEMENTS = 1 << 18  # of an array from which threads share what is done to each element
_ELEMENTS = 1 << 18  # that several passes work on at a time: fewer, and threads spend their time on handing over
_PARTS = 2  # for each thread


def _along_memory(kernel: Callable[..., Any], *arrays: Array, block: int = _ELEMENTS) -> None:
    """kernel(*parts) for equal parts of `arrays`, cut along their memory; at once if they are laid out differently."""
    first = arrays[0]
    if first.size < _SHARED_ELEMENTS:
        kernel(*arrays)
        return
    alike = all(a.strides == first.strides for a in arrays)
    flat = [a.ravel(order="K") for a in arrays] if alike else []
    if not alike or not np.may_share_memory(flat[0], first):  # not one run of memory: ravel had to copy
        kernel(*arrays)
        return

    def part(elements: slice) -> None:
        for start in range(elements.start, elements.stop, block):
            mine = slice(start, min(start + block, elements.stop))
            kernel(*(a[mine] for a in flat))

    share(part, first.size, per_thread=_PARTS)


def _along_images(kernel: Callable[..., Any], *arrays: Array) -> None:
    """kernel(*parts) for parts of a few images of `arrays` (N, ...)."""
    n, size = len(arrays[0]), max(a.size for a in arrays)
    step = max(1, _ELEMENTS * n // size) if size else 1

    def part(images: slice) -> None:
        for start in range(images.start, images.stop, step):
            block = slice(start, min(start + step, images.stop))
            kernel(*(a[block] for a in arrays))

    share(part, n, size >= _SHARED_ELEMENTS, per_thread=_PARTS)
