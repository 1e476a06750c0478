"""Matrix products by cuBLAS through a handle of our own.

CuPy refuses cuBLAS while a CUDA graph is captured, and its handle has no fixed workspace; a product here takes the
same algorithm and memory whether it is launched or captured. The library is called through ctypes.
"""

import ctypes
import importlib
from functools import cache
from typing import Any

import numpy as np

from ..backend import Array, is_capturing
from ..errors import DTypeError

WORKSPACE = 32 << 20  # bytes, what NVIDIA recommends for Hopper

_TYPE = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}  # CUDA_R_32F, CUDA_R_64F
_COMPUTE = {np.dtype(np.float32): 68, np.dtype(np.float64): 70}  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F
_COMPUTE_TF32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
_CAPTURE = -1  # no stream's address
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT: the library's heuristics choose


class Cublas:
    """One cuBLAS handle with its own workspace, on whatever stream is current."""

    def __init__(self, library: Any, cupy: Any) -> None:
        self._library = library
        self._cupy = cupy
        self._handle = ctypes.c_void_p()
        self._check("cublasCreate_v2", ctypes.byref(self._handle))
        self._workspaces: dict[int, Array] = {}  # of each stream, as two may multiply at once; all captures share one
        self._stream: int | None = None

    def product(self, a: Array, b: Array, out: Array, tf32: bool = False, add: bool = False) -> None:
        """out (..., M, N) = a (..., M, K) @ b (..., K, N): C-contiguous out, operands of at most one leading axis.

        With `add` the product is added to what is in `out`. An operand without a leading axis is used for every matrix
        of the batch. The last two axes of an operand must have a stride of one element along one of them.
        """
        self._use_current_stream()
        # Row-major out = a b is column-major out^T = b^T a^T, so b comes first.
        (m, n), k = out.shape[-2:], a.shape[-1]
        if out.dtype not in _TYPE:
            raise DTypeError(f"matmul: cuBLAS is asked for products of float32 and float64 only, not of {out.dtype}")
        kind = _TYPE[out.dtype]
        compute = _COMPUTE_TF32 if tf32 and kind == 0 else _COMPUTE[out.dtype]
        number = ctypes.c_double if kind else ctypes.c_float
        one, kept = number(1), number(add)
        operands: list[Any] = []
        for operand in (b, a):
            transposed, leading = _layout(operand)
            stride = operand.strides[0] // operand.itemsize if operand.ndim == 3 else 0
            operands.append((transposed, ctypes.c_void_p(operand.data.ptr), leading, ctypes.c_longlong(stride)))
        (tb, pb, ldb, sb), (ta, pa, lda, sa) = operands
        sizes = (self._handle, tb, ta, n, m, k, ctypes.byref(one))
        result = ctypes.c_void_p(out.data.ptr)
        if out.ndim == 2:  # one product: cuBLAS may cut a long sum into parts, which it does not do for a batch
            self._check(
                *("cublasGemmEx", *sizes, pb, kind, ldb, pa, kind, lda, ctypes.byref(kept)),
                *(result, kind, n, compute, _DEFAULT),
            )
            return
        self._check(
            *("cublasGemmStridedBatchedEx", *sizes, pb, kind, ldb, sb, pa, kind, lda, sa, ctypes.byref(kept)),
            *(result, kind, n, ctypes.c_longlong(m * n), len(out), compute, _DEFAULT),
        )

    def _use_current_stream(self) -> None:
        stream = self._cupy.cuda.get_current_stream().ptr
        if stream != self._stream:
            key = _CAPTURE if is_capturing() else stream
            if key not in self._workspaces:
                self._workspaces[key] = self._cupy.empty(WORKSPACE, dtype="uint8")
            self._check("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
            workspace = ctypes.c_void_p(self._workspaces[key].data.ptr)  # setting the stream has reset it
            self._check("cublasSetWorkspace_v2", self._handle, workspace, ctypes.c_size_t(WORKSPACE))
            self._stream = stream

    def _check(self, function: str, *args: Any) -> None:
        status = getattr(self._library, function)(*args)
        if status:
            raise RuntimeError(f"{function} failed with cublasStatus_t {status}")


def _layout(x: Array) -> tuple[int, int]:
    """(cublasOperation_t, leading dimension) of row-major x (..., rows, columns) as a column-major matrix x^T."""
    *_, rows, columns = x.shape
    down, across = (stride // x.itemsize for stride in x.strides[-2:])
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return 0, max(down if rows > 1 else columns, columns, 1)  # CUBLAS_OP_N
    return 1, max(across if columns > 1 else rows, rows, 1)  # CUBLAS_OP_T


def is_plain(x: Array) -> bool:
    """True if cuBLAS can read x (..., rows, columns) where it lies."""
    *_, rows, columns = x.shape
    down, across = (stride // x.itemsize for stride in x.strides[-2:])
    by_rows = (across == 1 or columns == 1) and (down >= columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (across >= rows or columns == 1)
    return x.ndim <= 3 and (by_rows or by_columns)


@cache
def find(cupy: Any) -> Cublas | None:
    """The handle for this process, or None where there is no cuBLAS library."""
    library = load_library(cupy)
    return None if library is None else Cublas(library, cupy)


def load_library(cupy: Any) -> Any:
    """The cuBLAS library that CuPy itself would load, as a ctypes library; None if there is none."""
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        path = pathfinder.load_nvidia_dynamic_lib("cublas").abs_path
        if path is not None:  # None: it was loaded by others, by its name
            return ctypes.CDLL(path)
    except (ImportError, RuntimeError, OSError):
        pass
    for name in (f"libcublas.so.{major}", f"cublas64_{major}.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
