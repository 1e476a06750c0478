"""Kernels as a replay calls them: the one function of NumPy or of C that each comes to, its arrays and result bound.

A replay of a small network is a few hundred calls of a microsecond, and what a kernel decides anew at each call, by
layouts, types and sizes, never changes in it. So it is decided once. What is called is called with the same arguments
in the same order as by the kernel, so that results are the same to the bit.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from . import calls, library, portable
from .threads import get_num_threads

_FEW = 1 << 15  # elements up to which NumPy has done what is simple before threads would have begun
_UNSHARED = 5e5  # floating-point operations of a product that wakes no thread, whoever does it

Run = Callable[[], Any]


def prebound(function: Callable[..., Any], args: tuple, target: np.ndarray) -> Run | None:
    """function(*args) into `target` by NumPy; None if it is to be called as it is."""
    bind = _BY_NUMPY.get(function.__name__)
    is_kernel = function.__module__.startswith(__package__)
    return bind(target, *args) if bind is not None and is_kernel and target.size <= _FEW else None


def _arithmetic(target: np.ndarray, name: str, a: Any, b: Any) -> Run:
    return partial(getattr(np, name), a, b, out=target)


def _function(target: np.ndarray, name: str, x: np.ndarray) -> Run:
    return partial(getattr(np, name), x, target)


def _sum(target: np.ndarray, x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> Run | None:
    of_channels = axes in ([(0,)] if x.ndim == 2 else [(0, 2, 3), (2, 3)])
    if x.dtype.kind != "f" or (of_channels and x.size >= 1024):  # which has kernels of its own
        return None
    return partial(np.add.reduce, x, axes, None, target, keepdims)


def _product(target: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> Run | None:
    if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or 1 in target.shape or 2 * a.size * b.shape[1] >= _UNSHARED:
        return None
    if bias is None:
        return partial(np.matmul, a, b, target)

    def run() -> None:
        np.matmul(a, b, target)
        np.add(target, bias, target)

    return run


def _linear(target: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> Run | None:
    return _product(target, x, w.T, b)


def _linear_weight(target: np.ndarray, x: np.ndarray, y: np.ndarray) -> Run | None:
    return _product(target, y.T, x)


def _leaky_relu(target: np.ndarray, x: np.ndarray, slope: float) -> Run:
    if not slope:
        return partial(np.maximum, x, 0, out=target)
    larger = np.maximum if slope <= 1 else np.minimum

    def run() -> None:
        np.multiply(x, slope, target)
        larger(x, target, out=target)

    return run


def _leaky_relu_grad(target: np.ndarray, g: np.ndarray, y: np.ndarray, slope: float) -> Run | None:
    if not 0 < slope <= 1:
        return partial(portable.leaky_relu_grad, g, y, slope, target)

    def run() -> None:
        np.greater(y, 0, target)
        np.maximum(target, slope, out=target)
        np.multiply(target, g, target)

    return run


def _softplus(target: np.ndarray, x: np.ndarray) -> Run:
    positive = np.empty_like(target)

    def run() -> None:
        np.absolute(x, target)
        np.negative(target, target)
        np.exp(target, target)
        np.log1p(target, target)
        np.maximum(x, 0, out=positive)
        np.add(positive, target, target)

    return run


def _sigmoid(target: np.ndarray, x: np.ndarray) -> Run:
    top, small = np.empty_like(target), np.empty_like(target)
    positive = np.empty(target.shape, bool)

    def run() -> None:
        np.absolute(x, small)
        np.negative(small, small)
        np.exp(small, small)
        np.copyto(top, small)
        np.greater_equal(x, 0, positive)
        np.copyto(top, 1, where=positive)
        np.add(1, small, small)
        np.divide(top, small, target)

    return run


_BY_NUMPY: dict[str, Callable[..., Run | None]] = {
    "arithmetic": _arithmetic,
    "function": _function,
    "sum": _sum,
    "matmul": _product,
    "linear": _linear,
    "linear_weight": _linear_weight,
    "leaky_relu": _leaky_relu,
    "leaky_relu_grad": _leaky_relu_grad,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
}


# --- one function of C ------------------------------------------------------------------------------------------

_ONE_CALL = {  # kernels that, where they call C, call one function of it and compute nothing besides
    *("arithmetic", "leaky_relu", "leaky_relu_grad", "sum", "matmul", "linear", "linear_weight", "update"),
    *("channel_dot", "channel_stats", "channel_sums", "batch_norm", "batch_norm_grad", "scale_shift", "track"),
    *("sample_affine", "sample_moments", "sample_sums"),
}


def traced(name: str, run: Run, arrays: Iterable[np.ndarray]) -> Run:
    """run(), done; from then on the function of C that it called instead, if that is all it did with these arrays."""
    if name not in _ONE_CALL:
        run()
        return run
    trace = library.Trace()
    calls.step.trace = trace
    try:
        run()
    finally:
        calls.step.trace = None
    if trace.besides or len(trace.called) != 1:
        return run
    called, given = trace.called[0]
    _, types = library.declarations()[called]
    places = [a for a, kind in zip(given, types, strict=True) if kind is library.POINTER and a]
    places += [place for table in trace.tables for place in table[:, :-1].flat if place]
    known = [np.lib.array_utils.byte_bounds(array) for array in (*arrays, *trace.tables)]
    if not all(any(low <= place < high for low, high in known) for place in places):
        return run  # it made a copy of something, which is another one each time
    function = library.function(called)
    return partial(_called_again, function, given, trace.tables)


def _called_again(function: Callable[..., int], given: tuple, tables: list[np.ndarray]) -> None:
    """Call a function of C, which may read the tables."""
    if function(*given):
        raise MemoryError(f"{function.__name__}: no memory for what is computed in between")


def tell_threads() -> None:
    """Tell the compiled kernels how many threads there are to be, as each of them does."""
    get_num_threads()
