"""Normalisation of each channel (axis 1) over the batch and the image: y = (x - mean) r, r = 1 / sqrt(var + eps).

Mean and r of all channels are one array, `stats`: (2, 1, C, 1, ...) for x (N, C, ...). They are functions of x, and
the rule of x is the whole derivative of what is computed of both: what flows through the statistics is in it, so that
`stats` has no rule there. y is kept nowhere: it is made again of x, in the pass that needs it.

Every gradient needs the sums of g and of g y over each channel, for a cotangent g. They are the gradients of a bias
and of a weight, and with them, of n values in each channel,

    d = w r (g - (sum of g + y sum of g y) / n)

is the gradient of x. Both are ops, whose own rules are again these ops: so every order is whole.
"""

from ..backend import Array
from ..errors import DTypeError, ShapeError
from ..kernels import kernels
from ..op import op, takes_tensors
from ..tensor import Tensor
from .reduce import sum
from .shape import reshape


@takes_tensors("x")
def channel_norm(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, r): x (N, C, ...) less its mean over all but the channels, times r = 1 / sqrt(var + eps).

    The variance is the biased one; mean and r have the shape (1, C, 1, ...). Raises DTypeError if x is no floats,
    ShapeError if it has less than two axes.
    """
    _check("channel_norm", x)
    stats = _channel_stats(x, eps)
    return _batch_norm(x, stats), stats[0], stats[1]


@takes_tensors("x", "weight", "bias")
def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, r) of `channel_norm`, with y weight + bias for y: weight and bias (C,). Raises what it raises.

    ShapeError too if weight or bias has another shape.
    """
    w, b = _for_channels("batch_norm", x, weight, bias)
    stats = _channel_stats(x, eps)
    return _batch_norm(x, stats, w, b), stats[0], stats[1]


@takes_tensors("x", "weight", "bias")
def scale_shift(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x weight + bias for each channel of x (N, C, ...): weight and bias (C,). Raises as `batch_norm` does."""
    return _scale_shift(x, *_for_channels("scale_shift", x, weight, bias))


def _for_channels(name: str, x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """weight and bias (C,) in the shape that broadcasts over the channels of x (N, C, ...)."""
    _check(name, x)
    shape = x.shape[1:2]
    if not weight.shape == bias.shape == shape:
        raise ShapeError(f"{name}: expected weight and bias of shape {shape}, got {weight.shape} and {bias.shape}")
    return [reshape(v, (1, -1, *(1 for _ in x.shape[2:]))) for v in (weight, bias)]


def _check(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: expected floats, got {x.shape} {x.dtype}; .astype(dtype) converts")
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected x of shape (N, C, ...), got {x.shape}")


# --- ops ------------------------------------------------------------------------------------------------------------


def _stats_rule(g: Tensor, stats: Tensor, x: Tensor, _eps: float) -> Tensor:
    """mean moves by 1 / n, r by -r^3 (x - mean) / n, of n values in each channel."""
    mean, r = stats[0], stats[1]
    g = g * (x.shape[1] / x.size)
    return g[0] - (x - mean) * (g[1] * (r * r * r))


@op(
    _stats_rule,
    name="channel_stats",
    formula="mean(x) and r = 1 / sqrt(var(x) + eps) per channel",
    flops=lambda s, x, *_: 4 * x.size,
)
def _channel_stats(x: Array, eps: float) -> Array:
    return kernels(x).channel_stats(x, eps)


@op(
    lambda g, _z, x, stats, w=None, _b=None, *, sums: _batch_norm_grad(g, x, stats, sums, w),
    None,
    lambda _g, _z, _x, _stats, _w, _b=None, *, sums: sums[1],
    lambda _g, _z, _x, _stats, _w, _b, *, sums: sums[0],
    shared={"sums": lambda g, _z, x, stats, _w=None, _b=None: _channel_sums(g, x, stats)},
    name="batch_norm",
    formula="y w + b per channel, y = (x - mean(x)) r(x)",
    flops=lambda z, *_: 3 * z.size,
)
def _batch_norm(x: Array, stats: Array, w: Array = None, b: Array = None) -> Array:
    return kernels(x).batch_norm(x, stats, w, b)


@op(
    lambda h, _s, _g, x, stats: _batch_norm(x, stats, h[1], h[0]),
    lambda h, s, g, x, stats: _batch_norm_grad(g, x, stats, s, h[1]),
    None,
    name="channel_sums",
    formula="sum of g and sum of g y per channel",
    flops=lambda s, g, *_: 5 * g.size,
)
def _channel_sums(g: Array, x: Array, stats: Array) -> Array:
    return kernels(g).channel_sums(g, x, stats)


def _through_x(
    h: Tensor, _d: Tensor, g: Tensor, x: Tensor, stats: Tensor, sums: Tensor, w: Tensor | None = None, *,
    of_h: Tensor, slope: Tensor,
) -> Tensor:  # fmt: skip
    """By y, whose own derivative is that of batch_norm for the cotangent k; then by r."""
    scale = stats[1] * (-x.shape[1] / x.size)
    scale = scale if w is None else scale * w
    k, of_k = h * sums[1] + g * of_h[1], of_h * sums[1] + sums * of_h[1]
    return _batch_norm_grad(k, x, stats, of_k, scale) + _batch_norm(x, stats, slope * scale)


@op(
    lambda h, _d, _g, x, stats, _sums, w=None, *, of_h: _batch_norm_grad(h, x, stats, of_h, w),
    _through_x,
    None,
    None,
    lambda _h, _d, _g, _x, _stats, _sums, _w, *, slope: slope,
    shared={
        "of_h": lambda h, _d, _g, x, stats, _sums, _w=None: _channel_sums(h, x, stats),
        "slope": lambda h, _d, g, x, stats, sums, _w=None: _channel_dot(h, _batch_norm_grad(g, x, stats, sums)),
    },
    name="batch_norm_grad",
    formula="w r (g - (sum of g + y sum of g y) / n) per channel",
    flops=lambda d, *_: 6 * d.size,
)
def _batch_norm_grad(g: Array, x: Array, stats: Array, sums: Array, w: Array = None) -> Array:
    """`sums` are those of g, and their derivative is in that of g and of x."""
    return kernels(g).batch_norm_grad(g, x, stats, sums, w)


@op(
    lambda g, _z, _x, w, _b: g * w,
    lambda g, _z, x, _w, _b: _channel_dot(g, x),
    lambda g, _z, _x, _w, _b: sum(g, tuple(a for a in range(g.ndim) if a != 1), keepdims=True),
    name="scale_shift",
    formula="x w + b per channel",
    flops=lambda z, *_: 2 * z.size,
)
def _scale_shift(x: Array, w: Array, b: Array) -> Array:
    return kernels(x).scale_shift(x, w, b)


@op(
    lambda h, _s, _a, b: h * b,
    lambda h, _s, a, _b: h * a,
    name="channel_dot",
    formula="sum of a b per channel",
    flops=lambda s, a, b: 2 * a.size,
)
def _channel_dot(a: Array, b: Array) -> Array:
    return kernels(a).channel_dot(a, b)
