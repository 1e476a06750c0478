"""Element by element: arithmetic, functions, activations, comparisons. NumPy's names and broadcasting.

Sums over broadcast axes are the engine's business (grad.py): no rule mentions them. A rule multiplies g by an
array before it scales by a number: g may be a broadcast view, whose own multiples would lose the image's order.
"""

from typing import Any

from ..backend import Array, as_dtype, integers, xp
from ..errors import DTypeError, ShapeError
from ..kernels import kernels
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..tensor import Tensor


def _log_flops(y: Array, *_: Any) -> float:
    return 10.0 * y.size  # a transcendental function, roughly


# --- arithmetic -------------------------------------------------------------------------------------------


@op(lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g, formula="a + b")
def add(a: Array, b: Array) -> Array:
    return kernels(a, b).arithmetic("add", a, b)


@op(lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, formula="a - b")
def subtract(a: Array, b: Array) -> Array:
    return kernels(a, b).arithmetic("subtract", a, b)


@op(lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, formula="a b")
def multiply(a: Array, b: Array) -> Array:
    return kernels(a, b).arithmetic("multiply", a, b)


@op(lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * y / b, formula="a / b", domain=(0.5, 2.0))
def divide(a: Array, b: Array) -> Array:
    return kernels(a, b).arithmetic("divide", a, b)


@op(lambda g, _y, _x: -g, formula="-x")
def negative(x: Array) -> Array:
    return kernels(x).function("negative", x)


def _power_base(g: Tensor, _y: Any, a: Tensor, b: Any) -> Tensor | None:
    if isinstance(b, Tensor):
        zero = equal(b, 0)
        b = where(zero, 1.0, b)
        return where(zero, 0.0, g) * (b * a ** (b - 1))
    return g * (b * a ** (b - 1)) if b else None


def _power_exponent(g: Tensor, y: Tensor, a: Any, b: Tensor) -> Tensor:
    base = a if isinstance(a, Tensor) else full_like(y, a)
    zero = where(equal(base, 0), greater_equal(b, 0), False)  # there a^b is 0, or jumps
    return where(zero, 0.0, g) * (y * log(where(zero, 1.0, base)))


@op(_power_base, _power_exponent, formula="a^b", flops=_log_flops, domain=(0.5, 2.0))
def power(a: Array, b: Array) -> Array:
    return a**b


@op(lambda g, _y, x: g * sign(x), formula="|x|", kinks=(0.0,))
def absolute(x: Array) -> Array:
    return kernels(x).function("absolute", x)


@op(None, formula="x / |x|, 0 at 0", kinks=(0.0,))
def sign(x: Array) -> Array:
    return kernels(x).function("sign", x)


def _share(g: Tensor, not_won: Tensor, tied: Tensor) -> Tensor:
    """What a maximum or minimum hands to one of its arguments: half where it tied; a NaN wins against all."""
    return where(not_won, 0.0, g) + where(tied, g * 0.5, 0.0)


@op(
    lambda g, _y, a, b: _share(g, less_equal(a, b), equal(a, b)),
    lambda g, _y, a, b: _share(g, less_equal(b, a), equal(a, b)),
    formula="max(a, b)",
)
def maximum(a: Array, b: Array) -> Array:
    """The larger of a and b; where they are equal each receives half of the gradient."""
    return kernels(a, b).arithmetic("maximum", a, b)


@op(
    lambda g, _y, a, b: _share(g, less_equal(b, a), equal(a, b)),
    lambda g, _y, a, b: _share(g, less_equal(a, b), equal(a, b)),
    formula="min(a, b)",
)
def minimum(a: Array, b: Array) -> Array:
    """The smaller of a and b; where they are equal each receives half of the gradient."""
    return kernels(a, b).arithmetic("minimum", a, b)


@op(
    lambda g, _y, x, low, high: where(_between(x, low, high), g, 0.0),
    name="clip",
    formula="min(max(x, low), high)",
    domain=(-1.0, 1.0),
    kinks=(-0.5, 0.5),
)
def _clip(x: Array, low: float | None, high: float | None) -> Array:
    return xp(x).clip(x, low, high)


@op(name="between", formula="low <= x <= high")
def _between(x: Array, low: float | None, high: float | None) -> Array:
    above = x >= low if low is not None else xp(x).ones(x.shape, dtype=bool)
    return above & (x <= high) if high is not None else above


@takes_tensors("x")
def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to [low, high], numbers or None; the gradient passes where low <= x <= high."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise DTypeError("clip: limits must be numbers; use maximum and minimum for limits that are tensors")
    return _clip(x, low, high)


@op(
    None,
    lambda g, _y, mask, _a, _b: where(mask, g, 0.0),
    lambda g, _y, mask, _a, _b: where(mask, 0.0, g),
    name="where",
    formula="a if mask else b",
)
def _where(mask: Array, a: Array, b: Array) -> Array:
    return kernels(mask).where(mask, a, b)


@takes_tensors("mask", "a", "b", numbers=("a", "b"))
def where(mask: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """a where the boolean `mask` is true, b elsewhere; the three broadcast."""
    if mask.dtype != bool:
        raise DTypeError(f"where: expected a boolean mask, got {mask.dtype} of shape {mask.shape}")
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a = Tensor(made(xp(mask.data if isinstance(mask, Tensor) else mask).full, (), a, "float32"))
    return _where(mask, a, b)


@op(
    lambda g, _y, _x, _dtype: astype(g, _x.dtype),
    name="astype",
    formula="x",
    flops=lambda y, *_: 0,
)
def _astype(x: Array, dtype: Any) -> Array:
    return x.astype(dtype)


@takes_tensors("x")
def astype(x: Tensor, dtype: Any) -> Tensor:
    """x with elements of another type; the gradient comes back in x's own."""
    dtype = as_dtype("astype", dtype)
    return x if x.dtype == dtype else _astype(x, dtype)


@takes_tensors("x")
def full_like(x: Tensor, value: float) -> Tensor:
    """A tensor of the shape, type and device of `x`, filled with `value`."""
    return Tensor(made(xp(x.data).full, x.shape, value, x.dtype))


# --- functions --------------------------------------------------------------------------------------------


def as_floats(x: Array) -> Array:
    """x, if it is of floats; integers and booleans as float32."""
    return x if x.dtype.kind == "f" else x.astype("float32")


@op(lambda g, y, _x: g * y, formula="e^x", flops=_log_flops)
def exp(x: Array) -> Array:
    return kernels(x).function("exp", as_floats(x))


@op(lambda g, _y, x: g / x, formula="ln x", flops=_log_flops, domain=(0.5, 2.0))
def log(x: Array) -> Array:
    return kernels(x).function("log", as_floats(x))


@op(lambda g, _y, x: g / (1 + x), formula="ln(1 + x)", flops=_log_flops, domain=(-0.5, 1.0))
def log1p(x: Array) -> Array:
    return kernels(x).function("log1p", as_floats(x))


@op(lambda g, y, _x: g * (y + 1), formula="e^x - 1", flops=_log_flops)
def expm1(x: Array) -> Array:
    return kernels(x).function("expm1", as_floats(x))


@op(lambda g, y, _x: g / y * 0.5, formula="x^(1/2)", domain=(0.5, 2.0))
def sqrt(x: Array) -> Array:
    return kernels(x).function("sqrt", as_floats(x))


@op(lambda g, y, _x: g * (y * y * y) * -0.5, formula="x^(-1/2)", flops=lambda y, *_: 2 * y.size, domain=(0.5, 2.0))
def rsqrt(x: Array) -> Array:
    return kernels(x).arithmetic("divide", 1, kernels(x).function("sqrt", as_floats(x)))


@op(lambda g, _y, x: g * x * 2, formula="x^2")
def square(x: Array) -> Array:
    return kernels(x).arithmetic("multiply", x, x)


@op(lambda g, _y, x: g * cos(x), formula="sin x", flops=_log_flops)
def sin(x: Array) -> Array:
    return kernels(x).function("sin", as_floats(x))


@op(lambda g, _y, x: -g * sin(x), formula="cos x", flops=_log_flops)
def cos(x: Array) -> Array:
    return kernels(x).function("cos", as_floats(x))


# --- activations ------------------------------------------------------------------------------------------


@op(lambda g, y, _x: g * (1 - y * y), formula="tanh x", flops=_log_flops)
def tanh(x: Array) -> Array:
    return kernels(x).function("tanh", as_floats(x))


@op(lambda g, y, _x: g * y * (1 - y), formula="1 / (1 + e^-x)", flops=_log_flops)
def sigmoid(x: Array) -> Array:
    """The logistic function, accurate on both tails."""
    return kernels(x).sigmoid(as_floats(x))


@op(lambda g, _y, x: g * sigmoid(x), formula="ln(1 + e^x)", flops=_log_flops)
def softplus(x: Array) -> Array:
    """ln(1 + e^x): finite for every finite x."""
    return kernels(x).softplus(as_floats(x))


@op(lambda g, y, _x: _leaky_relu_grad(g, y, 0.0), formula="max(x, 0)", kinks=(0.0,))
def relu(x: Array) -> Array:
    """max(x, 0); the gradient at 0 is 0."""
    return kernels(x).arithmetic("maximum", x, 0)


@op(
    lambda g, y, _x, slope: _leaky_relu_grad(g, y, slope),
    name="leaky_relu",
    formula="x if x > 0 else slope x",
    kinks=(0.0,),
)
def _leaky_relu(x: Array, slope: float) -> Array:
    return kernels(x).leaky_relu(x, slope)


@op(
    lambda h, _x, _g, y, slope: _leaky_relu_grad(h, y, slope),
    None,
    name="leaky_relu_grad",
    formula="g if y > 0 else slope g",
    flops=lambda y, *_: 2 * y.size,
    kinks=(0.0,),
)
def _leaky_relu_grad(g: Array, y: Array, slope: float) -> Array:
    return kernels(g).leaky_relu_grad(g, y, slope)


@takes_tensors("x")
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope * x elsewhere (Maas et al. 2013); the slope must be >= 0."""
    if not negative_slope >= 0:
        raise ShapeError(f"leaky_relu: expected a negative_slope >= 0, got {negative_slope}")
    if x.dtype.kind != "f":
        raise DTypeError(f"leaky_relu: expected floats, got {x.dtype} of shape {x.shape}; .astype(dtype) converts")
    return _leaky_relu(x, float(negative_slope))


@op(
    lambda g, y, _x, alpha: g * where(y > 0, 1.0, y + alpha),
    name="elu",
    formula="x if x > 0 else alpha (e^x - 1)",
    flops=_log_flops,
    kinks=(0.0,),
)
def _elu(x: Array, alpha: float) -> Array:
    lib = xp(x)
    x = as_floats(x)
    return lib.where(x > 0, x, alpha * lib.expm1(lib.minimum(x, 0)))


@takes_tensors("x")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha * (e^x - 1) elsewhere, alpha > 0 (Clevert et al. 2016)."""
    if not alpha > 0:
        raise ShapeError(f"elu: expected alpha > 0, got {alpha}")
    return _elu(x, float(alpha))


# --- steps, whose derivative is 0 --------------------------------------------------------------------------


@op(None, formula="the largest integer <= x")
def floor(x: Array) -> Array:
    return xp(x).floor(x) if x.dtype.kind == "f" else x.copy()


@op(None, formula="the smallest integer >= x")
def ceil(x: Array) -> Array:
    return xp(x).ceil(x) if x.dtype.kind == "f" else x.copy()


@op(None, formula="the nearest integer, the even one of two", name="rint")
def _rint(x: Array) -> Array:
    return xp(x).rint(x) if x.dtype.kind == "f" else x.copy()


@takes_tensors("x")
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """x rounded to so many digits after the point, or before it if negative; halves to the even digit.

    Its derivative is 0.
    """
    (digits,) = integers("round", decimals)
    if digits == 0 or (digits > 0 and x.dtype.kind != "f"):
        return _rint(x)
    scale = 10.0 ** (digits if digits > 0 else -digits)
    return _rint(x * scale) / scale if digits > 0 else _rint(x / scale) * scale


# --- comparisons: booleans, without a derivative ----------------------------------------------------------


@op(formula="a > b")
def greater(a: Array, b: Array) -> Array:
    return a > b


@op(formula="a >= b")
def greater_equal(a: Array, b: Array) -> Array:
    return a >= b


@op(formula="a < b")
def less(a: Array, b: Array) -> Array:
    return a < b


@op(formula="a <= b")
def less_equal(a: Array, b: Array) -> Array:
    return a <= b


@op(formula="a == b")
def equal(a: Array, b: Array) -> Array:
    return a == b


@op(formula="a != b")
def not_equal(a: Array, b: Array) -> Array:
    return a != b


@op(formula="x is NaN")
def isnan(x: Array) -> Array:
    return xp(x).isnan(x)


@op(formula="x is infinite")
def isinf(x: Array) -> Array:
    return xp(x).isinf(x)


@op(formula="x is neither NaN nor infinite")
def isfinite(x: Array) -> Array:
    return xp(x).isfinite(x)
