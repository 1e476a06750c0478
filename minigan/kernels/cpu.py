"""Kernels on NumPy arrays, shared by the threads where arrays are large.

They are for reading, for float64, and for machines without compiled kernels (compiled.py). Images are channels-last in
memory, so that a batch is a matrix with one row per pixel and one column per channel. Convolution and matrix products
have files of their own, and what needs no care is shared with CuPy (portable.py).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array
from . import memory, portable
from .cpu_conv import conv, conv_input, conv_weight  # noqa: F401  offered as kernels of this device
from .cpu_linear import banded, linear, linear_weight, matmul  # noqa: F401  likewise
from .means import lengths, mean_of, mean_of_grad  # noqa: F401  likewise
from .portable import (  # noqa: F401  as they are on each device
    channels_last,
    concatenate,
    empty_image,
    flattened,
    gather_images,
    pool_max,
    pool_max_grad,
    pool_put,
    pool_spread,
    pool_sum,
    pool_take,
    pool_winner,
    reshaped,
    sample_affine,
    sample_moments,
    sample_sums,
    scaled,
    sigmoid,
    softplus,
    track,
    where,
    zero_image,
)
from .threads import alone, share


def update(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    """rule(parameter, gradient, *slots, **options) for each row of these arrays: small ones of a type all at once."""
    small: dict[Any, list[Sequence[Array]]] = {}
    for row in rows:
        p, g, *slots = row
        if p.size < _SMALL and all(a.flags.c_contiguous for a in row):
            small.setdefault(p.dtype, []).append(row)
            continue
        ordered = portable.laid_out_as(p, g)
        _along_memory(lambda *parts: rule(*parts, **options), p, ordered, *slots, block=_UPDATED)
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
_FEW = 7  # elements of an axis: NumPy adds more of them in another order
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
        share(lambda part: kernel(rows[part], out[part]), len(rows), rows.size >= _SHARED_ELEMENTS, per_thread=_PARTS)
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


def extreme(name: str, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The "max" or "min" of x over `axes`."""
    if _are_few(x, axes):
        return _over_few(np.maximum if name == "max" else np.minimum, x, keepdims)
    return portable.extreme(name, x, axes, keepdims)


def _are_few(x: Array, axes: tuple[int, ...]) -> bool:
    """Is it a few elements that lie side by side, as in maxout, that are taken together?"""
    return x.ndim > 1 and axes == (x.ndim - 1,) and 1 < x.shape[-1] <= _FEW


def _over_few(of_two: Callable[..., Array], x: Array, keepdims: bool) -> Array:
    """The last axis folded one element after the other, in NumPy's order; its own loop costs ten times as much."""
    y = of_two(x[..., 0], x[..., 1])
    for k in range(2, x.shape[-1]):
        of_two(y, x[..., k], out=y)
    return y[..., None] if keepdims else y


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`; over all but the channels as a product with ones, which BLAS does at memory speed."""
    if x.dtype.kind == "f" and _are_few(x, axes):
        return _over_few(np.add, x, keepdims)
    over_channels = axes == _but_channels(x) and x.size > _SMALL and x.dtype.kind == "f"
    rows = _channel_rows(x) if over_channels else None
    if rows is None:
        return portable.sum(x, axes, keepdims)
    total = _sum_of_rows(rows)
    return total.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else total


def _sum_of_rows(rows: Array) -> Array:
    ones = np.ones(len(rows), rows.dtype)

    def sums() -> list[Array]:
        large = rows.size >= _SHARED_ELEMENTS
        return share(lambda part: np.dot(ones[part], rows[part]), len(rows), large, per_thread=_PARTS)

    first, *rest = alone(sums)
    for total in rest:
        first += total
    return first


def _but_channels(x: Array) -> tuple[int, ...]:
    return tuple(a for a in range(x.ndim) if a != 1)


def _mean(x: Array) -> Array:
    axes = _but_channels(x)
    return sum(x, axes, True) / math.prod(x.shape[a] for a in axes)


def channel_stats(x: Array, eps: float) -> Array:
    """(2, 1, C, 1, ...): the mean of each channel, and r = 1 / sqrt(var + eps) with its biased variance."""
    mean = _mean(x)
    centred = arithmetic("subtract", x, mean)
    return portable.pair(mean, 1 / np.sqrt(_mean(arithmetic("multiply", centred, centred)) + eps))


def batch_norm(x: Array, stats: Array, w: Array = None, b: Array = None) -> Array:
    """y w + b with y = (x - mean) r of the channels' `stats` (mean, r); w is 1 and b 0 where they are None."""
    mean, r = stats
    z = arithmetic("multiply", arithmetic("subtract", x, mean), r if w is None else r * w)
    return z if b is None else arithmetic("add", z, b)


def scale_shift(x: Array, w: Array, b: Array) -> Array:
    """x w + b."""
    return arithmetic("add", arithmetic("multiply", x, w), b)


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    return sum(arithmetic("multiply", a, b), _but_channels(a), True)


def channel_sums(g: Array, x: Array, stats: Array) -> Array:
    """(2, 1, C, 1, ...): the sums of g and of g y over each channel, y = (x - mean) r."""
    return portable.pair(sum(g, _but_channels(g), True), channel_dot(g, batch_norm(x, stats)))


def batch_norm_grad(g: Array, x: Array, stats: Array, sums: Array, w: Array = None) -> Array:
    """w r (g - (sums[0] + y sums[1]) / n), n values in each channel; w is 1 where it is None."""
    r, (plain, along) = stats[1], sums * (x.shape[1] / x.size if x.size else 0.0)
    d = arithmetic("subtract", g, batch_norm(x, stats, along))
    return arithmetic("multiply", arithmetic("subtract", d, plain), r if w is None else r * w)


def _channel_rows(x: Array) -> Any:
    """x (N, C) or channels-last (N, C, H, W) as rows of channels (N H W, C), not copied; None if it is neither."""
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    elif x.ndim != 2:
        return None
    return x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous and x.size else None


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


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    """e^x / sum(e^x) over `axes`; NaN where one is infinity, or all are -infinity."""
    return _row_by_row(portable.softmax, axes, x)


def softmax_grad(g: Array, y: Array, axes: tuple[int, ...]) -> Array:
    """y (g - sum(g y) over `axes`)."""
    return _row_by_row(portable.softmax_grad, axes, g, y)


def _row_by_row(kernel: Callable[..., Array], axes: tuple[int, ...], *arrays: Array) -> Array:
    """kernel(*arrays, axes), a few rows at a time if the axis is that along which large arrays lie in memory."""
    first = arrays[0]
    is_dense = all(a.flags.c_contiguous and a.shape == first.shape for a in arrays)
    if first.size < _SHARED_ELEMENTS or axes != (first.ndim - 1,) or not is_dense:
        return kernel(*arrays, axes)
    rows = [portable.as_rows(a) for a in arrays]
    y = memory.empty_like(rows[0])
    block = max(1, _IN_CACHE // first.shape[-1])

    def part(mine: slice) -> None:
        for start in range(mine.start, mine.stop, block):
            few = slice(start, min(start + block, mine.stop))
            y[few] = kernel(*(a[few] for a in rows), (1,))

    share(part, len(y), per_thread=_PARTS)
    return y.reshape(first.shape)


_SHARED_ELEMENTS = 1 << 18  # of an array from which threads share what is done to each element
_ELEMENTS = 1 << 18  # that several passes work on at a time: fewer, and threads spend their time on handing over
_IN_CACHE = 1 << 15  # of each of a few arrays, that one core's own cache holds
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
