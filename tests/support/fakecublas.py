"""cuBLAS and cuBLASLt as ctypes has them, computed by NumPy: column-major products of what lies at addresses.

Arguments are checked against NVIDIA's documentation: which types go together, sizes of attributes, leading dimensions,
alignments that were promised, an algorithm that is used only for what it was chosen for, the workspace.
"""

import ctypes
import itertools
from typing import NamedTuple

import numpy as np
from cuda_references import at_address, from_bfloat16
from fakecuda import Work, device

BFLOAT16 = 14  # of cudaDataType_t
TYPES = {0: np.dtype("float32"), 1: np.dtype("float64"), BFLOAT16: np.dtype("uint16")}  # uint16 for its bits
COMPUTED = {  # by the types of operands and result: cublasComputeType_t
    (0, 0): (68, 77),
    (1, 1): (70,),
    (BFLOAT16, 0): (68,),
}
INVALID_VALUE, INTERNAL_ERROR = 7, 14  # cublasStatus_t
TRANSPOSE_A, TRANSPOSE_B, EPILOGUE, BIAS = 3, 4, 7, 8  # cublasLtMatmulDescAttributes_t
ADD_BIAS = 4  # cublasLtEpilogue_t
COUNT, STRIDE = 5, 6  # of a batch: cublasLtMatrixLayoutAttribute_t
WORKSPACE, ALIGNED_A, ALIGNED_B, ALIGNED_C, ALIGNED_D = 1, 5, 6, 7, 8  # cublasLtMatmulPreferenceAttributes_t


class Matrix(NamedTuple):
    """The matrices of a batch as they lie at an address, column-major; `kind` is a key of TYPES."""

    pointer: int
    kind: int
    rows: int
    columns: int
    leading: int
    stride: int

    def at(self, z):
        """The z-th of them, not copied."""
        dtype = TYPES[self.kind]
        assert self.leading >= max(self.rows, 1), "cuBLAS: invalid leading dimension"
        if not (self.rows and self.columns):
            return np.zeros((self.rows, self.columns), dtype)
        start = self.pointer + z * self.stride * dtype.itemsize
        flat = at_address(start, (self.columns - 1) * self.leading + self.rows, dtype)
        steps = (dtype.itemsize, self.leading * dtype.itemsize)
        return np.lib.stride_tricks.as_strided(flat, (self.rows, self.columns), steps)

    def operand(self, z, transposed):
        """The z-th as it is multiplied: bfloat16 as float32."""
        found = self.at(z)
        if self.kind == BFLOAT16:
            found = from_bfloat16(found)
        return found.T if transposed else found


def multiply(a, ta, b, tb, out, batch, add=False, bias=None):
    """out = op(a) op(b), plus a value for each row: work of the device."""

    def run():
        for z in range(batch):
            found, to = a.operand(z, ta) @ b.operand(z, tb), out.at(z)
            if bias is not None:
                found = found + at_address(bias, out.rows, TYPES[out.kind])[:, None]
            to[...] = found + to if add else found

    device.work(Work("product", run), *(out.at(z) for z in range(batch)))


class _CublasLt:
    """The functions of cuBLASLt, which are found in the library of cuBLAS too."""

    def __init__(self):
        self._made = {}
        self._numbers = itertools.count(1 << 20)
        self._chosen = {}
        self.asked = 0  # how often for an algorithm

    def _make(self, handle, **properties):
        handle._obj.value = next(self._numbers)
        self._made[handle._obj.value] = properties
        return 0

    def _set(self, sizes, handle, attribute, value, size):
        assert size.value == ctypes.sizeof(value._obj)
        if sizes.get(attribute) != size.value:
            return INVALID_VALUE
        self._made[handle.value][attribute] = value._obj.value
        return 0

    def cublasLtMatmulDescCreate(self, handle, compute, scale):
        assert (compute, scale) in {(68, 0), (77, 0), (70, 1)}
        return self._make(handle, compute=compute, scale=scale)

    def cublasLtMatmulDescSetAttribute(self, *given):
        return self._set({TRANSPOSE_A: 4, TRANSPOSE_B: 4, EPILOGUE: 4, BIAS: 8}, *given)

    def cublasLtMatrixLayoutCreate(self, handle, kind, rows, columns, leading):
        assert [type(n) for n in (rows, columns, leading)] == [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int64]
        assert leading.value >= rows.value > 0
        return self._make(handle, kind=kind, shape=(rows.value, columns.value), leading=leading.value)

    def cublasLtMatrixLayoutSetAttribute(self, *given):
        return self._set({COUNT: 4, STRIDE: 8}, *given)

    def cublasLtMatmulPreferenceCreate(self, handle):
        return self._make(handle)

    def cublasLtMatmulPreferenceSetAttribute(self, *given):
        return self._set({WORKSPACE: 8, ALIGNED_A: 4, ALIGNED_B: 4, ALIGNED_C: 4, ALIGNED_D: 4}, *given)

    def cublasLtMatmulAlgoGetHeuristic(self, handle, product, a, b, c, d, preference, wanted, choices, found):
        self.asked += 1
        if device.tape is not None:
            device.tape.broken = True
            return INTERNAL_ERROR
        how, wishes = self._made[product.value], self._made[preference.value]
        left, right, result = (self._made[x.value] for x in (a, b, d))
        assert c.value == d.value
        assert how[EPILOGUE] == ADD_BIAS
        assert how[BIAS] % TYPES[result["kind"]].itemsize == 0
        assert left["kind"] == right["kind"]
        assert how["compute"] in COMPUTED[left["kind"], result["kind"]]
        shapes = [x["shape"][::-1] if how[k] else x["shape"] for x, k in ((left, TRANSPOSE_A), (right, TRANSPOSE_B))]
        assert (shapes[0][0], shapes[1][1]) == result["shape"]
        assert shapes[0][1] == shapes[1][0]
        assert left.get(COUNT, 1) == right.get(COUNT, 1) == result.get(COUNT, 1)
        assert wanted == 1
        choice = choices._obj
        assert ctypes.sizeof(choice) == 96
        algorithm = (product.value, a.value, b.value, d.value, 1, 2, 3, 4)
        choice.algorithm[:] = algorithm
        choice.workspace, choice.status = 1024, 0
        promised = [wishes[k] for k in (ALIGNED_A, ALIGNED_B, ALIGNED_D)]
        self._chosen[algorithm] = wishes[WORKSPACE], promised, [dict(x) for x in (left, right, result)]
        found._obj.value = 1
        return 0

    def cublasLtMatmul(
        self, handle, product, alpha, a, la, b, lb, beta, c, lc, d, ld, algorithm, workspace, size, stream
    ):
        most, aligned, layouts = self._chosen[tuple(algorithm._obj)]
        assert tuple(algorithm._obj)[:4] == (product.value, la.value, lb.value, ld.value)
        assert layouts == [self._made[x.value] for x in (la, lb, ld)]
        assert (c.value, lc.value) == (d.value, ld.value)
        assert not any(pointer.value % n for pointer, n in zip((a, b, d), aligned, strict=True)), "a broken promise"
        assert workspace.value == self.workspace
        assert size.value <= most
        assert (stream.value or 0) == device.stream.ptr
        how, batch = self._made[product.value], layouts[2].get(COUNT, 1)
        assert type(alpha._obj) is type(beta._obj) is (ctypes.c_float, ctypes.c_double)[how["scale"]]
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        matrices = [
            Matrix(pointer.value, x["kind"], *x["shape"], x["leading"], x.get(STRIDE, 0))
            for pointer, x in zip((a, b, d), layouts, strict=True)
        ]
        left, right, out = matrices
        multiply(left, how[TRANSPOSE_A], right, how[TRANSPOSE_B], out, batch, bias=how[BIAS])
        return 0


class Cublas(_CublasLt):
    """libcublas."""

    workspace = None

    def cublasCreate_v2(self, handle):
        return 0

    def cublasSetStream_v2(self, handle, stream):
        self.workspace = None  # as the library does
        return 0

    def cublasSetWorkspace_v2(self, handle, workspace, size):
        self.workspace = workspace.value
        return 0

    def cublasGemmEx(self, handle, ta, tb, m, n, k, alpha, a, atype, lda, b, btype, ldb, beta, c, ctype, ldc, *how):
        zero = ctypes.c_longlong(0)
        sizes = (handle, ta, tb, m, n, k, alpha)
        return self.cublasGemmStridedBatchedEx(
            *sizes, a, atype, lda, zero, b, btype, ldb, zero, beta, c, ctype, ldc, zero, 1, *how
        )

    def cublasGemmStridedBatchedEx(
        self, handle, ta, tb, m, n, k, alpha, a, atype, lda, sa, b, btype, ldb, sb, beta, c, ctype, ldc, sc, batch, *how
    ):
        assert self.workspace, "a product without the fixed workspace"
        assert atype == btype
        compute, algorithm = how
        assert compute in COMPUTED[atype, ctype]
        assert algorithm == -1
        assert type(alpha._obj) is type(beta._obj) is (ctypes.c_double if ctype == 1 else ctypes.c_float)
        left = Matrix(a.value, atype, *((k, m) if ta else (m, k)), lda, sa.value)
        right = Matrix(b.value, btype, *((n, k) if tb else (k, n)), ldb, sb.value)
        multiply(left, ta, right, tb, Matrix(c.value, ctype, m, n, ldc, sc.value), batch, add=bool(beta._obj.value))
        return 0


class WithoutLt(Cublas):
    """A cuBLAS whose cuBLASLt has no algorithm for anything."""

    def cublasLtMatmulAlgoGetHeuristic(self, *args):
        super().cublasLtMatmulAlgoGetHeuristic(*args)
        args[-1]._obj.value = 0
        return 0
