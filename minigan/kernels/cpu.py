"""Convolution on NumPy arrays: images are lowered a few at a time, so that their columns stay in the cache.

All three faces see the image in channels-last order: a window's kw * C floats then lie side by side in memory,
and each block is one matrix product. What is not convolution is shared with CuPy (see portable.py).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import Array
from . import portable
from .geometry import Geometry
from .portable import *  # noqa: F403  the same functions on each device
from .portable import block_images, channels_last


def conv(x: Array, w: Array, s: Geometry) -> Array:
    """y = conv(x, w): (N, O, OH, OW), channels-last in memory."""
    n, o, oh, ow = s.y
    y = np.empty((n, oh, ow, o), dtype=x.dtype)
    for channels, outs in _groups(s):
        kernel = _matrix(w[outs]).T
        for images, columns in _columns(x, channels, s):
            if s.groups == 1:
                np.dot(columns, kernel, out=y[images].reshape(-1, o))
            else:
                y[images, ..., outs] = np.dot(columns, kernel).reshape(-1, oh, ow, kernel.shape[1])
    return y.transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry) -> Array:
    """The x-slot of the convolution's trilinear form: its input gradient, its transpose. (N, C, H, W)."""
    n, _, oh, ow = s.y
    _, c, kh, kw = s.w
    image = channels_last(y).transpose(0, 2, 3, 1)
    (top, _), (left, _) = s.pads
    x = np.empty((n, s.x[2], s.x[3], s.x[1]), dtype=y.dtype)
    taps = s.taps()
    block = max(1, min(block_images(s, y.itemsize), n))
    few_channels = _few_channels(s)
    height, width = s.padded[1:3]
    # few channels: rows of pixels lie side by side, so taps add whole rows; otherwise whole pixels
    scratch = np.empty((c, block, height, width) if few_channels else (block, height, width, c), dtype=y.dtype)
    for channels, outs in _groups(s):
        kernel = _matrix(w[outs])
        for start in range(0, n, block):
            images = slice(start, min(start + block, n))
            rows = image[images, ..., outs].reshape(-1, kernel.shape[0])
            count = images.stop - start
            if few_channels:
                columns = np.dot(kernel.T, rows.T).reshape(kh, kw, c, count, oh, ow)
                padded = scratch[:, :count]
                padded[...] = 0
                for i, j, vertical, horizontal in taps:
                    padded[:, :, vertical, horizontal] += columns[i, j]
                padded = padded.transpose(1, 2, 3, 0)
            else:
                columns = np.dot(rows, kernel).reshape(count, oh, ow, kh, kw, c)
                padded = scratch[:count]
                padded[...] = 0
                for i, j, vertical, horizontal in taps:
                    padded[:, vertical, horizontal] += columns[:, :, :, i, j]
            x[images, ..., channels] = padded[:, top : top + s.x[2], left : left + s.x[3]]
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    o, c, kh, kw = s.w
    image = channels_last(y).transpose(0, 2, 3, 1)
    w = np.zeros((o, kh * kw * c), dtype=x.dtype)
    for channels, outs in _groups(s):
        for images, columns in _columns(x, channels, s):
            w[outs] += np.dot(image[images, ..., outs].reshape(len(columns), -1).T, columns)
    return w.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def adam(p: Array, g: Array, m: Array, v: Array, **options: Any) -> None:
    """Adam, in place in p, m and v, in blocks that stay in the cache."""
    if g.strides != p.strides:
        ordered = np.empty_like(p)
        ordered[...] = g
        g = ordered
    flat = [a.ravel(order="K") for a in (p, g, m, v)]
    if not all(np.shares_memory(a, b) for a, b in zip(flat, (p, g, m, v), strict=True)):
        portable.adam(p, g, m, v, **options)  # not one run of memory: nothing to block
        return
    for start in range(0, p.size, _BLOCK):
        portable.adam(*(a[start : start + _BLOCK] for a in flat), **options)


_BLOCK = 1 << 16


def _groups(s: Geometry) -> list[tuple[slice, slice]]:
    """(channels of x, channels of y) per group."""
    c, o = s.w[1], s.w[0] // s.groups
    return [(slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)) for k in range(s.groups)]


def _few_channels(s: Geometry) -> bool:
    """Are a window's kw * C floats so few that it pays to lay rows of pixels side by side instead?"""
    return s.w[3] * s.w[1] < 16


def _matrix(w: Array) -> Array:
    """The kernel as a matrix (O, kh kw C)."""
    return w.transpose(0, 2, 3, 1).reshape(w.shape[0], -1)


def _columns(x: Array, channels: slice, s: Geometry) -> Iterator[tuple[slice, Array]]:
    """Blocks of images, each with its windows as the rows of a matrix: (images, (B OH OW, kh kw C / groups)).

    The matrix is overwritten by the next block's.
    """
    image = channels_last(x).transpose(0, 2, 3, 1)
    n, _, oh, ow = s.y
    _, c, kh, kw = s.w
    (sh, sw), (dh, dw) = s.stride, s.dilation
    if any(map(any, s.pads)):
        (top, _), (left, _) = s.pads
        padded = np.zeros(s.padded, dtype=x.dtype)
        padded[:, top : top + s.x[2], left : left + s.x[3]] = image
        image = padded
    image = image[..., channels]
    step_n, step_h, step_w, step_c = image.strides
    windows = np.lib.stride_tricks.as_strided(
        image,
        (n, oh, ow, kh, kw, c),
        (step_n, step_h * sh, step_w * sw, step_h * dh, step_w * dw, step_c),
        writeable=False,
    )
    if kh == kw == sh == sw == 1 and s.groups == 1:
        yield slice(0, n), windows.reshape(n * oh * ow, c)  # the image itself, not a copy
        return
    few_channels = _few_channels(s)
    axes = (3, 4, 5, 0, 1, 2) if few_channels else (0, 1, 2, 3, 4, 5)
    block = max(1, min(block_images(s, x.itemsize), n))
    buffer = np.empty(block * oh * ow * kh * kw * c, dtype=x.dtype)
    for start in range(0, n, block):
        images = slice(start, min(start + block, n))
        part = windows[images].transpose(axes)
        columns = buffer[: part.size].reshape(part.shape)
        np.copyto(columns, part)
        rows = (images.stop - start) * oh * ow
        yield images, columns.reshape(-1, rows).T if few_channels else columns.reshape(rows, -1)
