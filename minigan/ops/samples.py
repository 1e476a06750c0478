"""Normalisation of each sample by itself: of its channels (axis 1), each or in groups, over the group and the image.

Each channel of each sample has values of its own, (N, C, 1, ...) for x (N, C, ...): the mean and the variance of its
group, and a scale and a shift by which its pixels are moved. Three ops pass over the images; what weights make of such
values are ops on arrays as small as these. The rules of the three are the three again: so every order is whole.
"""

from ..backend import Array, integers
from ..errors import ShapeError
from ..kernels import kernels
from ..op import op, takes_tensors
from ..tensor import Tensor, as_tensor
from .channels import _check
from .elementwise import rsqrt
from .reduce import mean
from .shape import broadcast_to, reshape


@takes_tensors("x")
def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """y weight + bias for x (N, C, ...), y = (x - mean) / sqrt(var + eps) over a group of channels of a sample.

    The C channels are cut into `num_groups` groups of equal size, each of which has a mean and a biased variance in
    each sample (Wu and He 2018); with C groups it is instance norm. weight and bias are (C,), or (N, C) with a row for
    each sample; without them they are 1 and 0. Raises DTypeError if x is no floats, ShapeError if it has less than two
    axes, or if groups, weight or bias do not fit its channels.
    """
    _check("group_norm", x)
    (groups,) = integers("group_norm: num_groups", num_groups)
    if groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"group_norm: {x.shape[1]} channels do not split into {groups} groups")
    moments = _sample_moments(x, groups)
    scale = rsqrt(moments[1] + eps)
    if weight is not None:
        scale = scale * _beside(x, weight, "weight")
    shift = None if bias is None else broadcast_to(_beside(x, bias, "bias"), scale.shape)
    return _sample_affine(x, moments[0], scale, shift)


def _beside(x: Tensor, values: Tensor, name: str) -> Tensor:
    """Values (C,) or (N, C) in the shape that broadcasts over x (N, C, ...)."""
    values = as_tensor(values, f"group_norm: {name}")
    if values.shape not in (x.shape[1:2], x.shape[:2]):
        raise ShapeError(f"group_norm: expected {name} of shape {x.shape[1:2]} or {x.shape[:2]}, got {values.shape}")
    return reshape(values, (len(x) if values.ndim > 1 else 1, x.shape[1], *(1 for _ in x.shape[2:])))


# --- ops ------------------------------------------------------------------------------------------------------------


def _moments_rule(g: Tensor, moments: Tensor, x: Tensor, groups: int) -> Tensor:
    """The mean moves by 1 / n, the variance by 2 (x - mean) / n, of n values in each group of a sample."""
    shape = g.shape
    if groups < shape[2]:
        each = reshape(g, (2, shape[1], groups, shape[2] // groups))
        g = reshape(broadcast_to(mean(each, 3, keepdims=True), each.shape), shape)
    g = g * (moments.size / (2 * x.size) if x.size else 0.0)
    return _sample_affine(x, moments[0], 2 * g[1], g[0])


@op(
    _moments_rule,
    name="sample_moments",
    formula="mean(x) and var(x) of each channel's group in each sample",
    flops=lambda m, x, *_: 4 * x.size,
)
def _sample_moments(x: Array, groups: int) -> Array:
    return kernels(x).sample_moments(x, groups)


@op(
    lambda g, _z, _x, _mean, scale, _shift=None: g * scale,
    lambda _g, _z, _x, _mean, scale, _shift=None, *, sums: -(scale * sums[0]),
    lambda _g, _z, _x, _mean, _scale, _shift=None, *, sums: sums[1],
    lambda _g, _z, _x, _mean, _scale, _shift, *, sums: sums[0],
    shared={"sums": lambda g, _z, x, mean, _scale, _shift=None: _sample_sums(g, x, mean)},
    name="sample_affine",
    formula="(x - mean) scale + shift, values per channel of each sample",
    flops=lambda z, *_: 3 * z.size,
)
def _sample_affine(x: Array, mean: Array, scale: Array, shift: Array = None) -> Array:
    """(x - mean) scale + shift; all but x are (N, C, 1, ...)."""
    return kernels(x).sample_affine(x, mean, scale, shift)


@op(
    lambda h, _s, _g, x, mean: _sample_affine(x, mean, h[1], h[0]),
    lambda h, _s, g, _x, _mean: g * h[1],
    lambda h, s, _g, _x, _mean: -(h[1] * s[0]),
    name="sample_sums",
    formula="sum of g and sum of g (x - mean) per channel of each sample",
    flops=lambda s, g, *_: 4 * g.size,
)
def _sample_sums(g: Array, x: Array, mean: Array) -> Array:
    return kernels(g).sample_sums(g, x, mean)
