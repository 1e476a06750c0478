"""The three faces of a convolution on CuPy arrays, each as one matrix product per group.

Two ways lead there, and the shape alone decides between them. One writes every window as a row of a matrix (im2col)
and leaves the product to cuBLAS; its adjoint lets each pixel gather what is its own (col2im). The other multiplies
the windows where they lie (convolution.cu), and is taken where that matrix would not stay in the GPU's cache.
"""

from typing import Any

from ..backend import Array, array_module
from . import precision
from .cuda_linear import product
from .geometry import Geometry
from .launch import THREADS, launch, launch_each, packed
from .portable import channels_last, kernel_matrix

CACHED = 32 << 20  # bytes of a matrix of windows up to which it is written: what a large GPU's cache holds of it
SLICES = 64  # at most, into which the sum over pixels of a weight gradient is cut
WANTED_BLOCKS = 264  # of a grid: two for each multiprocessor of the largest GPUs

_WIDE, _NARROW = 128, 64  # rows or columns of a tile


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    lib = array_module("cuda")
    n, o, oh, ow = s.y
    x = channels_last(x)
    y = lib.empty((n * oh * ow, o), dtype=x.dtype)
    for (channels, outs), weight in zip(s.group_slices(), _by_group(w, s), strict=True):
        first, c = channels.start, s.w[1]
        if not is_implicit(s, x.itemsize):
            part = product(_columns(x, s, first), weight.T, None if b is None else b[outs])
            y = part if s.groups == 1 else _put(y, outs, part)
            continue
        per_group = o // s.groups
        size = _tile(x.dtype, len(y), per_group)
        grid = _grid(len(y), per_group, size)
        launch(
            "convolution",
            "conv",
            x.dtype,
            grid,
            (THREADS,),
            *(x, weight, b, y, packed(s), first, c, outs.start, per_group),
            **precision.tile(x.dtype, *size),
        )
    return y.reshape(n, oh, ow, o).transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    lib = array_module("cuda")
    n, _, h, wide = s.x
    y = channels_last(y)
    x = lib.empty((n, h, wide, s.x[1]), dtype=y.dtype)
    if not x.size:
        return x.transpose(0, 3, 1, 2)
    rows = y.transpose(0, 2, 3, 1).reshape(-1, s.y[1])
    for (channels, outs), weight in zip(s.group_slices(), _by_group(w, s), strict=True):
        first, c = channels.start, s.w[1]
        if not is_implicit(s, y.itemsize):
            columns = product(rows[:, outs], weight)
            launch_each("columns", "col2im", y.dtype, n * h * wide * c, columns, b, x, packed(s), first, c)
            continue
        per_group = s.y[1] // s.groups
        pixels = n * -(-h // s.stride[0]) * -(-wide // s.stride[1])  # of the largest phase
        size = _tile(y.dtype, pixels, c)
        grid = (*_grid(pixels, c, size)[:2], s.stride[0] * s.stride[1])
        by_input = lib.ascontiguousarray(w[outs].transpose(1, 2, 3, 0))
        launch(
            "convolution",
            "conv_input",
            y.dtype,
            grid,
            (THREADS,),
            *(by_input, y, b, x, packed(s), first, c, outs.start, per_group),
            **precision.tile(y.dtype, *size),
        )
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    lib = array_module("cuda")
    o, c, kh, kw = s.w
    x, y = channels_last(x), channels_last(y)
    rows = y.transpose(0, 2, 3, 1).reshape(-1, o)
    w = lib.empty((o, kh * kw * c), dtype=x.dtype)
    for channels, outs in s.group_slices():
        first, per_group = channels.start, o // s.groups
        if not is_implicit(s, x.itemsize):
            part = product(rows[:, outs].T, _columns(x, s, first))
            w = part if s.groups == 1 else _put(w.T, outs, part.T).T
            continue
        size = _tile(x.dtype, per_group, kh * kw * c)
        grid = _grid(per_group, kh * kw * c, size)
        slices, step = _slices(len(rows), grid[0] * grid[1])
        parts = lib.empty((slices, per_group, kh * kw * c), dtype=x.dtype)
        launch(
            "convolution",
            "conv_weight",
            x.dtype,
            (*grid[:2], slices),
            (THREADS,),
            *(x, y, parts, packed(s), first, c, outs.start, per_group, step),
            **precision.tile(x.dtype, *size),
        )
        target = w[outs]
        n = target.size
        launch("channels", "total_of_parts", x.dtype, (-(-n // 32),), (32, 8), parts, target, slices, n, 1.0)
    return w.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def is_implicit(s: Geometry, itemsize: int) -> bool:
    """True if the windows of `s` are multiplied where they lie, because their matrix would be too large."""
    pixels = s.y[0] * s.y[2] * s.y[3]
    width = s.w[1] * s.w[2] * s.w[3]
    countable = max(pixels, s.x[0] * s.x[2] * s.x[3], width) < 2**30  # by an int, as convolution.cu does
    return countable and pixels * width * itemsize > CACHED


def _columns(x: Array, s: Geometry, first: int) -> Array:
    """Every window of the group whose first channel is `first`, as a row: (N OH OW, kh kw C / groups)."""
    n, _, oh, ow = s.y
    _, c, kh, kw = s.w
    rows, width = n * oh * ow, kh * kw * c
    columns = array_module("cuda").empty((rows, width), dtype=x.dtype)
    if columns.size:
        across = min(THREADS, 1 << (width - 1).bit_length())
        down = THREADS // across
        grid = (min(-(-rows // down), 1 << 16),)
        launch("columns", "im2col", x.dtype, grid, (across, down), x, columns, packed(s), first, c)
    return columns


def _by_group(w: Array, s: Geometry) -> list[Array]:
    """The kernel matrix (O / groups, kh kw C / groups) of each group, in C order."""
    matrix = array_module("cuda").ascontiguousarray(kernel_matrix(w))
    return [matrix[outs] for _, outs in s.group_slices()]


def _put(whole: Array, columns: slice, part: Array) -> Array:
    whole[:, columns] = part
    return whole


def _tile(dtype: Any, m: int, n: int) -> tuple[int, int]:
    """Rows and columns of a tile: large ones where there is work enough for them and registers for their sums."""
    if dtype.itemsize == 8 or m * n < WANTED_BLOCKS * _WIDE * _NARROW:
        return _NARROW, _NARROW
    return (_WIDE, _WIDE) if n > _NARROW else (_WIDE, _NARROW)


def _grid(m: int, n: int, tile: tuple[int, int]) -> tuple[int, int]:
    return -(-m // tile[0]), -(-n // tile[1])


def _slices(pixels: int, blocks: int) -> tuple[int, int]:
    """(how many slices the sum over pixels is cut into, pixels of each), for a grid of `blocks` tiles."""
    wanted = max(1, min(SLICES, WANTED_BLOCKS // blocks, pixels // 256))
    step = -(-pixels // wanted)
    return -(-pixels // step) if pixels else 1, max(step, 1)
