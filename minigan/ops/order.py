"""By order: positions of extremes, sorting, the largest few, the median; and what stands at given positions."""

import math
from typing import Any, NamedTuple

from ..backend import Array, integers, xp
from ..errors import DTypeError, ShapeError, brief
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..tensor import Axis, Tensor
from .elementwise import add, isnan, where
from .shape import _one_axis, broadcast_to, expand_dims, flip, normalize_axes, reshape, transpose


class Sorted(NamedTuple):
    """Values, and where they stood along the axis that was sorted: int64, of the same shape."""

    values: Tensor
    indices: Tensor


@op(name="argmax", formula="where x is largest along an axis", flops=lambda y, x, *_: x.size)
def _argmax(x: Array, axis: int) -> Array:
    return x.argmax(axis=axis)


@op(name="argmin", formula="where x is smallest along an axis", flops=lambda y, x, *_: x.size)
def _argmin(x: Array, axis: int) -> Array:
    return x.argmin(axis=axis)


def _position(name: str, of: Any, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    at = 0 if axis is None else _one_axis(name, axis, x.ndim)
    flat = reshape(x, -1) if axis is None else x
    if not flat.shape[at]:
        raise ShapeError(f"{name}: expected at least one element along axis {axis} of {x.shape}")
    y = of(flat, at)
    if not keepdims:
        return y
    return reshape(y, (1,) * x.ndim) if axis is None else expand_dims(y, at)


@takes_tensors("x")
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where x is largest along `axis`, int64: the first place of several, or of a NaN.

    By default among all elements in row-major order. ShapeError if there is none.
    """
    return _position("argmax", _argmax, x, axis, keepdims)


@takes_tensors("x")
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where x is smallest along `axis`, int64: the first place of several, or of a NaN.

    By default among all elements in row-major order. ShapeError if there is none.
    """
    return _position("argmin", _argmin, x, axis, keepdims)


@op(name="argsort", formula="places of x by rising value", flops=lambda y, x, *_: 10.0 * x.size)
def _argsort(x: Array, axis: int) -> Array:
    return xp(x).argsort(x, axis=axis, kind="stable")


@takes_tensors("x")
def argsort(x: Tensor, axis: int = -1, descending: bool = False) -> Tensor:
    """Places along `axis` by rising, or falling, value, int64: equal elements keep their order, NaN is the largest."""
    at = _one_axis("argsort", axis, x.ndim)
    if not descending:
        return _argsort(x, at)
    return x.shape[at] - 1 - flip(_argsort(flip(x, at), at), at)


@takes_tensors("x")
def sort(x: Tensor, axis: int = -1, descending: bool = False) -> Tensor:
    """x with its elements by rising, or falling, value along `axis`, each with its gradient."""
    return _take_along(x, argsort(x, axis, descending), _one_axis("sort", axis, x.ndim))


@takes_tensors("x")
def topk(x: Tensor, k: int, axis: int = -1, largest: bool = True) -> Sorted:
    """The k largest, or smallest, elements along `axis`, the most extreme first: (values, indices).

    ShapeError unless there are so many.
    """
    at, (count,) = _one_axis("topk", axis, x.ndim), integers("topk", k)
    if not 0 <= count <= x.shape[at]:
        raise ShapeError(f"topk: expected 0 to {x.shape[at]} elements of axis {axis} of {x.shape}, got {count}")
    indices = argsort(x, at, descending=largest)[(slice(None),) * at + (slice(count),)]
    return Sorted(_take_along(x, indices, at), indices)


@takes_tensors("x")
def median(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The element in the middle over `axis` (all axes by default), the mean of the two there if their number is even.

    NaN where one is NaN, as in NumPy. ShapeError for no elements.
    """
    axes = normalize_axes("median", axis, x.ndim)
    kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    count = math.prod(x.shape[a] for a in axes)
    if not count:
        raise ShapeError(f"median: expected at least one element over axis {axis} of {x.shape}")
    rows = reshape(transpose(x, (*(i for i in range(x.ndim) if i not in axes), *axes)), (*kept, count))
    rising = sort(rows)
    half, last = count // 2, rising[..., -1]
    middle = rising[..., half] if count % 2 else (rising[..., half - 1] + rising[..., half]) * 0.5
    found = where(isnan(last), last, middle) if x.dtype.kind == "f" else middle
    return reshape(found, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else found


# --- at given positions along an axis, and the adjoint, which adds into zeros --------------------------------------


@op(
    lambda g, _y, _x, indices, axis: _put_along(g, indices, axis, _x.shape),
    None,
    name="take_along_axis",
    formula="x at places along an axis",
    flops=lambda y, *_: 0.0,
)
def _take_along(x: Array, indices: Array, axis: int) -> Array:
    return xp(x).take_along_axis(x, indices, axis)


@op(
    lambda h, _y, _g, indices, axis, _shape: _take_along(h, indices, axis),
    None,
    name="take_along_axis_adjoint",
    formula="zeros; g added at places along an axis",
    flops=lambda y, g, *_: g.size,
)
def _put_along(g: Array, indices: Array, axis: int, shape: tuple[int, ...]) -> Array:
    lib = xp(g)
    y = lib.zeros(shape, dtype=g.dtype)
    lib.add.at(y, tuple(indices if a == axis else _counted(lib, n, a, g.ndim) for a, n in enumerate(g.shape)), g)
    return y


def _counted(lib: Any, n: int, axis: int, ndim: int) -> Array:
    """0 to n - 1 along an axis of ndim."""
    return lib.arange(n).reshape([n if a == axis else 1 for a in range(ndim)])


@takes_tensors("x", "indices")
def take_along_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """x at `indices` along `axis`, integers from -n to n - 1; their other axes broadcast (numpy.take_along_axis).

    y[i, j] = x[indices[i, j], j] for axis 0 of two: what PyTorch calls gather. ShapeError if shapes or places do not
    fit, DTypeError for indices that are no integers.
    """
    at = _one_axis("take_along_axis", axis, x.ndim)
    places = _places("take_along_axis", indices, x, at)
    others = _others("take_along_axis", at, x.shape, places.shape)
    values = broadcast_to(x, (*others[:at], x.shape[at], *others[at + 1 :]))
    return _take_along(values, broadcast_to(places, (*others[:at], places.shape[at], *others[at + 1 :])), at)


@takes_tensors("x", "indices", "values", numbers=("values",))
def scatter_add(x: Tensor, indices: Tensor, values: Tensor | float, axis: int) -> Tensor:
    """x with `values` added at `indices` along `axis`, as often as a place is named; the others broadcast.

    y[indices[i, j], j] += values[i, j] for axis 0 of two, y being x at first. ShapeError if shapes or places do not
    fit, DTypeError for indices that are no integers.
    """
    at = _one_axis("scatter_add", axis, x.ndim)
    places = _places("scatter_add", indices, x, at)
    others = _others("scatter_add", at, x.shape, places.shape)
    if others != (*x.shape[:at], 1, *x.shape[at + 1 :]):
        raise ShapeError(f"scatter_add: indices {places.shape} do not fit into {x.shape} along axis {axis}")
    whole = (*others[:at], places.shape[at], *others[at + 1 :])
    added = values if isinstance(values, Tensor) else Tensor(made(xp(x.data).full, (), values, x.dtype))
    try:
        added = broadcast_to(added, whole)
    except ShapeError as error:
        raise ShapeError(f"scatter_add: values {added.shape} do not fit indices {places.shape} in {x.shape}") from error
    return add(x, _put_along(added, broadcast_to(places, whole), at, x.shape))


def _places(name: str, indices: Tensor, x: Tensor, axis: int) -> Tensor:
    """`indices` on the device of x; an error for what cannot be places along that axis of it.

    On a GPU they are not looked at, as everything would wait for that.
    """
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"{name}: expected integers as indices, got {indices.dtype} of shape {indices.shape}")
    if indices.ndim != x.ndim:
        raise ShapeError(f"{name}: expected indices of {x.ndim} axes for {x.shape}, got {indices.shape}")
    if indices.device == "cpu" and indices.size:
        made(_check_places, indices.data, name, x.shape[axis])
    return indices if indices.device == x.device else indices.to(x.device)


def _check_places(indices: Array, name: str, n: int) -> Array:
    low, high = int(indices.min()), int(indices.max())
    if low < -n or high >= n:
        raise ShapeError(f"{name}: expected places from {-n} to {n - 1}, got {brief(low if low < -n else high)}")
    return indices


def _others(name: str, axis: int, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shapes broadcast together, with 1 for that axis; ShapeError if they cannot be."""
    sizes = [sorted({shape[a] for shape in shapes} - {1}) for a in range(len(shapes[0]))]
    if any(len(found) > 1 for a, found in enumerate(sizes) if a != axis):
        raise ShapeError(f"{name}: shapes {' and '.join(map(str, shapes))} do not fit but for axis {axis}")
    return tuple(1 if a == axis or not found else found[0] for a, found in enumerate(sizes))
