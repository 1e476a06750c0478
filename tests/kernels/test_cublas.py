"""Products by cuBLAS and cuBLASLt, whose stand-in is strict: what they are told, what is kept, what captures allow."""

import ctypes
import itertools
import sys
import threading
import types

import fakecublas
import fakecupy
import numpy as np
import pytest
from cuda_references import bfloat16, from_bfloat16
from fakecuda import counts, device
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import backend
from minigan.capture import WARM_UP
from minigan.kernels import cublas, cuda_linear, precision

load_library = cublas.load_library  # the stand-in replaces it


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


@st.composite
def operands(draw):
    """(a, b, bias, out): any sizes, strides that cuBLAS can read, offsets, a batch or none, a bias or none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    m, n, k = (draw(st.integers(1, 40)) for _ in range(3))
    batch = draw(st.sampled_from([None, 1, 3]))

    def matrix(rows, columns, leading):
        flip, offset, spare = draw(st.booleans()), draw(st.integers(0, 3)), draw(st.integers(0, 2))
        shape = (columns, rows + spare + offset) if flip else (rows, columns + spare + offset)
        x = rng.standard_normal((*leading, *shape)).astype(dtype)
        x = fakecupy.ndarray(x)[..., offset : shape[1] - spare]
        return x.swapaxes(-1, -2) if flip else x

    leading = () if batch is None else (batch,)
    a, b = matrix(m, k, leading), matrix(k, n, leading if draw(st.booleans()) else ())
    bias = fakecupy.ndarray(rng.standard_normal(n + 1).astype(dtype))[draw(st.integers(0, 1)) :][:n]
    apart = fakecupy.ndarray(np.zeros((*leading, m, n + draw(st.integers(0, 2))), dtype))[..., :n]
    return a, b, draw(st.sampled_from([bias, None])), apart


def reference(a, b, bias):
    """The product in float64, of operands that are rounded as the precision says."""
    a, b = (as_rounded(x._host).astype("float64") for x in (a, b))
    return a @ b if bias is None else a @ b + bias._host


def as_rounded(x):
    """x as cuBLAS multiplies it; the stand-in does not round to TF32, and neither does a kernel's reference."""
    by_cublas = cublas.find(backend.array_module("cuda")) is not None
    return from_bfloat16(bfloat16(x)) if by_cublas and precision.bf16(x.dtype) else x


def close(found, expected):
    tolerance = 1e-5 if found.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1, np.abs(expected).max()))


LIBRARIES = {"cuBLASLt": fakecublas.Cublas, "no algorithm": fakecublas.WithoutLt, "no library": None}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("chosen", precision.PRECISIONS)
def test_product(library, chosen, monkeypatch):
    fakecupy.install(monkeypatch, LIBRARIES[library])
    monkeypatch.setattr(precision, "_chosen", chosen)

    @settings(max_examples=60)
    @given(operands(), st.booleans())
    def run(given, add):
        a, b, bias, out = given
        expected = reference(a, b, bias)
        if add:
            out[...] = 1.0
        assert cuda_linear.product(a, b, bias, out, add) is out
        close(out._host, expected + add)
        if bias is not None:
            close(cuda_linear.product(a, b, bias)._host, expected)

    run()


def product(rows=5, bias=True, dtype="float32"):
    """A product of an own kind for each number of rows, and its result."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 4), (4, 3), 3))
    a, b, c = (fakecupy.ndarray(x) for x in (a, b, c))
    found = cuda_linear.product(a, b, c if bias else None)
    close(found._host, reference(a, b, c if bias else None))
    return found._host


@pytest.mark.parametrize(("library", "launches"), [(fakecublas.Cublas, 1), (fakecublas.WithoutLt, 2)])
def test_an_algorithm_is_asked_for_once_for_each_kind_of_product(library, launches, monkeypatch):
    handle = cublas.find(fakecupy.install(monkeypatch, library))
    for asked, how in enumerate(({}, {"rows": 6}, {"dtype": "float64"}), start=1):
        first = product(**how)
        for _ in range(3):
            counts.clear()
            np.testing.assert_array_equal(product(**how), first)
            assert counts.launches == launches
        assert handle._library.asked == asked
    product(bias=False)
    assert handle._library.asked == 3


class Refusing(fakecublas.Cublas):
    """A cuBLASLt that refuses products from some call on."""

    first = 0

    def __init__(self):
        super().__init__()
        self._calls = itertools.count()

    def cublasLtMatmul(self, *args):
        return fakecublas.INVALID_VALUE if next(self._calls) >= self.first else super().cublasLtMatmul(*args)


def test_an_algorithm_that_is_refused_at_once_is_not_tried_again(monkeypatch):
    handle = cublas.find(fakecupy.install(monkeypatch, Refusing))
    first = product()
    np.testing.assert_array_equal(product(), first)
    assert (next(handle._library._calls), handle._library.asked) == (1, 1)


def test_an_algorithm_that_is_refused_later_is_an_error(monkeypatch):
    """Another way would give other digits than the calls before."""
    fakecupy.install(monkeypatch, Refusing)
    monkeypatch.setattr(Refusing, "first", 1)
    product()
    with pytest.raises(RuntimeError, match="cublasLtMatmul failed with cublasStatus_t 7"):
        product()


# --- within a capture -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [fakecublas.Cublas, fakecublas.WithoutLt])
def test_a_captured_product_is_the_one_that_was_called(library, monkeypatch):
    handle = cublas.find(fakecupy.install(monkeypatch, library))
    rng = np.random.default_rng(0)
    x, w, b = (mg.tensor(rng.standard_normal(s).astype("float32"), device="cuda") for s in ((5, 4), (3, 4), 3))
    step = mg.capture(lambda: mg.ops.linear(x, w, b))
    found = [step().numpy() for _ in range(WARM_UP + 3)]
    assert step.graph is not None
    assert len(step.graph.work) == 1 + (library is fakecublas.WithoutLt)
    assert handle._library.asked == 1
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_capture_is_given_up_where_a_product_was_not_called_before(cupy):
    """cuBLASLt answers no question in a capture, and a product without the answer would have other digits."""

    def changes(x):
        return mg.ops.linear(x[: 2 if backend.is_capturing() else 3], x, x[0])

    x = mg.ones((4, 4), device="cuda")
    step = mg.capture(changes)
    for _ in range(WARM_UP):
        step(x)
    with pytest.warns(RuntimeWarning, match="without a CUDA graph: CaptureError: a product with a bias is of another"):
        assert step(x).shape == (3, 4)
    assert device.tape is None


def test_the_stand_in_answers_no_question_in_a_capture(cupy, monkeypatch):
    monkeypatch.setattr("minigan.kernels.cublas_lt.is_capturing", lambda: False)
    stream = cupy.cuda.Stream()
    with stream, cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
        stream.begin_capture()
        product()
        with pytest.raises(RuntimeError, match="Invalidated"):
            stream.end_capture()


# --- the handle -------------------------------------------------------------------------------------------------


def test_products_of_another_type_are_refused_by_name(cupy):
    half = mg.tensor(np.ones((2, 2), "float16"), device="cuda")
    with pytest.raises(mg.errors.DTypeError, match="float16"):
        half @ half


def test_two_streams_multiply_in_workspaces_of_their_own(cupy):
    handle = cublas.find(cupy)
    a = mg.ones((2, 2), device="cuda").data
    used = []
    for stream in (cupy.cuda.Stream(), cupy.cuda.Stream()):
        with stream:
            handle.product(a, a, cupy.empty((2, 2), dtype="float32"))
            used.append(handle._library.workspace)
    assert len(set(used)) == 2


def test_threads_that_multiply_at_once_add_each_its_own_bias(cupy, monkeypatch):
    """Which bias, cuBLASLt is told before the product: another thread's must not come in between."""
    rng = np.random.default_rng(0)
    x, w = (mg.tensor(rng.standard_normal((4, 4)).astype("float32"), device="cuda") for _ in range(2))
    biases = [mg.tensor(rng.standard_normal(4).astype("float32"), device="cuda") for _ in range(2)]
    expected = [mg.ops.linear(x, w, b).numpy() for b in biases]
    found = []
    other = threading.Thread(target=lambda: found.append(mg.ops.linear(x, w, biases[1]).numpy()))
    told = fakecublas.Cublas.cublasLtMatmulDescSetAttribute

    def tell(*given):
        status = told(*given)
        if other.ident is None:
            other.start()
            other.join(0.3)
        return status

    monkeypatch.setattr(fakecublas.Cublas, "cublasLtMatmulDescSetAttribute", tell)
    np.testing.assert_array_equal(mg.ops.linear(x, w, biases[0]).numpy(), expected[0])
    other.join()
    np.testing.assert_array_equal(found[0], expected[1])


def test_a_cublas_that_was_loaded_without_a_path_is_found_by_its_name(cupy, monkeypatch):
    finder = types.SimpleNamespace(load_nvidia_dynamic_lib=lambda name: types.SimpleNamespace(abs_path=None))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", finder)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: name)
    assert load_library(cupy) == "libcublas.so.13"
