"""Matrix products on NumPy arrays, shared by threads with a single-threaded BLAS each."""

import numpy as np

from ..backend import Array
from . import memory
from .banded import Banded
from .portable import as_rows
from .threads import VECTOR_ALONE, WORTH_THREADS, alone, scratch, share

_MATRIX_ALONE = 5e5  # floating-point operations below which OpenBLAS wakes none of its own threads
_SIDE = 512  # of a part of a product: each part packs the other factor again


def matmul(a: Array, b: Array) -> Array:
    """a @ b; a large product of two matrices is shared by columns or rows of the result, whichever are more."""
    return product(a, b) if a.ndim == b.ndim == 2 and a.dtype == b.dtype else a @ b


def linear(x: Array, w: Array, b: Array = None) -> Array:
    """x w^T + b."""
    if x.ndim == 2:
        return product(x, w.T, b)
    return product(as_rows(x), w.T, b).reshape(*x.shape[:-1], len(w))


def linear_weight(x: Array, y: Array) -> Array:
    """The sum over rows of y^T x."""
    return product(as_rows(y).T, as_rows(x))


def banded(m: Banded, x: Array) -> Array:
    """m times each of the matrices x (B, I, K): (B, O, K)."""
    y = memory.empty((len(x), m.shape[0], x.shape[2]), dtype=x.dtype)
    blocks = m.blocks(x, _HEIGHT)

    def part_of_batch(part: slice) -> None:
        for rows, columns, w in blocks:
            np.matmul(w, x[part, columns], out=y[part, rows])

    if y.size < _SHARED_RESULTS:
        alone(lambda: part_of_batch(slice(0, len(x))))
    else:
        share(part_of_batch, len(x))
    return y


_HEIGHT = 16  # rows of a block: fewer cost more calls, more are multiplied with more zeros
_SHARED_RESULTS = 1 << 18


def product(a: Array, b: Array, bias: Array = None, out: Array = None) -> Array:
    """The product of two matrices, plus a bias for each column; in `out` if given."""
    (rows, inner), columns = a.shape, b.shape[1]
    flops = 2 * rows * inner * columns
    y = memory.empty((rows, columns), dtype=a.dtype) if out is None else out
    if flops < (VECTOR_ALONE if rows == 1 or columns == 1 else _MATRIX_ALONE):
        np.matmul(a, b, out=y)
        if bias is not None:
            y += bias
        return y

    def part_of_rows(part: slice) -> None:
        np.matmul(a[part], b, out=y[part])
        if bias is not None:
            y[part] += bias

    def part_of_columns(part: slice) -> None:
        if b.flags.f_contiguous and not b.flags.c_contiguous:  # the BLAS packs a transposed second factor slowly
            turned = np.matmul(b[:, part].T, a.T, out=scratch("product", (part.stop - part.start, rows), a.dtype))
            np.add(turned.T, 0 if bias is None else bias[part], out=y[:, part])
            return
        np.matmul(a, b[:, part], out=y[:, part])
        if bias is not None:
            y[:, part] += bias[part]

    if flops < WORTH_THREADS:
        alone(lambda: part_of_rows(slice(0, rows)))
    else:
        task = part_of_rows if rows >= columns else part_of_columns
        share(task, max(rows, columns), least=_SIDE, per_thread=2)
    return y
