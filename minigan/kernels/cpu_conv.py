"""Convolution on NumPy arrays: images are lowered a few at a time, so that their columns stay in the cache.

All three faces see the image in channels-last order: a window's kw * C floats then lie side by side in memory,
and each block is one matrix product. Threads share the images.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from ..backend import Array
from . import memory
from .cpu_linear import product
from .geometry import Geometry
from .portable import channels_last, kernel_matrix
from .threads import PARTS_PER_THREAD, WORTH_THREADS, alone, scratch, share

T = TypeVar("T")

_ROWS = 128  # pixels of y that a product should have, so that packing the kernel does not outweigh it
_COLUMN_BYTES = 1 << 21  # of one thread's block of columns: as large as a usual second-level cache


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    n, o, oh, ow = s.y
    image = channels_last(x).transpose(0, 2, 3, 1)
    y = memory.empty((n, oh, ow, o), dtype=x.dtype)
    kernels = [kernel_matrix(w[outs]).T for _, outs in s.group_slices()]

    def part(images: slice) -> None:
        for (channels, outs), kernel in zip(s.group_slices(), kernels, strict=True):
            for block, columns in _columns(image[images, ..., channels], s):
                target = y[images][block]
                if s.groups == 1:
                    _multiply(columns, kernel, target.reshape(-1, o), s)
                else:
                    found = scratch("products", (len(columns), kernel.shape[1]), x.dtype)
                    target[..., outs] = _multiply(columns, kernel, found, s).reshape(-1, oh, ow, kernel.shape[1])
                if b is not None:
                    target[..., outs] += b[outs]

    _share_images(part, s)
    return y.transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    n = s.y[0]
    image = channels_last(y).transpose(0, 2, 3, 1)
    x = memory.empty((n, s.x[2], s.x[3], s.x[1]), dtype=y.dtype)
    spread = _spread_planes if _few_channels(s) else _spread_pixels
    kernels = [kernel_matrix(w[outs]) for _, outs in s.group_slices()]

    def part(images: slice) -> None:
        for (channels, outs), kernel in zip(s.group_slices(), kernels, strict=True):
            source, target = image[images, ..., outs], x[images, ..., channels]
            for block in _blocks(len(source), s, source.itemsize):
                found = spread(source[block], kernel, s)
                if b is None:
                    target[block] = found
                else:
                    np.add(found, b[channels], out=target[block])

    _share_images(part, s)
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    o, c, kh, kw = s.w
    image, result = (channels_last(a).transpose(0, 2, 3, 1) for a in (x, y))

    def part(images: slice) -> Array:
        w = memory.zeros((o, kh * kw * c), dtype=x.dtype)
        for channels, outs in s.group_slices():
            partial = scratch("products", w[outs].shape, x.dtype)
            for block, columns in _columns(image[images, ..., channels], s):
                pixels = result[images][block][..., outs].reshape(len(columns), len(partial))
                w[outs] += _multiply(pixels.T, columns, partial, s)
        return w

    first, *rest = _share_images(part, s, per_thread=2)
    for w in rest:
        first += w
    return first.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def _shares_images(s: Geometry) -> bool:
    """Do threads share the images? Where there are few pixels of y they share each product instead."""
    return s.flops > WORTH_THREADS and s.y[0] * s.y[2] * s.y[3] >= 2 * _ROWS


def _share_images(part: Callable[[slice], T], s: Geometry, per_thread: int = PARTS_PER_THREAD) -> list[T]:
    if not _shares_images(s):
        return [part(slice(0, s.y[0]))]
    return alone(lambda: share(part, s.y[0], least=-(-_ROWS // (s.y[2] * s.y[3])), per_thread=per_thread))


def _multiply(a: Array, b: Array, out: Array, s: Geometry) -> Array:
    """The product of two matrices, in `out`."""
    return np.dot(a, b, out=out) if _shares_images(s) else product(a, b, out=out)


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
    if kh == kw == sh == sw == 1 and s.groups == 1 and not _has_border(s) and s.x[2:] == (oh, ow):
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


def _has_border(s: Geometry) -> bool:
    return any(map(any, s.pads))


def _pad(image: Array, s: Geometry) -> Array:
    """`image` (N, H, W, C) with the geometry's border of zeros."""
    if not _has_border(s):
        return image
    (top, _), (left, _) = s.pads
    padded = scratch("padded", (len(image), *s.padded[1:3], image.shape[3]), image.dtype)
    padded[:, :top] = padded[:, top + s.x[2] :] = padded[:, :, :left] = padded[:, :, left + s.x[3] :] = 0
    padded[:, top : top + s.x[2], left : left + s.x[3]] = image
    return padded


# --- windows spread over the image: each adds its kernel's taps, weighted by a pixel of y, where it lies ---------


def _spread_pixels(image: Array, kernel: Array, s: Geometry) -> Array:
    """The sum of all windows of `image` (B, OH, OW, O): (B, H, W, C). Additions go along the channels of a pixel."""
    (b, oh, ow, o), (_, c, kh, kw) = image.shape, s.w
    rows = image.reshape(-1, o)
    pixels = _multiply(rows, kernel, scratch("columns", (len(rows), kernel.shape[1]), image.dtype), s)
    pixels = pixels.reshape(b, oh, ow, kh, kw, c)
    padded = scratch("padded", (b, *s.padded[1:3], c), image.dtype)
    padded[...] = 0
    for i, j, vertical, horizontal in s.taps():
        padded[:, vertical, horizontal] += pixels[:, :, :, i, j]
    return _inside(padded, s)


def _spread_planes(image: Array, kernel: Array, s: Geometry) -> Array:
    """The same for few channels: additions go along rows of pixels of y."""
    (b, oh, ow, o), (_, c, kh, kw) = image.shape, s.w
    rows = image.reshape(-1, o)
    pixels = _multiply(kernel.T, rows.T, scratch("columns", (kernel.shape[1], len(rows)), image.dtype), s)
    pixels = pixels.reshape(kh, kw, c, b, oh, ow)
    planes = scratch("padded", (c, b, *s.padded[1:3]), image.dtype)
    planes[...] = 0
    for i, j, vertical, horizontal in s.taps():
        planes[:, :, vertical, horizontal] += pixels[i, j]
    return _inside(planes.transpose(1, 2, 3, 0), s)


def _inside(padded: Array, s: Geometry) -> Array:
    """`padded` (B, H + pads, W + pads, C) without its border."""
    (top, _), (left, _) = s.pads
    return padded[:, top : top + s.x[2], left : left + s.x[3]]
