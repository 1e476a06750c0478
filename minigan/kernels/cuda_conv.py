"""The three faces of a convolution on CuPy arrays, each as one matrix product per group.

Two ways lead there, and cuda_ways.py decides between them. One writes every window as a row of a matrix (im2col), a
slab of images at a time, and leaves the product to cuBLAS; its adjoint lets each pixel gather what is its own (col2im).
The other multiplies the windows where they lie (convolution.cu): in float32 that is faster where a window, or what it
is multiplied with, is so small that writing it costs more than the product; on tensor cores up to some hundred
channels.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..backend import FLOAT32, Array, array_module
from . import cuda_ways, precision
from .cuda_linear import operands, product
from .cuda_ways import WAYS  # noqa: F401  how FORCED may read
from .gemm import BFLOAT16
from .geometry import Geometry
from .launch import THREADS, in_c_order, launch, launch_each, packed
from .portable import channels_last, kernel_matrix
from .tiles import Tile, launch_tiles, shared_memory

FORCED: str | None = None  # one of WAYS for every convolution that allows it, for measurements and tests

SLAB = 128 << 20  # bytes of a matrix of windows that are written at a time
SLICES = 64  # at most, into which the sum over pixels of a weight gradient is cut
MANY_ELEMENTS = 1 << 15  # of a weight gradient: each is then summed over the slices by one thread
WANTED_BLOCKS = 264  # of a grid: two for each multiprocessor of the largest GPUs
FEW_TILES = 100  # of _WIDE by _WIDE elements: less are cut smaller

_WIDE, _NARROW = 128, 64  # rows or columns of a tile
_PACK = 16  # bytes that a thread moves at once


def way(face: str, s: Geometry, dtype: Any = FLOAT32) -> str:
    """How this face of the convolution is computed for arrays of this type: one of WAYS."""
    pixels, window = s.y[0] * s.y[2] * s.y[3], s.w[1] * s.w[2] * s.w[3]
    if max(pixels, s.x[0] * s.x[2] * s.x[3], window) >= 2**30 or max(s.w[2:]) > 16:  # limits of convolution.cu
        return "im2col"
    if FORCED is not None:
        return FORCED
    return cuda_ways.chosen(face, s, precision.of_own_products(dtype), precision.capability())


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    lib = array_module("cuda")
    n, o, oh, ow = s.y
    x = channels_last(x)
    y = lib.empty((n, oh, ow, o), dtype=x.dtype)
    if not y.size:
        return y.transpose(0, 3, 1, 2)
    b = in_c_order(b)
    matrix, written = _matrix(w), way("conv", s, x.dtype) == "im2col"
    if written:
        (matrix,) = operands(matrix)
    for channels, outs in s.group_slices():
        first, c, weight = channels.start, s.w[1], matrix[outs]
        if written:
            bias = None if b is None else b[outs]
            for images, rows, slab in _slabs(s, weight.itemsize):
                columns = _columns(x[images], slab, first, weight.dtype)
                product(columns, weight.T, bias, out=y.reshape(-1, o)[rows, outs])
            continue
        per_group = o // s.groups
        along, packs = (True, True), (_pack(s, first, x), _neighbours((weight.shape[1],), weight))
        launch_tiles(
            "convolution",
            "conv",
            x.dtype,
            _tile(x.dtype, n * oh * ow, per_group, along, packs, 1),
            (n * oh * ow, per_group, 1),
            (x, weight, b, y, packed(s), first, c, outs.start, per_group),
            along,
            packs,
        )
    return y.transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    lib = array_module("cuda")
    n, _, h, wide = s.x
    o, y = s.y[1], channels_last(y)
    x = lib.empty((n, h, wide, s.x[1]), dtype=y.dtype)
    if not x.size:
        return x.transpose(0, 3, 1, 2)
    b = in_c_order(b)
    matrix, pixels = _matrix(w), y.transpose(0, 2, 3, 1).reshape(-1, o)
    written = way("conv_input", s, y.dtype) == "im2col"
    if written:
        matrix, pixels = operands(matrix, pixels)
    for channels, outs in s.group_slices():
        first, c, weight = channels.start, s.w[1], matrix[outs]
        if written:
            for images, rows, slab in _slabs(s, y.itemsize):
                part = pixels[rows, outs]
                columns = lib.empty((len(part), weight.shape[1]), dtype=y.dtype)
                product(part, weight, out=columns)
                pack = _pack(s, first, columns, x[images], *(() if b is None else (b,)))
                size = len(x[images]) * h * wide * c // pack
                given = columns, b, x[images], packed(slab), first, c
                launch_each("columns", "col2im", y.dtype, size, *given, PACK=pack)
            continue
        per_group = o // s.groups
        places = n * -(-h // s.stride[0]) * -(-wide // s.stride[1])  # of the largest phase
        phases = s.stride[0] * s.stride[1]
        along, packs = (True, False), (_neighbours((outs.start, per_group, o), y), _neighbours((c,), weight))
        launch_tiles(
            "convolution",
            "conv_input",
            y.dtype,
            _tile(y.dtype, places, c, along, packs, phases),
            (places, c, phases),
            (weight, y, b, x, packed(s), first, c, outs.start, per_group),
            along,
            packs,
        )
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    lib = array_module("cuda")
    o, c, kh, kw = s.w
    x, y = channels_last(x), channels_last(y)
    pixels = y.transpose(0, 2, 3, 1).reshape(-1, o)
    written = way("conv_weight", s, x.dtype) == "im2col"
    if written:
        (pixels,) = operands(pixels)
    w = lib.empty((o, kh * kw * c), dtype=x.dtype)
    for channels, outs in s.group_slices():
        first, per_group = channels.start, o // s.groups
        if written:
            part = w[outs]
            for images, rows, slab in _slabs(s, pixels.itemsize):
                columns = _columns(x[images], slab, first, pixels.dtype)
                product(pixels[rows, outs].T, columns, out=part, add=images.start > 0)
            continue
        along, packs = (False, False), (_neighbours((outs.start, per_group, o), y), _pack(s, first, x))
        tile = _tile(x.dtype, per_group, kh * kw * c, along, packs, SLICES)
        slices, step = _slices(s.y[0] * s.y[2] * s.y[3], -(-per_group // tile.m) * -(-kh * kw * c // tile.n))
        target = w[outs]
        parts = target if slices == 1 else lib.empty((slices, *target.shape), dtype=x.dtype)
        launch_tiles(
            "convolution",
            "conv_weight",
            x.dtype,
            tile,
            (per_group, kh * kw * c, slices),
            (x, y, parts, packed(s), first, c, outs.start, per_group, step),
            along,
            packs,
        )
        if slices > 1:
            _total(parts, target)
    return w.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def _total(parts: Array, target: Array) -> None:
    """Write the sum over the first axis of `parts`: a thread for each element or, where these are few, several."""
    slices, n = len(parts), target.size
    if n >= MANY_ELEMENTS:
        launch_each("pointwise", "total_of_slices", target.dtype, n, parts, target, slices, n)
    else:
        launch("channels", "total_of_parts", target.dtype, (-(-n // 32),), (32, 8), parts, target, slices, n)


def _slabs(s: Geometry, itemsize: int) -> Iterator[tuple[slice, slice, Geometry]]:
    """(images, their pixels of y, the geometry of these alone) of at most SLAB bytes of windows, or of one image."""
    n, _, oh, ow = s.y
    step = max(1, min(n, SLAB // (oh * ow * s.w[1] * s.w[2] * s.w[3] * itemsize)))
    for start in range(0, max(n, 1), step):
        images = slice(start, min(start + step, n))
        count = images.stop - start
        rows = slice(start * oh * ow, images.stop * oh * ow)
        yield images, rows, s if count == n else replace(s, x=(count, *s.x[1:]), y=(count, *s.y[1:]))


def _columns(x: Array, s: Geometry, first: int, dtype: Any) -> Array:
    """Every window of the group whose first channel is `first`, as a row: (N OH OW, kh kw C / groups).

    They are rounded where `dtype` is that of bfloat16; else it is x's.
    """
    n, _, oh, ow = s.y
    _, c, kh, kw = s.w
    rows, width = n * oh * ow, kh * kw * c
    columns = array_module("cuda").empty((rows, width), dtype=dtype)
    if columns.size:
        pack = _pack(s, first, x, columns)
        across = min(THREADS, 1 << (width // pack - 1).bit_length())
        down = THREADS // across
        grid = (min(-(-rows // down), 1 << 16),)
        defines = {"PACK": pack} | ({"BF16": 1} if dtype == BFLOAT16 else {})
        launch("columns", "im2col", x.dtype, grid, (across, down), x, columns, packed(s), first, c, **defines)
    return columns


def _pack(s: Geometry, first: int, *arrays: Array) -> int:
    """How many neighbouring channels of a group that begins with `first` are moved at once."""
    return _neighbours((first, s.w[1], s.x[1]), *arrays)


def _neighbours(counts: tuple[int, ...], *arrays: Array) -> int:
    """As many elements as have _PACK bytes, if all these counts are multiples of that and all arrays aligned; or 1."""
    pack = _PACK // min(a.itemsize for a in arrays)
    whole = all(n % pack == 0 for n in counts)
    return pack if whole and all(a.data.ptr % _PACK == 0 for a in arrays) else 1


def _matrix(w: Array) -> Array:
    """The kernel matrix (O, kh kw C / groups) in C order, of which each group has some rows."""
    return array_module("cuda").ascontiguousarray(kernel_matrix(w))


def _tile(dtype: Any, m: int, n: int, along: tuple[bool, bool], packs: tuple[int, int], count: int) -> Tile:
    """The tile for `count` results of m by n: a large one where there is work enough and registers for its sums."""
    if precision.of_own_products(dtype) == "fp32":
        if dtype.itemsize == 8 or m * n < WANTED_BLOCKS * _WIDE * _NARROW:
            return Tile(_NARROW, _NARROW)
        return Tile(_WIDE, _WIDE if n > _NARROW else _NARROW)
    few = m * n * count < FEW_TILES * _WIDE * _WIDE
    if 1 in packs:  # a thread copies more, and addresses take its registers
        return Tile(_NARROW, _NARROW, 8, 32) if few else Tile(_WIDE, _NARROW, 8, 16)
    if few:
        return Tile(_NARROW, _NARROW, 4, 32)
    if n <= _NARROW:
        return Tile(_WIDE, _NARROW, 4, 16, 4)
    deep = (32, 3) if along == (True, True) else (16, 4)  # more would take more registers than there are
    tiles = [Tile(_WIDE, _WIDE, 4, depth, stages) for depth, stages in (deep, (16, 3), (16, 2))]
    return next((tile for tile in tiles if 2 * (tile.shared(along) + 1024) <= shared_memory()), tiles[-1])


def _slices(pixels: int, blocks: int) -> tuple[int, int]:
    """(how many slices the sum over pixels is cut into, pixels of each), for a grid of `blocks` tiles."""
    wanted = max(1, min(SLICES, WANTED_BLOCKS // blocks, pixels // 256))
    step = -(-pixels // wanted)
    return -(-pixels // step) if pixels else 1, max(step, 1)
