"""Matrix products of float32 in C (c/linear.c); small ones, vectors, stacks and other types are NumPy's."""

import numpy as np

from ..backend import FLOAT32, Array
from . import cpu_linear, memory
from .library import address, call
from .portable import as_rows
from .threads import get_num_threads

_SMALL = 1e6  # floating-point operations below which NumPy's BLAS, which wakes no thread, is as fast
_NARROW = 8  # rows or columns of a result below which a product reads so much for what it computes that nothing helps


def matmul(a: Array, b: Array) -> Array:
    """a @ b over the last two axes, earlier axes broadcast."""
    if b.ndim == 2 and _fits(a, b, b.shape[1]):
        y = product(as_rows(a), b)
        return y if a.ndim == 2 else y.reshape(*a.shape[:-1], b.shape[1])
    return cpu_linear.matmul(a, b)


def linear(x: Array, w: Array, b: Array = None) -> Array:
    """x w^T + b."""
    if not _fits(x, w, len(w)):
        return cpu_linear.linear(x, w, b)
    y = product(as_rows(x), w.T, b)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(w))


def linear_weight(x: Array, y: Array) -> Array:
    """The sum over rows of y^T x."""
    x, y = as_rows(x), as_rows(y)
    return product(y.T, x) if _fits(y.T, x, x.shape[1]) else cpu_linear.linear_weight(x, y)


def _fits(a: Array, b: Array, columns: int) -> bool:
    """Is a product of a's rows with b, which has so many columns, one for C?"""
    if a.ndim < 2 or a.dtype != FLOAT32 or b.dtype != FLOAT32 or 2.0 * a.size * columns < _SMALL:
        return False
    return min(a.size // a.shape[-1], columns) >= _NARROW


def product(a: Array, b: Array, bias: Array = None) -> Array:
    """The product of two matrices of float32 of any strides, none of them empty, plus a bias for each column."""
    get_num_threads()  # which the compiled kernels learn by the way
    a, b = (x if x.flags.aligned and not any(s % x.itemsize for s in x.strides) else x.copy() for x in (a, b))
    bias = None if bias is None else np.ascontiguousarray(bias, FLOAT32)
    (m, depth), n = a.shape, b.shape[1]
    y = memory.empty((m, n), FLOAT32)
    steps = [[stride // 4 for stride in x.strides] for x in (a, b)]
    at = 0 if bias is None else address(bias)
    call("matrix_product", address(a), *steps[0], address(b), *steps[1], at, 1.0, address(y), m, n, depth)
    return y
