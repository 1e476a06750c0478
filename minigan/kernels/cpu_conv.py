"""Convolution on NumPy arrays: images are lowered a few at a time, so that their columns stay in the cache.

All three faces see the image in channels-last order: a window's kw * C floats then lie side by side in memory,
and each block is one matrix product. Threads share the images. Where fewer multiplications will do
(cpu_winograd.py), they do.
"""

from collections.abc import Iterator

import numpy as np

from ..backend import Array
from . import cpu_winograd as winograd
from .geometry import Geometry
from .portable import channels_last, kernel_matrix
from .threads import WORTH_THREADS, scratch, share

_COLUMN_BYTES = 1 << 20  # of one thread's block of columns: half of a usual second-level cache


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    if p := winograd.plan(s):
        return winograd.conv(x, w, s, p, b)
    n, o, oh, ow = s.y
    image = channels_last(x).transpose(0, 2, 3, 1)
    y = np.empty((n, oh, ow, o), dtype=x.dtype)
    kernels = [np.ascontiguousarray(kernel_matrix(w[outs]).T) for _, outs in s.group_slices()]

    def part(images: slice) -> None:
        for (channels, outs), kernel in zip(s.group_slices(), kernels, strict=True):
            for block, columns in _columns(image[images, ..., channels], s):
                target = y[images][block]
                if s.groups == 1:
                    np.dot(columns, kernel, out=target.reshape(-1, o))
                else:
                    target[..., outs] = np.dot(columns, kernel).reshape(-1, oh, ow, kernel.shape[1])
                if b is not None:
                    target[..., outs] += b[outs]

    share(part, n, s.flops > WORTH_THREADS)
    return y.transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    if p := winograd.plan(s):
        return winograd.conv_input(w, y, s, p, b)
    n = s.y[0]
    image = channels_last(y).transpose(0, 2, 3, 1)
    x = np.empty((n, s.x[2], s.x[3], s.x[1]), dtype=y.dtype)
    kernels = [kernel_matrix(w[outs]) for _, outs in s.group_slices()]

    def part(images: slice) -> None:
        for (channels, outs), kernel in zip(s.group_slices(), kernels, strict=True):
            bias = 0 if b is None else b[channels]
            _spread(image[images, ..., outs], kernel, s, bias, out=x[images, ..., channels])

    share(part, n, s.flops > WORTH_THREADS)
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    if p := winograd.plan(s):
        return winograd.conv_weight(x, y, s, p)
    o, c, kh, kw = s.w
    image, result = (channels_last(a).transpose(0, 2, 3, 1) for a in (x, y))

    def part(images: slice) -> Array:
        w = np.zeros((o, kh * kw * c), dtype=x.dtype)
        for channels, outs in s.group_slices():
            product = scratch("products", w[outs].shape, x.dtype)
            for block, columns in _columns(image[images, ..., channels], s):
                w[outs] += np.dot(result[images][block][..., outs].reshape(len(columns), -1).T, columns, out=product)
        return w

    first, *rest = share(part, s.y[0], s.flops > WORTH_THREADS, per_thread=2)
    for w in rest:
        first += w
    return first.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def _few_channels(s: Geometry) -> bool:
    """Are a window's kw * C floats so few that it pays to lay rows of pixels side by side instead?"""
    return s.w[3] * s.w[1] < 16


def _blocks(n: int, s: Geometry, itemsize: int) -> Iterator[slice]:
    """range(n) in blocks of images whose columns take about _COLUMN_BYTES."""
    _, c, kh, kw = s.w
    columns = s.y[2] * s.y[3] * c * kh * kw * itemsize
    size = max(1, _COLUMN_BYTES // columns)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _columns(image: Array, s: Geometry) -> Iterator[tuple[slice, Array]]:
    """Blocks of `image` (N, H, W, C), each with its windows as the rows of a matrix (B OH OW, kh kw C).

    The matrix is overwritten by the next block's.
    """
    n, (_, _, oh, ow), (_, c, kh, kw) = len(image), s.y, s.w
    (sh, sw), (dh, dw) = s.stride, s.dilation
    if kh == kw == sh == sw == 1 and s.groups == 1 and s.padded == (s.y[0], oh, ow, c):
        yield slice(0, n), image.reshape(n * oh * ow, c)  # the image itself, not a copy
        return
    axes = (3, 4, 5, 0, 1, 2) if _few_channels(s) else (0, 1, 2, 3, 4, 5)
    for block in _blocks(n, s, image.itemsize):
        padded = _pad(image[block], s)
        step_n, step_h, step_w, step_c = padded.strides
        windows = np.lib.stride_tricks.as_strided(
            padded,
            (len(padded), oh, ow, kh, kw, c),
            (step_n, step_h * sh, step_w * sw, step_h * dh, step_w * dw, step_c),
            writeable=False,
        ).transpose(axes)
        columns = scratch("columns", windows.shape, image.dtype)
        np.copyto(columns, windows)
        rows = len(padded) * oh * ow
        yield block, columns.reshape(-1, rows).T if _few_channels(s) else columns.reshape(rows, -1)


def _pad(image: Array, s: Geometry) -> Array:
    """`image` (N, H, W, C) with the geometry's border of zeros."""
    if not any(map(any, s.pads)):
        return image
    (top, _), (left, _) = s.pads
    padded = scratch("padded", (len(image), *s.padded[1:3], image.shape[3]), image.dtype)
    padded[:, :top] = padded[:, top + s.x[2] :] = padded[:, :, :left] = padded[:, :, left + s.x[3] :] = 0
    padded[:, top : top + s.x[2], left : left + s.x[3]] = image
    return padded


def _spread(image: Array, kernel: Array, s: Geometry, bias: Array | int, out: Array) -> None:
    """Write to `out` (N, H, W, C) the bias and all windows of `image` (N, OH, OW, O), each spread by `kernel`."""
    n, (_, _, oh, ow), (_, c, kh, kw) = len(image), s.y, s.w
    height, width = s.padded[1:3]
    (top, _), (left, _) = s.pads
    taps = s.taps()
    for block in _blocks(n, s, image.itemsize):
        count = block.stop - block.start
        rows = image[block].reshape(-1, kernel.shape[0])
        whole = scratch("padded", (count * height * width * c,), image.dtype)
        whole[...] = 0
        if _few_channels(s):  # add whole rows of pixels, not pixels of few channels
            product = scratch("columns", (kernel.shape[1], len(rows)), image.dtype)
            pixels = np.dot(kernel.T, rows.T, out=product).reshape(kh, kw, c, count, oh, ow)
            planes = whole.reshape(c, count, height, width)
            for i, j, vertical, horizontal in taps:
                planes[:, :, vertical, horizontal] += pixels[i, j]
            whole = planes.transpose(1, 2, 3, 0)
        else:
            product = scratch("columns", (len(rows), kernel.shape[1]), image.dtype)
            pixels = np.dot(rows, kernel, out=product).reshape(count, oh, ow, kh, kw, c)
            whole = whole.reshape(count, height, width, c)
            for i, j, vertical, horizontal in taps:
                whole[:, vertical, horizontal] += pixels[:, :, :, i, j]
        np.add(whole[:, top : top + s.x[2], left : left + s.x[3]], bias, out=out[block])
