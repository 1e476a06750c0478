"""Counterparts of sums, extremes and soft maxima over axes, and of matrix products."""

from typing import Any

import numpy as np

from .graph import INT64, Graph, Operand
from .table import counterpart

INT32 = np.dtype("int32")
Axes = tuple[int, ...]


@counterpart("sum")
def _sum(g: Graph, y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    if not axes:
        return g.cast(x, y.dtype) if x.dtype != y.dtype else g.add("Identity", x.name)
    return g.add("ReduceSum", g.cast(x, y.dtype), g.constant(axes, INT64), keepdims=int(keepdims))


def _reduced(g: Graph, kind: str, x: str, axes: Axes, keepdims: bool) -> str:
    return g.add(kind, x, axes=list(axes), keepdims=int(keepdims)) if axes else g.add("Identity", x)


@counterpart("max")
def _max(g: Graph, _y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    return _reduced(g, "ReduceMax", x.name, axes, keepdims)


@counterpart("min")
def _min(g: Graph, _y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    return _reduced(g, "ReduceMin", x.name, axes, keepdims)


@counterpart("any")
def _any(g: Graph, y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    counted = g.add("Cast", g.cast(x, y.dtype), to=INT32)
    return g.add("Cast", _reduced(g, "ReduceMax", counted, axes, keepdims), to=y.dtype)


@counterpart("all")
def _all(g: Graph, y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    counted = g.add("Cast", g.cast(x, y.dtype), to=INT32)
    return g.add("Cast", _reduced(g, "ReduceMin", counted, axes, keepdims), to=y.dtype)


@counterpart("mean")
def _mean(g: Graph, y: Operand, x: Operand, function: str, scale: float, shift: float) -> str:
    """Of a function of scale x + shift."""
    found = x.name if scale == 1 else g.add("Mul", x.name, g.constant(scale, y.dtype))
    found = found if shift == 0 else g.add("Add", found, g.constant(shift, y.dtype))
    if function == "square":
        found = g.add("Mul", found, found)
    elif function != "identity":
        found = g.add({"relu": "Relu", "sigmoid": "Sigmoid", "softplus": "Softplus"}[function], found)
    return g.add("ReduceMean", found, keepdims=0)


@counterpart("lengths")
def _lengths(g: Graph, y: Operand, x: Operand, eps: float) -> str:
    squares = _reduced(g, "ReduceSumSquare", x.name, tuple(range(1, x.ndim)), False)
    return g.add("Sqrt", g.add("Add", squares, g.constant(eps, y.dtype)))


@counterpart("logsumexp")
def _logsumexp(g: Graph, y: Operand, x: Operand, axes: Axes, keepdims: bool) -> str:
    return _reduced(g, "ReduceLogSumExp", g.cast(x, y.dtype), axes, keepdims)


@counterpart("softmax")
def _softmax(g: Graph, y: Operand, x: Operand, axes: Axes) -> str:
    found = g.cast(x, y.dtype)
    if len(axes) == 1:
        return g.add("Softmax", found, axis=axes[0])
    powers = g.add("Exp", g.add("Sub", found, _reduced(g, "ReduceMax", found, axes, True)))
    return g.add("Div", powers, g.add("ReduceSum", powers, g.constant(axes, INT64), keepdims=1))


@counterpart("argmax")
def _argmax(g: Graph, _y: Operand, x: Operand, axis: int) -> str:
    return g.add("ArgMax", x.name, axis=axis, keepdims=0)


@counterpart("argmin")
def _argmin(g: Graph, _y: Operand, x: Operand, axis: int) -> str:
    return g.add("ArgMin", x.name, axis=axis, keepdims=0)


@counterpart("cumsum")
def _cumsum(g: Graph, y: Operand, x: Operand, axis: int) -> str:
    return g.add("CumSum", g.cast(x, y.dtype), g.constant(axis, INT64))


# --- products -------------------------------------------------------------------------------------------------------


@counterpart("matmul")
def _matmul(g: Graph, _y: Operand, a: Operand, b: Operand) -> str:
    return g.add("MatMul", a.name, b.name)


@counterpart("linear")
def _linear(g: Graph, _y: Operand, x: Operand, w: Operand, b: Operand | None = None) -> str:
    bias = () if b is None else (b.name,)
    if x.ndim == 2:
        return g.add("Gemm", x.name, w.name, *bias, transB=1)
    found = g.add("MatMul", x.name, g.add("Transpose", w.name, perm=[1, 0]))
    return g.add("Add", found, *bias) if bias else found


@counterpart("einsum")
def _einsum(g: Graph, _y: Operand, subscripts: str, *xs: Operand) -> str:
    return g.add("Einsum", *(x.name for x in xs), equation=subscripts)


# --- per channel ----------------------------------------------------------------------------------------------------


@counterpart("channel_stats")
def _channel_stats(g: Graph, y: Operand, x: Operand, eps: float) -> str:
    """Mean and 1 / sqrt(var + eps) of each channel, on a new first axis."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = g.add("ReduceMean", x.name, axes=axes, keepdims=1)
    centred = g.add("Sub", x.name, mean)
    var = g.add("ReduceMean", g.add("Mul", centred, centred), axes=axes, keepdims=1)
    r = g.add("Reciprocal", g.add("Sqrt", g.add("Add", var, g.constant(eps, y.dtype))))
    return _pair(g, mean, r)


@counterpart("batch_norm")
def _batch_norm(g: Graph, _y: Operand, x: Operand, stats: Operand, w: Any = None, b: Any = None) -> str:
    mean, r = (g.add("Gather", stats.name, g.constant(k, INT64), axis=0) for k in (0, 1))
    found = g.add("Mul", g.add("Sub", x.name, mean), r)
    found = found if w is None else g.add("Mul", found, w.name)
    return found if b is None else g.add("Add", found, b.name)


@counterpart("scale_shift")
def _scale_shift(g: Graph, _y: Operand, x: Operand, w: Operand, b: Operand) -> str:
    return g.add("Add", g.add("Mul", x.name, w.name), b.name)


@counterpart("channel_dot")
def _channel_dot(g: Graph, _y: Operand, a: Operand, b: Operand) -> str:
    axes = [axis for axis in range(a.ndim) if axis != 1]
    return g.add("ReduceSum", g.add("Mul", a.name, b.name), g.constant(axes, INT64), keepdims=1)


# --- per channel of each sample -------------------------------------------------------------------------------------


@counterpart("sample_moments")
def _sample_moments(g: Graph, y: Operand, x: Operand, groups: int) -> str:
    """Mean and variance of each channel's group in each sample, on a new first axis."""
    of_groups = g.add("Reshape", x.name, g.constant([0, groups, -1], INT64))
    mean = g.add("ReduceMean", of_groups, axes=[2], keepdims=1)
    centred = g.add("Sub", of_groups, mean)
    var = g.add("ReduceMean", g.add("Mul", centred, centred), axes=[2], keepdims=1)
    each, shape = (1, 1, y.shapes[0][2] // groups), (0, *y.shapes[0][2:])
    repeated = (g.add("Expand", part, g.constant(each, INT64)) for part in (mean, var))
    return _pair(g, *(g.add("Reshape", part, g.constant(shape, INT64)) for part in repeated))


@counterpart("sample_affine")
def _sample_affine(g: Graph, _y: Operand, x: Operand, mean: Operand, scale: Operand, shift: Any = None) -> str:
    found = g.add("Mul", g.add("Sub", x.name, mean.name), scale.name)
    return found if shift is None else g.add("Add", found, shift.name)


def _pair(g: Graph, *parts: str) -> str:
    """The parts on a new first axis."""
    return g.add("Concat", *(g.add("Unsqueeze", part, g.constant([0], INT64)) for part in parts), axis=0)
