"""What several ops do, done in one: losses that stay finite for every finite logit, and channel normalisation."""

import numpy as np

from ..backend import Array, xp
from ..errors import DTypeError, ShapeError
from ..kernels import kernels
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..tensor import Tensor, ones_like
from .elementwise import softplus
from .reduce import log_softmax, mean, mean_of, sum
from .shape import reshape


@takes_tensors("logits", "target", numbers=("target",))
def binary_cross_entropy_with_logits(logits: Tensor, target: Tensor | float) -> Tensor:
    """mean(softplus(x) - t x): the cross entropy of sigmoid(x) against targets t in [0, 1]. A 0-d tensor.

    `target` has the shape of `logits` or is a number. Raises ShapeError if it is neither.
    """
    shape = () if isinstance(target, int | float) else target.shape
    if shape not in ((), logits.shape):
        raise ShapeError(f"binary_cross_entropy_with_logits: logits {logits.shape}, target {shape}")
    if isinstance(target, int | float) and target in (0, 1):  # sp(x) - x = sp(-x)
        return mean_of(logits, softplus, 1 - 2 * target)
    return mean(softplus(logits) - logits * target)


@takes_tensors("logits", "labels")
def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-mean(log softmax(logits)[label]): logits (N, K), integer labels (N,) in 0..K-1. A 0-d tensor."""
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: expected integer labels, got {labels.dtype}")
    k = logits.shape[-1]
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(f"cross_entropy: expected logits (N, K) and labels (N,), got {logits.shape}, {labels.shape}")
    if isinstance(labels.data, np.ndarray) and labels.size and not 0 <= labels.data.min() <= labels.data.max() < k:
        raise ShapeError(f"cross_entropy: labels must lie in 0..{k - 1}, got {labels.data.min()}..{labels.data.max()}")
    rows = made(xp(labels.data).arange, len(labels))
    return -mean(log_softmax(logits, 1)[rows, labels])


# --- normalisation of each channel (axis 1) over the batch and the image ------------------------------------
#
# y = (x - mean) r with r = 1 / sqrt(var + eps). Both statistics are functions of x, and the rule of x is the
# whole derivative: what flows through them is in it, so their own rules are zero. It reads y and r as tensors
# that depend on x, and the rules it leads to are elementary ops: the second derivative is whole as well.


@takes_tensors("x")
def channel_norm(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, r): x (N, C, ...) less its mean over all but the channels, times r = 1 / sqrt(var + eps).

    The variance is the biased one; mean and r have the shape (1, C, 1, ...).
    """
    _check_channels("channel_norm", x)
    average = _channel_mean(x)
    r = _inv_std(x, average, eps)
    return _normalize(x, average, r), average, r


@takes_tensors("x", "weight", "bias")
def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, r) of `channel_norm`, with y weight + bias for y: weight and bias (C,)."""
    w, b = _for_channels("batch_norm", x, weight, bias)
    y, average, r = channel_norm(x, eps)
    return _batch_norm(x, y, r, w, b), average, r


def _for_channels(name: str, x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """weight and bias (C,) in the shape that broadcasts over the channels of x (N, C, ...)."""
    _check_channels(name, x)
    shape = x.shape[1:2]
    if not weight.shape == bias.shape == shape:
        raise ShapeError(f"{name}: expected weight and bias of shape {shape}, got {weight.shape} and {bias.shape}")
    return [reshape(v, (1, -1, *(1 for _ in x.shape[2:]))) for v in (weight, bias)]


def _check_channels(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: expected floats, got {x.shape} {x.dtype}; .astype(dtype) converts")
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected x of shape (N, C, ...), got {x.shape}")


def _but_channels(x: Tensor) -> tuple[int, ...]:
    return tuple(a for a in range(x.ndim) if a != 1)


def _channel_mean(x: Tensor) -> Tensor:
    return mean(x, _but_channels(x), keepdims=True)


@op(
    lambda g, r, x, mean, _eps: (x - mean) * (g * (r * r * r) * (-x.shape[1] / x.size)),
    None,
    name="inv_std",
    formula="1 / sqrt(var(x) + eps) per channel",
    flops=lambda r, x, *_: 3 * x.size,
)
def _inv_std(x: Array, mean: Array, eps: float) -> Array:
    return kernels(x).inv_std(x, mean, eps)


@op(
    lambda g, y, _x, _mean, r: _normalize_grad(g, y, r),
    None,
    None,
    name="normalize",
    formula="(x - mean(x)) r(x) per channel",
    flops=lambda y, *_: 2 * y.size,
)
def _normalize(x: Array, mean: Array, r: Array) -> Array:
    return kernels(x).normalize(x, mean, r)


@op(
    lambda h, _x, _g, y, r: _normalize_grad(h, y, r),
    lambda h, _x, g, y, r: -(h * _channel_dot(g, y) + g * _channel_dot(h, y)) * (r * (y.shape[1] / y.size)),
    lambda h, _x, g, y, r: _channel_dot(h, _normalize_grad(g, y, ones_like(r))),
    name="normalize_grad",
    formula="r (g - mean(g) - y mean(g y)) per channel",
    flops=lambda x, *_: 8 * x.size,
)
def _normalize_grad(g: Array, y: Array, r: Array) -> Array:
    return kernels(g).normalize_grad(g, y, r)


# The weight only scales what flows back to x, so that y, which x's rule accounts for, needs no rule here either.


@op(
    lambda g, _z, _x, y, r, w, _b: _normalize_grad(g, y, r * w),
    None,
    None,
    lambda g, _z, _x, y, _r, _w, _b: _channel_dot(g, y),
    lambda g, _z, _x, _y, _r, _w, _b: sum(g, _but_channels(g), keepdims=True),
    name="batch_norm",
    formula="y w + b per channel, y = (x - mean(x)) r(x)",
    flops=lambda z, *_: 2 * z.size,
)
def _batch_norm(x: Array, y: Array, r: Array, w: Array, b: Array) -> Array:
    return kernels(y).scale_shift(y, w, b)


@op(
    lambda g, _z, _x, w, _b: g * w,
    lambda g, _z, x, _w, _b: _channel_dot(g, x),
    lambda g, _z, _x, _w, _b: sum(g, _but_channels(g), keepdims=True),
    name="scale_shift",
    formula="x w + b per channel",
    flops=lambda z, *_: 2 * z.size,
)
def _scale_shift(x: Array, w: Array, b: Array) -> Array:
    return kernels(x).scale_shift(x, w, b)


@takes_tensors("x", "weight", "bias")
def scale_shift(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x weight + bias for each channel of x (N, C, ...): weight and bias (C,)."""
    return _scale_shift(x, *_for_channels("scale_shift", x, weight, bias))


@op(
    lambda h, _s, _a, b: h * b,
    lambda h, _s, a, _b: h * a,
    name="channel_dot",
    formula="sum of a b per channel",
    flops=lambda s, a, b: 2 * a.size,
)
def _channel_dot(a: Array, b: Array) -> Array:
    return kernels(a).channel_dot(a, b)
