"""Matrix products that add a bias where they write their result: cuBLASLt, through ctypes, beside cublas.py.

With cuBLAS alone a bias takes a launch of its own, and one more pass over the result. cuBLASLt is asked once for each
kind of product which algorithm is best; the answer is kept, so that a product is computed alike whether it is launched
or captured. While a CUDA graph is captured it must not be asked: what is captured was called before.
"""

import ctypes
from typing import Any

from ..backend import Array, is_capturing
from ..errors import CaptureError
from .gemm import Gemm, Matrices, aligned

_TRANSPOSED = (3, 4)  # CUBLASLT_MATMUL_DESC_TRANSA and _TRANSB
_EPILOGUE, _BIAS_POINTER = 7, 8  # CUBLASLT_MATMUL_DESC_...
_BIAS = 4  # CUBLASLT_EPILOGUE_BIAS: one value for each row of a column-major result
_BATCH_COUNT, _BATCH_OFFSET = 5, 6  # CUBLASLT_MATRIX_LAYOUT_...
_MAX_WORKSPACE = 1  # CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
_ALIGNMENT = (5, 6, 7, 8)  # CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of B, of C and of D

_REAL = {0: ctypes.c_float, 1: ctypes.c_double}  # by the type of a result: alpha and beta, which are of that type too


class _Choice(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t, which begins with a cublasLtMatmulAlgo_t of 64 bytes."""

    _fields_ = (
        ("algorithm", ctypes.c_uint64 * 8),
        ("workspace", ctypes.c_size_t),
        ("status", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


class _Plan:
    """How cuBLASLt is told of one kind of product, and the algorithm that it has chosen."""

    def __init__(self, gemm: Gemm) -> None:
        self.zero, self.one = (_REAL[gemm.result.kind](value) for value in (0, 1))
        self.product, self.left, self.right, self.result = (ctypes.c_void_p() for _ in range(4))
        self.choice = _Choice()


class CublasLt:
    """Products with a bias on a handle of cuBLAS, which is one of cuBLASLt too; for one thread at a time."""

    def __init__(self, library: Any, handle: ctypes.c_void_p, workspace: int) -> None:
        """`workspace` is how many bytes an algorithm may use."""
        self._library = library
        self._handle = handle
        self._size = ctypes.c_size_t(workspace)
        self._preference = ctypes.c_void_p()
        self._check("cublasLtMatmulPreferenceCreate", ctypes.byref(self._preference))
        self._set("MatmulPreference", self._preference, _MAX_WORKSPACE, ctypes.c_uint64(workspace))
        self._plans: dict[tuple[Gemm, int], _Plan | None] = {}

    def product(
        self, gemm: Gemm, left: Array, right: Array, out: Array, bias: Array, workspace: Array, stream: int
    ) -> bool:
        """True if `out` is the product plus the bias (rows of the result,); False if cuBLASLt cannot do it.

        Which of them it is depends on the kind of product alone. CaptureError if it is not known during a capture.
        """
        key = gemm, aligned(bias)
        call = left, right, out, bias, workspace, stream
        if key in self._plans:
            plan = self._plans[key]
            if plan is not None:
                self._checked("cublasLtMatmul", self._status(plan, *call))
            return plan is not None
        if is_capturing():
            raise CaptureError("a product with a bias is of another kind in the capture than in the calls before")
        plan = self._planned(gemm, bias)
        if plan is not None and self._status(plan, *call):
            plan = None  # an algorithm that is refused at its first call is not tried again
        self._plans[key] = plan
        return plan is not None

    def _status(
        self, plan: _Plan, left: Array, right: Array, out: Array, bias: Array, workspace: Array, stream: int
    ) -> int:
        """The cublasStatus_t of one product as planned."""
        self._set("MatmulDesc", plan.product, _BIAS_POINTER, ctypes.c_void_p(bias.data.ptr))
        a, b, result, scratch = (ctypes.c_void_p(x.data.ptr) for x in (left, right, out, workspace))
        one, zero = ctypes.byref(plan.one), ctypes.byref(plan.zero)
        return self._library.cublasLtMatmul(
            *(self._handle, plan.product, one, a, plan.left, b, plan.right),
            *(zero, result, plan.result, result, plan.result),
            *(ctypes.byref(plan.choice.algorithm), scratch, self._size, ctypes.c_void_p(stream)),
        )

    def _planned(self, gemm: Gemm, bias: Array) -> _Plan | None:
        """A plan for such products, or None if cuBLASLt has no algorithm for them."""
        plan = _Plan(gemm)
        real = gemm.result.kind
        self._check("cublasLtMatmulDescCreate", ctypes.byref(plan.product), gemm.compute, real)
        for attribute, operand in zip(_TRANSPOSED, (gemm.left, gemm.right), strict=True):
            self._set("MatmulDesc", plan.product, attribute, ctypes.c_int32(operand.transposed))
        self._set("MatmulDesc", plan.product, _EPILOGUE, ctypes.c_uint32(_BIAS))
        self._set("MatmulDesc", plan.product, _BIAS_POINTER, ctypes.c_void_p(bias.data.ptr))
        self._lay_out(plan.left, gemm.left, gemm.rows, gemm.depth, gemm.batch)
        self._lay_out(plan.right, gemm.right, gemm.depth, gemm.columns, gemm.batch)
        self._lay_out(plan.result, gemm.result, gemm.rows, gemm.columns, gemm.batch)
        alignments = (gemm.left, gemm.right, gemm.result, gemm.result)
        for attribute, matrices in zip(_ALIGNMENT, alignments, strict=True):
            self._set("MatmulPreference", self._preference, attribute, ctypes.c_uint32(matrices.aligned))
        found = ctypes.c_int()
        status = self._library.cublasLtMatmulAlgoGetHeuristic(
            *(self._handle, plan.product, plan.left, plan.right, plan.result, plan.result, self._preference),
            *(1, ctypes.byref(plan.choice), ctypes.byref(found)),
        )
        return None if status or not found.value or plan.choice.status else plan

    def _lay_out(self, layout: ctypes.c_void_p, x: Matrices, rows: int, columns: int, batch: int) -> None:
        """Make the layout of matrices that are (rows, columns) once they are transposed."""
        stored = (columns, rows) if x.transposed else (rows, columns)
        sizes = (*map(ctypes.c_uint64, stored), ctypes.c_int64(x.leading))
        self._check("cublasLtMatrixLayoutCreate", ctypes.byref(layout), x.kind, *sizes)
        if batch > 1:
            self._set("MatrixLayout", layout, _BATCH_COUNT, ctypes.c_int32(batch))
            self._set("MatrixLayout", layout, _BATCH_OFFSET, ctypes.c_int64(x.stride))

    def _set(self, kind: str, described: ctypes.c_void_p, attribute: int, value: Any) -> None:
        size = ctypes.c_size_t(ctypes.sizeof(value))
        self._check(f"cublasLt{kind}SetAttribute", described, attribute, ctypes.byref(value), size)

    def _check(self, function: str, *args: Any) -> None:
        self._checked(function, getattr(self._library, function)(*args))

    def _checked(self, function: str, status: int) -> None:
        if status:
            raise RuntimeError(f"{function} failed with cublasStatus_t {status}")
