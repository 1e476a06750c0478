"""Sums and normalisation over channels in C (c/channels.c), of float32.

Rows of channels are those of a matrix (N, C), or the pixels of channels-last images. What is of another layout, type or
size goes NumPy's way, by the function of cpu.py.
"""

from typing import Any

import numpy as np

from ..backend import FLOAT32, Array
from . import cpu, memory
from .library import address, call

SIMPLE = 1 << 14  # elements below which NumPy has done one function of them before a call of C begins


def are_floats(*arrays: Array) -> bool:
    """Are all of them float32?"""
    return all(a.dtype is FLOAT32 or a.dtype == FLOAT32 for a in arrays)


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`."""
    pixels = axes == (2, 3)
    taken = x.size >= SIMPLE and (pixels or axes == ((0,) if x.ndim == 2 else (0, 2, 3)))
    rows = channel_rows(x) if taken else None
    if rows is None:
        return cpu.sum(x, axes, keepdims)
    if pixels:
        total = memory.empty(x.shape[:2])
        call("sample_sums", address(rows), address(total), *_sizes(x, rows))
    else:
        total = memory.empty(rows.shape[1])
        call("column_sums", address(rows), 0, address(total), *rows.shape)
    return total.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else total


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    a_rows, b_rows = channel_rows(a), channel_rows(b)
    if a_rows is None or b_rows is None:
        return cpu.channel_dot(a, b)
    total = _of_channels(a, 1)[0]
    call("column_sums", address(a_rows), address(b_rows), address(total), *a_rows.shape)
    return total


def channel_stats(x: Array, eps: float) -> Array:
    """(2, 1, C, 1, ...): the mean of each channel, and r = 1 / sqrt(var + eps) with its biased variance."""
    rows = channel_rows(x)
    if rows is None:
        return cpu.channel_stats(x, eps)
    stats = _of_channels(x, 2)
    call("channel_stats", address(rows), address(stats), *rows.shape, eps)
    return stats


def batch_norm(x: Array, stats: Array, w: Array = None, b: Array = None) -> Array:
    """y w + b with y = (x - mean) r of the channels' `stats` (mean, r); w is 1 and b 0 where they are None."""
    rows = channel_rows(x)
    if rows is None or not (_are_rows(rows, *_given(w, b)) and _are_pairs(rows, stats)):
        return cpu.batch_norm(x, stats, w, b)
    z = memory.empty_like(x)
    call("batch_norm", address(rows), address(stats), _place(w), _place(b), address(z), *rows.shape)
    return z


def scale_shift(x: Array, w: Array, b: Array) -> Array:
    """x w + b."""
    rows = channel_rows(x)
    if rows is None or not _are_rows(rows, w, b):
        return cpu.scale_shift(x, w, b)
    z = memory.empty_like(x)
    call("scale_shift", address(rows), address(w), address(b), address(z), *rows.shape)
    return z


def channel_sums(g: Array, x: Array, stats: Array) -> Array:
    """(2, 1, C, 1, ...): the sums of g and of g y over each channel, y = (x - mean) r."""
    g_rows, rows = channel_rows(g), channel_rows(x)
    if g_rows is None or rows is None or not _are_pairs(rows, stats):
        return cpu.channel_sums(g, x, stats)
    sums = _of_channels(x, 2)
    call("channel_sums", address(g_rows), address(rows), address(stats), address(sums), *rows.shape)
    return sums


def batch_norm_grad(g: Array, x: Array, stats: Array, sums: Array, w: Array = None) -> Array:
    """w r (g - (sums[0] + y sums[1]) / n), n values in each channel; w is 1 where it is None."""
    g_rows, rows = channel_rows(g), channel_rows(x)
    plain = g_rows is not None and rows is not None and _are_rows(rows, *_given(w))
    if not (plain and _are_pairs(rows, stats, sums)):
        return cpu.batch_norm_grad(g, x, stats, sums, w)
    d = memory.empty_like(x)
    places = address(g_rows), address(rows), address(stats), address(sums), _place(w), address(d)
    call("batch_norm_grad", *places, *rows.shape)
    return d


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
    if batches.dtype != np.int64 or not (are_floats(*floats) and all(a.flags.c_contiguous for a in floats)):
        cpu.track(running_mean, running_var, batches, mean, r, count, momentum, eps)
        return
    places = [address(a) for a in (running_mean, running_var, batches, mean, r)]
    call("track", *places, count / (count - 1), momentum, eps, mean.size)


# --- of each sample by itself -------------------------------------------------------------------------------------


def sample_moments(x: Array, groups: int) -> Array:
    """(2, N, C, 1, ...): the mean of each channel's group in each sample, and its biased variance."""
    rows = channel_rows(x)
    if rows is None:
        return cpu.sample_moments(x, groups)
    moments = _of_samples(x, 2)
    call("sample_moments", address(rows), address(moments), *_sizes(x, rows), groups)
    return moments


def sample_affine(x: Array, mean: Array, scale: Array, shift: Array = None) -> Array:
    """(x - mean) scale + shift; shift is 0 where it is None."""
    rows = channel_rows(x)
    if rows is None or not _are_of_samples(x, *_given(mean, scale, shift)):
        return cpu.sample_affine(x, mean, scale, shift)
    z = memory.empty_like(x)
    values = [None if v is None else np.ascontiguousarray(v) for v in (mean, scale, shift)]
    call("sample_affine", address(rows), *map(_place, values), address(z), *_sizes(x, rows))
    return z


def sample_sums(g: Array, x: Array, mean: Array) -> Array:
    """(2, N, C, 1, ...): the sums of g and of g (x - mean) over each channel of each sample."""
    g_rows, rows = channel_rows(g), channel_rows(x)
    if g_rows is None or rows is None or not _are_of_samples(x, mean):
        return cpu.sample_sums(g, x, mean)
    sums, mean = _of_samples(x, 2), np.ascontiguousarray(mean)
    call("sample_products", *map(address, (g_rows, rows, mean, sums)), *_sizes(x, rows))
    return sums


# --- arrays as C reads them ---------------------------------------------------------------------------------------


def channel_rows(x: Array) -> Any:
    """x (N, C) or channels-last (N, C, H, W) of floats as rows of channels (N H W, C); None if it is neither."""
    if x.ndim not in (2, 4) or not x.size or not are_floats(x):
        return None
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    return x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous else None


def _are_rows(rows: Array, *values: Array) -> bool:
    """True if each of `values` has a float for each column, one after the other."""
    return all(are_floats(v) and v.size == rows.shape[1] and v.flags.c_contiguous for v in values)


def _are_pairs(rows: Array, *pairs: Array) -> bool:
    """True if each of `pairs` has a float for each column, one after the other, and then a second one for each."""
    return all(are_floats(p) and p.size == 2 * rows.shape[1] and p.flags.c_contiguous for p in pairs)


def _are_of_samples(x: Array, *values: Array) -> bool:
    """True if each of `values` has a float for each channel of each sample of x, in any order of memory."""
    return are_floats(*values) and all(v.size == x.shape[0] * x.shape[1] for v in values)


def _of_channels(x: Array, count: int) -> Array:
    """An uninitialised array of `count` values for each channel of x: (count, 1, C, 1, ...)."""
    return memory.empty((count, 1, x.shape[1], *(1 for _ in x.shape[2:])))


def _of_samples(x: Array, count: int) -> Array:
    """An uninitialised array of `count` values for each channel of each sample of x: (count, N, C, 1, ...)."""
    return memory.empty((count, *x.shape[:2], *(1 for _ in x.shape[2:])))


def _sizes(x: Array, rows: Array) -> tuple[int, int, int]:
    """How many samples x has, each how many rows, and these how many columns."""
    return len(x), len(rows) // len(x), rows.shape[1]


def _given(*values: Array) -> list[Array]:
    """Those of the values that are not None."""
    return [v for v in values if v is not None]


def _place(value: Array) -> int:
    """Where a value lies; 0, which C knows as NULL, if it is None."""
    return 0 if value is None else address(value)
