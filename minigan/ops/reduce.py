"""Over axes: sums, means, extremes, and the soft maximum. NumPy's `axis` and `keepdims`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, xp
from ..errors import ShapeError, brief
from ..kernels import kernels
from ..op import op, takes_tensors
from ..tensor import NUMBER_TYPES, Axis, Tensor
from .elementwise import absolute, as_floats, astype, equal, exp, sigmoid, sqrt, square, where
from .shape import broadcast_to, normalize_axes, reshape

Axes = tuple[int, ...]


def _spread(g: Tensor, x: Any, axes: Axes) -> Tensor:
    """g, of a reduction's shape, repeated along `axes` to the shape of x."""
    return broadcast_to(_kept(g, x, axes), x.shape)


def _kept(g: Tensor, x: Any, axes: Axes) -> Tensor:
    """g, of a reduction's shape, with an axis of length 1 for each of `axes` of x."""
    return reshape(g, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


@op(
    lambda g, _y, _x, axes, _keepdims: _spread(g, _x, axes),
    name="sum",
    formula="sum of x over axes",
    flops=lambda y, x, *_: x.size,
)
def _sum(x: Array, axes: Axes, keepdims: bool) -> Array:
    return kernels(x).sum(x, axes, keepdims)


@takes_tensors("x")
def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of x over `axis` (all axes by default)."""
    return _sum(x, normalize_axes("sum", axis, x.ndim), keepdims)


@takes_tensors("x")
def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of x over `axis` (all axes by default); NaN over no element."""
    axes = normalize_axes("mean", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if len(axes) == x.ndim and count and x.dtype.kind == "f":
        y = _mean(x, "identity", 1.0, 0.0)
        return reshape(y, (1,) * x.ndim) if keepdims else y
    return _sum(x, axes, keepdims) * (1 / count if count else math.nan)


# --- the mean of a function of all elements, as losses are made of: one op, whose gradient is one ---------------


@takes_tensors("x")
def mean_of(x: Tensor, function: Callable[[Tensor], Tensor], scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """mean(function(scale x + shift)) over all elements, a 0-d tensor; NaN over no element.

    Where the function is relu, sigmoid, softplus or square, and the numbers are such, that is one op.
    """
    name = getattr(function, "name", "")
    if name in _SLOPES and type(scale) in NUMBER_TYPES and type(shift) in NUMBER_TYPES and x.size:
        return _mean(x if x.dtype.kind == "f" else astype(x, "float32"), name, float(scale), float(shift))
    return mean(function(_inside(x, scale, shift)))


def _inside(x: Tensor, scale: float, shift: float) -> Tensor:
    """scale x + shift."""
    scaled = x if scale == 1 else x * scale
    return scaled if shift == 0 else scaled + shift


def _logistic_slope(h: Tensor, v: Tensor) -> Tensor:
    y = sigmoid(v)
    return h * (y * (1 - y))


def _logistic_bend(h: Tensor, v: Tensor) -> Tensor:
    y = sigmoid(v)
    return h * (y * (1 - y) * (1 - 2 * y))


# h f'(v) and, where it is not zero, h f''(v), by the name of f
_SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda h, v: h,
    "relu": lambda h, v: where(v > 0, h, 0.0),
    "sigmoid": _logistic_slope,
    "softplus": lambda h, v: h * sigmoid(v),
    "square": lambda h, v: h * v * 2,
}
_BENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": _logistic_bend,
    "softplus": _logistic_slope,
    "square": lambda h, v: h * 2,
}


@op(
    lambda g, _y, x, f, a, b: _mean_grad(g, x, f, a, b),
    name="mean",
    formula="mean of f(a x + b)",
    flops=lambda y, x, *_: 2 * x.size,
)
def _mean(x: Array, f: str, a: float, b: float) -> Array:
    return kernels(x).mean_of(x, f, a, b)


def _mean_bend(h: Tensor, _y: Any, g: Tensor, x: Tensor, f: str, a: float, b: float) -> Tensor | None:
    return _BENDS[f](h, _inside(x, a, b)) * (g * (a * a / x.size)) if f in _BENDS else None


@op(
    lambda h, _y, _g, x, f, a, b: sum(_SLOPES[f](h, _inside(x, a, b))) * (a / x.size),
    _mean_bend,
    name="mean_grad",
    formula="g f'(a x + b) a / n",
    flops=lambda y, *_: 3 * y.size,
)
def _mean_grad(g: Array, x: Array, f: str, a: float, b: float) -> Array:
    return kernels(x).mean_of_grad(g, x, f, a, b)


@op(
    lambda g, y, x, _eps: x * _kept(g / y, x, tuple(range(1, x.ndim))),
    name="lengths",
    formula="(sum of x^2 per sample + eps)^(1/2)",
    flops=lambda y, x, *_: 2 * x.size,
)
def _lengths(x: Array, eps: float) -> Array:
    return kernels(x).lengths(x, eps)


@takes_tensors("x")
def lengths(x: Tensor, eps: float) -> Tensor:
    """sqrt(sum x^2 + eps) of each sample, over all axes but the first: (N,); eps > 0 keeps it smooth at 0.

    Raises ShapeError if x is no batch of floats, or eps is not above 0.
    """
    if not x.ndim or x.dtype.kind != "f" or not eps > 0:
        raise ShapeError(f"lengths: expected floats (N, ...) and eps > 0, got {x.shape} {x.dtype} and {brief(eps)}")
    return _lengths(x, float(eps))


@takes_tensors("x")
def var(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The variance of x over `axis`: squared deviations from the mean, summed and divided by n - ddof."""
    axes = normalize_axes("var", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count <= ddof:
        raise ShapeError(
            f"var: {count} elements over axis {axis} of {x.shape} leave nothing to divide by (ddof {ddof})"
        )
    return _sum(square(x - mean(x, axes, keepdims=True)), axes, keepdims) * (1 / (count - ddof))


@takes_tensors("x")
def std(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The standard deviation of x over `axis`: the root of `var`. Where it is 0 its gradient is taken to be 0."""
    return _root(var(x, axis, keepdims, ddof))


@takes_tensors("x")
def norm(x: Tensor, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `axis` (all axes by default), as of one vector: also of a matrix, or of all weights.

    `ord` is a number above 0, or inf for the largest |x|, or -inf for the smallest. Where the norm is 0 its gradient is
    taken to be 0. ShapeError for another `ord`.
    """
    if isinstance(ord, bool) or not isinstance(ord, int | float) or not (ord > 0 or ord == -math.inf):
        raise ShapeError(f"norm: expected as ord a number above 0, inf or -inf, got {brief(ord)}")
    if math.isinf(ord):
        return (max if ord > 0 else min)(absolute(x), axis, keepdims)
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord == 2:
        return _root(sum(square(x), axis, keepdims))
    total = sum(absolute(x) ** ord, axis, keepdims)
    nothing = equal(total, 0)
    return where(nothing, 0.0, where(nothing, 1.0, total) ** (1 / ord))


def _root(x: Tensor) -> Tensor:
    """The square root, whose gradient at 0 is 0 in place of infinite."""
    nothing = equal(x, 0)
    return where(nothing, 0.0, sqrt(where(nothing, 1.0, x)))


@op(name="any", formula="whether any of x is not 0", flops=lambda y, x, *_: x.size)
def _any(x: Array, axes: Axes, keepdims: bool) -> Array:
    return xp(x).any(x, axis=axes, keepdims=keepdims)


@op(name="all", formula="whether none of x is 0", flops=lambda y, x, *_: x.size)
def _all(x: Array, axes: Axes, keepdims: bool) -> Array:
    return xp(x).all(x, axis=axes, keepdims=keepdims)


@takes_tensors("x")
def any(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is true, or not 0: booleans."""
    return _any(x, normalize_axes("any", axis, x.ndim), keepdims)


@takes_tensors("x")
def all(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true, or not 0: booleans, true of no element."""
    return _all(x, normalize_axes("all", axis, x.ndim), keepdims)


@op(name="ties", formula="x = y, or both are NaN")
def _ties(x: Array, y: Array) -> Array:
    return (x == y) | ((x != x) & (y != y))


def _extreme_rule(g: Tensor, y: Tensor, x: Tensor, axes: Axes, _keepdims: bool) -> Tensor:
    """Elements that share the extreme share its gradient equally."""
    ties = _ties(x, _spread(y, x, axes))
    share = _kept(g, x, axes) / sum(astype(ties, g.dtype), axes, keepdims=True)
    return where(ties, broadcast_to(share, x.shape), 0.0)


@op(_extreme_rule, name="max", formula="max of x over axes", flops=lambda y, x, *_: x.size)
def _max(x: Array, axes: Axes, keepdims: bool) -> Array:
    return kernels(x).extreme("max", x, axes, keepdims)


@op(_extreme_rule, name="min", formula="min of x over axes", flops=lambda y, x, *_: x.size)
def _min(x: Array, axes: Axes, keepdims: bool) -> Array:
    return kernels(x).extreme("min", x, axes, keepdims)


@takes_tensors("x")
def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`; elements that tie share the gradient equally."""
    return _max(x, normalize_axes("max", axis, x.ndim), keepdims)


@takes_tensors("x")
def min(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`; elements that tie share the gradient equally."""
    return _min(x, normalize_axes("min", axis, x.ndim), keepdims)


@op(
    lambda g, y, x, axes, _keepdims: _spread(g, x, axes) * exp(x - _spread(y, x, axes)),
    name="logsumexp",
    formula="ln(sum of e^x over axes)",
    flops=lambda y, x, *_: 11 * x.size,
)
def _logsumexp(x: Array, axes: Axes, keepdims: bool) -> Array:
    lib = xp(x)
    x = as_floats(x)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    top = x.max(axis=axes, keepdims=True) if x.size else lib.zeros(kept, dtype=x.dtype)
    top = lib.where(lib.isfinite(top), top, 0)  # all -inf: the sum is 0, not NaN
    with np.errstate(divide="ignore"):
        total = lib.log(lib.exp(x - top).sum(axis=axes, keepdims=True)) + top
    return total if keepdims else total.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


@takes_tensors("x")
def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """ln(sum(e^x)) over `axis`, computed without overflow; -inf over no element."""
    return _logsumexp(x, normalize_axes("logsumexp", axis, x.ndim), keepdims)


@takes_tensors("x")
def log_softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """x - logsumexp(x): the logarithm of `softmax`, finite where softmax underflows."""
    return x - logsumexp(x, axis, keepdims=True)


@op(
    lambda g, y, _x, axes: _softmax_grad(g, y, axes),
    name="softmax",
    formula="e^x / sum of e^x over axes",
    flops=lambda y, *_: 12 * y.size,
)
def _softmax(x: Array, axes: Axes) -> Array:
    x = as_floats(x)
    return kernels(x).softmax(x, axes)


def _softmax_bend(h: Tensor, _x: Any, g: Tensor, y: Tensor, axes: Axes) -> Tensor:
    """The derivative of y (g - sum(g y)) with respect to y, along h."""
    return h * (g - sum(g * y, axes, keepdims=True)) - g * sum(h * y, axes, keepdims=True)


@op(
    lambda h, _x, _g, y, axes: _softmax_grad(h, y, axes),
    _softmax_bend,
    name="softmax_grad",
    formula="y (g - sum of g y over axes)",
    flops=lambda y, *_: 4 * y.size,
)
def _softmax_grad(g: Array, y: Array, axes: Axes) -> Array:
    return kernels(y).softmax_grad(g, y, axes)


@takes_tensors("x")
def softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """e^x / sum(e^x) over `axis`: positive, summing to 1."""
    return _softmax(x, normalize_axes("softmax", axis, x.ndim))
