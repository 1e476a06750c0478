"""Matrix products on CuPy arrays: by cuBLAS where there is one, else by a kernel of our own."""

import math
from typing import Any

from ..backend import Array, array_module
from . import cublas, gemm, precision
from .banded import Banded
from .launch import in_c_order, launch_each
from .portable import as_rows
from .tiles import Tile, launch_tiles

_BATCH = 65_535  # matrices that one grid can have
TILE = Tile(64, 64)  # of our own kernel


def matmul(a: Array, b: Array) -> Array:
    """a @ b over the last two axes, earlier axes broadcast."""
    lib = array_module("cuda")
    leading = () if a.ndim == b.ndim == 2 else lib.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if a.ndim > 2 and b.ndim == 2:  # one product of all rows
        return product(as_rows(a), b).reshape(*leading, a.shape[-2], b.shape[-1])
    count = math.prod(leading)
    operands = [x if x.ndim == 2 else _as_batch(lib, x, leading, count) for x in (a, b)]
    return product(*operands).reshape(*leading, a.shape[-2], b.shape[-1])


def _as_batch(lib: Any, x: Array, leading: tuple[int, ...], count: int) -> Array:
    return lib.broadcast_to(x, (*leading, *x.shape[-2:])).reshape(count, *x.shape[-2:])


def linear(x: Array, w: Array, b: Array = None) -> Array:
    """x w^T + b."""
    y = product(as_rows(x), w.T, b)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])


def linear_weight(x: Array, y: Array) -> Array:
    """The sum over rows of y^T x."""
    return product(as_rows(y).T, as_rows(x))


def banded(m: Banded, x: Array) -> Array:
    """m times each of the matrices x (B, I, K): (B, O, K)."""
    y = array_module("cuda").empty((len(x), m.shape[0], x.shape[2]), dtype=x.dtype)
    for rows, columns, w in m.blocks(x, _HEIGHT):
        product(w, x[:, columns], out=y[:, rows])
    return y


_HEIGHT = 64  # of the blocks: a launch for each


def product(a: Array, b: Array, bias: Array = None, out: Array = None, add: bool = False) -> Array:
    """a (M, K) @ b (K, N), plus bias (N,); either operand may be a batch of as many matrices, (B, ., .).

    For floats it is written into `out` if given, whose rows may lie apart; added to what is there with `add`. What
    `operands` has made of floats already is taken as it is, and needs `out`.
    """
    lib = array_module("cuda")
    leading = a.shape[:-2] or b.shape[:-2]
    if out is None:
        out = lib.empty((*leading, a.shape[-2], b.shape[-1]), dtype=a.dtype)
    if not out.size or not a.shape[-1] or out.dtype.kind != "f":
        return out if add else _trivial(lib, a, b, out, bias)
    a, b = operands(a, b)
    bias = in_c_order(bias)
    handle = cublas.find(lib)
    if handle is not None:
        handle.product(a, b, out, bias, precision.tf32(), add)
    elif add:
        out += product(a, b, bias)
    elif not out.flags.c_contiguous:
        out[...] = product(a, b, bias)
    else:
        own_product(a, b, out, bias)
    return out


def operands(*arrays: Array) -> list[Array]:
    """One or two arrays (..., rows, columns) as products read them, where they lie if possible.

    They are rounded to bfloat16 (see gemm.py) if the precision says so, a transposed matrix in its order of memory.
    """
    lib = array_module("cuda")
    if not precision.bf16(arrays[0].dtype) or cublas.find(lib) is None:
        return [x if gemm.is_plain(x) else lib.ascontiguousarray(x) for x in arrays]
    transposed = [x.swapaxes(-1, -2).flags.c_contiguous for x in arrays]
    lying = [x.swapaxes(-1, -2) if t else lib.ascontiguousarray(x) for x, t in zip(arrays, transposed, strict=True)]
    return [y.swapaxes(-1, -2) if t else y for y, t in zip(rounded(*lying), transposed, strict=True)]


def rounded(*arrays: Array) -> list[Array]:
    """One or two arrays in C order as bfloat16, in one launch."""
    lib = array_module("cuda")
    made = [lib.empty(x.shape, dtype=gemm.BFLOAT16) for x in arrays]
    pack = 8 if all(x.size % 8 == 0 and x.data.ptr % 16 == 0 for x in arrays) else 1
    given = [each for x, y in zip(arrays, made, strict=True) for each in (x, y, x.size)]
    given += [None, None, 0][: 6 - len(given)]
    launch_each("columns", "rounded", arrays[0].dtype, sum(x.size for x in arrays) // pack, *given, PACK=pack)
    return made


def _trivial(lib: Any, a: Array, b: Array, out: Array, bias: Array) -> Array:
    """The product of empty matrices, or of integers, which CuPy has kernels for."""
    if out.dtype.kind != "f":
        return lib.matmul(a, b)
    out[...] = 0 if bias is None else bias
    return out


def own_product(a: Array, b: Array, out: Array, bias: Array = None) -> None:
    """out = a @ b (+ bias) without cuBLAS, for operands as `operands` makes them, bias and `out` in C order."""
    if out.ndim == 3 and len(out) > _BATCH:
        for start in range(0, len(out), _BATCH):
            part = slice(start, start + _BATCH)
            left, right = (x[part] if x.ndim == 3 else x for x in (a, b))
            own_product(left, right, out[part], bias)
        return
    m, n = out.shape[-2:]
    sizes = []
    along = []
    for x, (row, depth) in ((a, (-2, -1)), (b, (-1, -2))):
        strides = [stride // x.itemsize for stride in x.strides]
        sizes.append((strides[row], strides[depth], strides[0] if x.ndim == 3 else 0))
        along.append(strides[depth] == 1)
    launch_tiles(
        "product",
        "product",
        out.dtype,
        TILE,
        (m, n, out.shape[0] if out.ndim == 3 else 1),
        (a, *sizes[0], b, *sizes[1], bias, out, m, n, a.shape[-1]),
        (along[0], along[1]),
        (1, 1),
        LEFT_ALONG=int(along[0]),
        RIGHT_ALONG=int(along[1]),
    )
