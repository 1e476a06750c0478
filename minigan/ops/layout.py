"""Axes and elements moved and repeated, by reshapes, cuts and broadcasts: NumPy's names."""

from collections.abc import Sequence

import numpy as np

from ..backend import Array, integers, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..op import takes_tensors
from ..tensor import Axis, Tensor
from .elementwise import where
from .shape import _one_axis, broadcast_to, concatenate, reshape, transpose


@takes_tensors("x")
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """x with these two axes exchanged."""
    a, b = (_one_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return transpose(x, order)


@takes_tensors("x")
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """x with the axes `source` at the places `destination`, the others in their order."""
    moved, places = (
        [_one_axis("moveaxis", a, x.ndim) for a in integers("moveaxis", axes)] for axes in (source, destination)
    )
    if len(moved) != len(places) or len(set(moved)) < len(moved) or len(set(places)) < len(places):
        raise ShapeError(f"moveaxis: cannot move the axes {source} of {x.shape} to {destination}")
    by_place = dict(zip(places, moved, strict=True))
    others = iter([a for a in range(x.ndim) if a not in moved])
    return transpose(x, [by_place[a] if a in by_place else next(others) for a in range(x.ndim)])


@takes_tensors("x")
def roll(x: Tensor, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """x with its elements moved by `shift` places along `axis`, those that leave at one end coming in at the other.

    By default along all elements in row-major order. Several axes take one shift each, or the same.
    """
    shifts = integers("roll", shift)
    if not shifts:
        raise ShapeError(f"roll: expected at least one shift, got {shift}")
    if axis is None:
        return reshape(_rolled(reshape(x, -1), sum(shifts), 0), x.shape)
    axes = [_one_axis("roll", a, x.ndim) for a in integers("roll", axis)]
    if len(shifts) not in (1, len(axes)):
        raise ShapeError(f"roll: expected a shift for each axis of {axis}, got {shift}")
    for k, a in enumerate(axes):
        x = _rolled(x, shifts[k % len(shifts)], a)
    return x


def _rolled(x: Tensor, shift: int, axis: int) -> Tensor:
    n = x.shape[axis]
    cut = -shift % n if n else 0
    if not cut:
        return x
    along = (slice(None),) * axis
    return concatenate([x[(*along, slice(cut, None))], x[(*along, slice(cut))]], axis)


@takes_tensors("x")
def repeat(x: Tensor, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """x with each element along `axis` so many times in a row, or each a number of times of its own.

    By default of all elements in row-major order, as one axis. ShapeError unless there are 0 or more for each.
    """
    times = integers("repeat", repeats)
    x, at = (reshape(x, -1), 0) if axis is None else (x, _one_axis("repeat", axis, x.ndim))
    n = x.shape[at]
    if min(times, default=0) < 0 or len(times) not in (1, n):
        raise ShapeError(f"repeat: expected one number or {n}, 0 or more, for axis {axis} of {x.shape}, got {repeats}")
    if len(times) > 1:
        return x[(slice(None),) * at + (np.repeat(np.arange(n), times),)]
    before, after = x.shape[:at], x.shape[at + 1 :]
    apart = reshape(x, (*before, n, 1, *after))
    return reshape(broadcast_to(apart, (*before, n, times[0], *after)), (*before, n * times[0], *after))


@takes_tensors("x")
def tile(x: Tensor, reps: int | Sequence[int]) -> Tensor:
    """x laid side by side, so many times along each axis, the last one for a single number; more numbers make axes."""
    times = integers("tile", reps)
    if min(times, default=0) < 0:
        raise ShapeError(f"tile: expected numbers of 0 or more, got {reps}")
    ndim = max(x.ndim, len(times))
    shape, times = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - len(times)) + times
    apart = reshape(x, tuple(size for n in shape for size in (1, n)))
    laid = broadcast_to(apart, tuple(size for n, t in zip(shape, times, strict=True) for size in (t, n)))
    return reshape(laid, tuple(n * t for n, t in zip(shape, times, strict=True)))


@takes_tensors("x")
def tril(x: Tensor, k: int = 0) -> Tensor:
    """Matrices (..., M, N) with 0 above their k-th diagonal: k = 0 is the main one, 1 the one above."""
    return _triangle("tril", x, k, lower=True)


@takes_tensors("x")
def triu(x: Tensor, k: int = 0) -> Tensor:
    """Matrices (..., M, N) with 0 below their k-th diagonal: k = 0 is the main one, 1 the one above."""
    return _triangle("triu", x, k, lower=False)


def _triangle(name: str, x: Tensor, k: int, lower: bool) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected matrices (..., M, N), got {x.shape}")
    (diagonal,) = integers(name, k)
    inside = Tensor(made(_kept, x.data, diagonal, lower))
    return where(inside, x, Tensor(made(xp(x.data).zeros, (), x.dtype)))


def _kept(x: Array, k: int, lower: bool) -> Array:
    """bool (M, N): on the k-th diagonal, and on one side of it."""
    lib, (m, n) = xp(x), x.shape[-2:]
    offset = lib.arange(n)[None] - lib.arange(m)[:, None]
    return offset <= k if lower else offset >= k
