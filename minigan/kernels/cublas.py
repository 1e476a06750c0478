"""Matrix products by cuBLAS through a handle of our own.

CuPy refuses cuBLAS while a CUDA graph is captured, and its handle has no fixed workspace; a product here takes the
same algorithm and memory whether it is launched or captured. The library is called through ctypes.
"""

import ctypes
import importlib
import threading
from functools import cache
from typing import Any

from ..backend import Array, is_capturing
from .cublas_lt import CublasLt
from .gemm import Gemm, described

WORKSPACE = 32 << 20  # bytes, what NVIDIA recommends for Hopper

_CAPTURE = -1  # no stream's address
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT: the library's heuristics choose


class Cublas:
    """One cuBLAS handle with its own workspace, on whatever stream is current."""

    def __init__(self, library: Any, cupy: Any, lt: Any = None) -> None:
        """`lt` is the library cuBLASLt, if there is one."""
        self._library = library
        self._cupy = cupy
        self._handle = ctypes.c_void_p()
        self._check("cublasCreate_v2", ctypes.byref(self._handle))
        self._lt = None if lt is None else CublasLt(lt, self._handle, WORKSPACE)
        self._workspaces: dict[int, Array] = {}  # of each stream, as two may multiply at once; all captures share one
        self._workspace: Array = None
        self._stream: int | None = None
        self._lock = threading.Lock()  # a stream, and a bias, are told in a call before the product

    def product(
        self, a: Array, b: Array, out: Array, bias: Array = None, tf32: bool = False, add: bool = False
    ) -> None:
        """out (..., M, N) = a (..., M, K) @ b (..., K, N) + bias (N,), of at most one leading axis each.

        With `add` the product is added to what is in `out`. An operand without a leading axis is used for every matrix
        of the batch. The last two axes of an operand must have a stride of one element along one of them, those of
        `out` along the last; `bias` is in C order. Operands are of the type of `out`, or bfloat16 where that is float32
        (see gemm.py).
        """
        with self._lock:
            stream = self._use_current_stream()
            gemm = described(a, b, out, tf32)
            lt = self._lt if bias is not None and not add else None
            if lt is not None and lt.product(gemm, b, a, out, bias, self._workspace, stream):
                return
            self._multiply(gemm, b, a, out, add)
        if bias is not None:
            out += bias

    def _multiply(self, gemm: Gemm, left: Array, right: Array, out: Array, add: bool) -> None:
        """The product itself, on the stream that the handle uses."""
        number = ctypes.c_double if gemm.result.kind == 1 else ctypes.c_float
        one, kept = ctypes.byref(number(1)), ctypes.byref(number(add))
        sizes = (self._handle, gemm.left.transposed, gemm.right.transposed, gemm.rows, gemm.columns, gemm.depth, one)
        a, b, result = (
            [ctypes.c_void_p(x.data.ptr), kind.kind, kind.leading, ctypes.c_longlong(kind.stride)]
            for x, kind in ((left, gemm.left), (right, gemm.right), (out, gemm.result))
        )
        if gemm.batch == 1:  # cuBLAS may cut a long sum into parts, which it does not do for a batch
            how = [*result[:3], gemm.compute, _DEFAULT]
            self._check("cublasGemmEx", *sizes, *a[:3], *b[:3], kept, *how)
        else:
            how = [*result, gemm.batch, gemm.compute, _DEFAULT]
            self._check("cublasGemmStridedBatchedEx", *sizes, *a, *b, kept, *how)

    def _use_current_stream(self) -> int:
        """The address of the stream that is current, which the handle uses from now on."""
        stream = self._cupy.cuda.get_current_stream().ptr
        if stream != self._stream:
            key = _CAPTURE if is_capturing() else stream
            if key not in self._workspaces:
                self._workspaces[key] = self._cupy.empty(WORKSPACE, dtype="uint8")
            self._check("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
            self._workspace = self._workspaces[key]  # setting the stream has reset it
            workspace = ctypes.c_void_p(self._workspace.data.ptr)
            self._check("cublasSetWorkspace_v2", self._handle, workspace, ctypes.c_size_t(WORKSPACE))
            self._stream = stream
        return stream

    def _check(self, function: str, *args: Any) -> None:
        status = getattr(self._library, function)(*args)
        if status:
            raise RuntimeError(f"{function} failed with cublasStatus_t {status}")


@cache
def find(cupy: Any) -> Cublas | None:
    """The handle for this process, or None where there is no cuBLAS library."""
    library = load_library(cupy)
    return None if library is None else Cublas(library, cupy, _lt_of(library, cupy))


def _lt_of(library: Any, cupy: Any) -> Any:
    """The cuBLASLt that this cuBLAS uses itself, or None: on Linux its functions are found in the library as well."""
    if hasattr(library, "cublasLtMatmul"):
        return library
    try:
        return ctypes.CDLL(f"cublasLt64_{_major(cupy)}.dll")
    except OSError:
        return None


def load_library(cupy: Any) -> Any:
    """The cuBLAS library that CuPy itself would load, as a ctypes library; None if there is none."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        path = pathfinder.load_nvidia_dynamic_lib("cublas").abs_path
        if path is not None:  # None: it was loaded by others, by its name
            return ctypes.CDLL(path)
    except (ImportError, RuntimeError, OSError):
        pass
    for name in (f"libcublas.so.{_major(cupy)}", f"cublas64_{_major(cupy)}.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _major(cupy: Any) -> int:
    """The version of CUDA that libraries are named after."""
    return cupy.cuda.runtime.runtimeGetVersion() // 1000
