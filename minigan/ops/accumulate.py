"""Products over axes, and running sums."""

import math

from ..backend import Array, xp
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..tensor import Axis, Tensor
from .elementwise import astype
from .shape import _one_axis, concatenate, flip, normalize_axes, reshape, transpose


@takes_tensors("x")
def prod(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of x over `axis` (all axes by default), 1 over no element; integers and booleans as int64.

    Of pairs, then of their products, and so on: no step divides, so that gradients of any order are right at zeros.
    """
    axes = normalize_axes("prod", axis, x.ndim)
    x = x if x.dtype.kind == "f" else astype(x, "int64")
    others = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[a] for a in axes)
    kept = tuple(x.shape[i] for i in others)
    rows = reshape(transpose(x, (*others, *axes)), (*kept, count))
    if not count:
        rows = Tensor(made(xp(x.data).ones, (*kept, 1), x.dtype))
    while rows.shape[-1] > 1:
        half = rows.shape[-1] // 2
        halves = rows[..., :half] * rows[..., half : 2 * half]
        rows = halves if rows.shape[-1] % 2 == 0 else concatenate([halves, rows[..., 2 * half :]], rows.ndim - 1)
    return reshape(rows, tuple(1 if i in axes else n for i, n in enumerate(x.shape)) if keepdims else kept)


@op(
    lambda g, _y, _x, axis: flip(_cumsum(flip(g, axis), axis), axis),
    name="cumsum",
    formula="sum of x up to each place along an axis",
    flops=lambda y, *_: y.size,
)
def _cumsum(x: Array, axis: int) -> Array:
    return x.cumsum(axis=axis, dtype=x.dtype if x.dtype.kind == "f" else "int64")


@takes_tensors("x")
def cumsum(x: Tensor, axis: int | None = None) -> Tensor:
    """The sums of the first 1, 2, ... elements along `axis`, by default of all in row-major order, as one axis.

    Of integers and booleans int64.
    """
    return _cumsum(reshape(x, -1), 0) if axis is None else _cumsum(x, _one_axis("cumsum", axis, x.ndim))
