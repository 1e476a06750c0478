"""Counterparts of what is done element by element: arithmetic, functions, comparisons."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...op import _narrowed
from .graph import FLOAT32, Graph, Operand
from .table import counterpart


def _arithmetic(kind: str) -> Callable[..., str]:
    def of_two(g: Graph, y: Operand, a: Any, b: Any) -> str:
        return g.add(kind, g.operand(a, y.dtype), g.operand(b, y.dtype))

    return of_two


def _function(kind: str, **attributes: Any) -> Callable[..., str]:
    def of_one(g: Graph, y: Operand, x: Operand) -> str:
        return g.add(kind, g.cast(x, y.dtype), **attributes)

    return of_one


def _comparison(kind: str, negated: bool = False) -> Callable[..., str]:
    def of_two(g: Graph, _y: Operand, a: Any, b: Any) -> str:
        common = np.result_type(*(x.dtype if isinstance(x, Operand) else x for x in (a, b)))
        found = g.add(kind, g.operand(a, common), g.operand(b, common))
        return g.add("Not", found) if negated else found

    return of_two


for _name, _kind in {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "maximum": "Max",
    "minimum": "Min",
}.items():
    counterpart(_name, varying=True)(_arithmetic(_kind))

for _name, _kind in {
    "absolute": "Abs",
    "negative": "Neg",
    "sign": "Sign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "relu": "Relu",
    "floor": "Floor",
    "ceil": "Ceil",
    "rint": "Round",
}.items():
    counterpart(_name)(_function(_kind))

for _name, _kind, _negated in (
    ("greater", "Greater", False),
    ("greater_equal", "GreaterOrEqual", False),
    ("less", "Less", False),
    ("less_equal", "LessOrEqual", False),
    ("equal", "Equal", False),
    ("not_equal", "Equal", True),
):
    counterpart(_name)(_comparison(_kind, _negated))


@counterpart("square")
def _square(g: Graph, _y: Operand, x: Operand) -> str:
    return g.add("Mul", x.name, x.name)


@counterpart("rsqrt")
def _rsqrt(g: Graph, y: Operand, x: Operand) -> str:
    return g.add("Reciprocal", g.add("Sqrt", g.cast(x, y.dtype)))


@counterpart("expm1")
def _expm1(g: Graph, y: Operand, x: Operand) -> str:
    return g.add("Sub", g.add("Exp", g.cast(x, y.dtype)), g.constant(1, y.dtype))


@counterpart("log1p")
def _log1p(g: Graph, y: Operand, x: Operand) -> str:
    return g.add("Log", g.add("Add", g.cast(x, y.dtype), g.constant(1, y.dtype)))


@counterpart("leaky_relu")
def _leaky_relu(g: Graph, _y: Operand, x: Operand, slope: float) -> str:
    return g.add("LeakyRelu", x.name, alpha=slope)


@counterpart("elu")
def _elu(g: Graph, y: Operand, x: Operand, alpha: float) -> str:
    return g.add("Elu", g.cast(x, y.dtype), alpha=alpha)


@counterpart("clip")
def _clip(g: Graph, y: Operand, x: Operand, low: float | None, high: float | None) -> str:
    found = g.cast(x, y.dtype)
    found = found if low is None else g.add("Max", found, g.constant(low, y.dtype))
    return found if high is None else g.add("Min", found, g.constant(high, y.dtype))


@counterpart("where")
def _where(g: Graph, y: Operand, mask: Operand, a: Any, b: Any) -> str:
    return g.add("Where", mask.name, g.operand(a, y.dtype), g.operand(b, y.dtype))


@counterpart("astype", "to", np.array, np.asarray)
def _same(g: Graph, y: Operand, x: Operand, *_: Any) -> str:
    return g.cast(x, y.dtype)


@counterpart(_narrowed)
def _single(g: Graph, _y: Operand, x: Operand) -> str:
    return g.cast(x, FLOAT32)


@counterpart("isnan")
def _isnan(g: Graph, _y: Operand, x: Operand) -> str:
    return g.add("IsNaN", x.name)


@counterpart("isinf")
def _isinf(g: Graph, _y: Operand, x: Operand) -> str:
    return g.add("IsInf", x.name)


@counterpart("isfinite")
def _isfinite(g: Graph, _y: Operand, x: Operand) -> str:
    return g.add("Less", g.add("Abs", x.name), g.constant(math.inf, x.dtype))
