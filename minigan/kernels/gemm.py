"""A matrix product as cuBLAS is told of it: where row-major arrays lie, read as column-major matrices, and as what.

uint16 stands for bfloat16, which neither NumPy nor CuPy knows: the 16 upper bits of a float32.
"""

from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..errors import DTypeError

BFLOAT16 = np.dtype(np.uint16)  # what holds the bits of one

_TYPE = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, BFLOAT16: 14}  # CUDA_R_32F, CUDA_R_64F, CUDA_R_16BF
_COMPUTE = {np.dtype(np.float32): 68, np.dtype(np.float64): 70}  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F
_COMPUTE_TF32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
_ALIGNED = 16  # bytes, the most that a thread reads at once


class Matrices(NamedTuple):
    """An array (..., rows, columns) as column-major matrices, one or a batch: the transpose of each, as it lies."""

    kind: int  # cudaDataType
    transposed: int  # cublasOperation_t: 1 if what is stored must be transposed
    leading: int  # elements from one column to the next
    stride: int  # elements from one matrix to the next
    aligned: int  # the first lies at a multiple of so many bytes, _ALIGNED or less


class Gemm(NamedTuple):
    """result (rows, columns) = left (rows, depth) right (depth, columns), column-major, `batch` times."""

    rows: int
    columns: int
    depth: int
    batch: int
    compute: int  # cublasComputeType_t
    left: Matrices
    right: Matrices
    result: Matrices


def described(a: Array, b: Array, out: Array, tf32: bool) -> Gemm:
    """out (..., M, N) = a (..., M, K) @ b (..., K, N), where row-major out = a b is column-major out^T = b^T a^T.

    Operands are as `is_plain` has them, of the type of `out` or, where that is float32, both bfloat16. DTypeError if
    `out` is neither float32 nor float64.
    """
    if out.dtype not in _COMPUTE:
        raise DTypeError(f"matmul: cuBLAS is asked for products of float32 and float64 only, not of {out.dtype}")
    rounds = tf32 and a.dtype == out.dtype == np.float32
    (m, n), batch = out.shape[-2:], len(out) if out.ndim == 3 else 1
    compute = _COMPUTE_TF32 if rounds else _COMPUTE[out.dtype]
    return Gemm(n, m, a.shape[-1], batch, compute, _matrices(b), _matrices(a), _matrices(out))


def aligned(x: Array) -> int:
    """The largest power of two, _ALIGNED or less, that the address of x is a multiple of."""
    return min(x.data.ptr & -x.data.ptr, _ALIGNED)


def _matrices(x: Array) -> Matrices:
    *_, rows, columns = x.shape
    down, across = (stride // x.itemsize for stride in x.strides[-2:])
    stride = x.strides[0] // x.itemsize if x.ndim == 3 else 0
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        transposed, leading = 0, down if rows > 1 else columns
    else:
        transposed, leading = 1, across if columns > 1 else rows
    return Matrices(_TYPE[x.dtype], transposed, max(leading, 1), stride, aligned(x))


def is_plain(x: Array) -> bool:
    """True if cuBLAS can read x (..., rows, columns) where it lies."""
    *_, rows, columns = x.shape
    down, across = (stride // x.itemsize for stride in x.strides[-2:])
    by_rows = (across == 1 or columns == 1) and (down >= columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (across >= rows or columns == 1)
    return x.ndim <= 3 and (by_rows or by_columns)
