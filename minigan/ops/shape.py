"""Where elements sit: reshape, transpose, broadcast, join, cut, index. Each family is closed under its rules.

A 4-D result is an image batch (N, C, H, W): reshape returns it channels-last in memory, as the convolutions want it.
"""

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import backend
from ..backend import Array, integers, xp
from ..errors import DeviceError, DTypeError, ShapeError, brief, described
from ..kernels import kernels
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..tensor import Axis, Tensor, as_tensor

Shape = tuple[int, ...]


def _free(y: Array, *_: Any) -> float:
    return 0.0


def normalize_axes(name: str, axis: Axis, ndim: int) -> Shape:
    """`axis` as a sorted tuple of non-negative axes; ShapeError if it names none of `ndim` or one twice."""
    if axis is None:
        return tuple(range(ndim))
    axes = sorted([a + ndim if a < 0 else a for a in integers(name, axis)])
    if axes and (axes[0] < 0 or axes[-1] >= ndim or len(set(axes)) < len(axes)):
        raise ShapeError(f"{name}: axis {axis} does not fit a tensor of {ndim} axes")
    return tuple(axes)


@op(lambda g, _y, _x, _shape: reshape(g, _x.shape), name="reshape", formula="x", flops=_free)
def _reshape(x: Array, shape: Shape) -> Array:
    y = kernels(x).reshaped(x, shape)
    return kernels(x).channels_last(y) if len(shape) == 4 else y


@takes_tensors("x")
def reshape(x: Tensor, *shape: int | Sequence[int]) -> Tensor:
    """x with its elements, in row-major order, in another shape; one entry may be -1."""
    sizes = integers("reshape", shape[0] if len(shape) == 1 else shape)
    if -1 in sizes:
        rest = -math.prod(sizes)
        if sizes.count(-1) > 1 or rest == 0 or x.size % rest:
            raise ShapeError(f"reshape: cannot make {sizes} from {x.shape} ({x.size} elements)")
        sizes = tuple(x.size // rest if n == -1 else n for n in sizes)
    if math.prod(sizes) != x.size or any(n < 0 for n in sizes):
        raise ShapeError(f"reshape: cannot make {sizes} from {x.shape} ({x.size} elements)")
    return x if sizes == x.shape else _reshape(x, sizes)


def _inverse(axes: Shape) -> Shape:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@op(lambda g, _y, _x, axes: _transpose(g, _inverse(axes)), name="transpose", formula="x", flops=_free)
def _transpose(x: Array, axes: Shape) -> Array:
    return x.transpose(axes)


@takes_tensors("x")
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes permuted: axis i of the result is axis axes[i] of x; reversed if `axes` is None."""
    given = range(x.ndim)[::-1] if axes is None else integers("transpose", axes)
    order = tuple(a + x.ndim if a < 0 else a for a in given)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: {axes} is not a permutation of the axes of {x.shape}")
    return _transpose(x, order)


@op(lambda g, _y, _x, _shape: g, name="broadcast_to", formula="x", flops=_free)
def _broadcast_to(x: Array, shape: Shape) -> Array:
    return xp(x).broadcast_to(x, shape)


@takes_tensors("x")
def broadcast_to(x: Tensor, shape: int | Sequence[int]) -> Tensor:
    """x repeated to `shape` by NumPy's broadcasting rules, without a copy."""
    sizes = integers("broadcast_to", shape)
    return x if x.shape == sizes else _broadcast_to(x, sizes)


@takes_tensors("x")
def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without the axes of length 1 (all of them, or those named by `axis`)."""
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axes("squeeze", axis, x.ndim)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: axis {axis} of {x.shape} is not of length 1")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@takes_tensors("x")
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """x with new axes of length 1 at the positions `axis` of the result."""
    given = integers("expand_dims", axis)
    ndim = x.ndim + len(given)
    axes = normalize_axes("expand_dims", given, ndim)
    rest = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(rest) for i in range(ndim)))


@op(lambda g, _y, _x, device, origin: _to(g, origin, device), name="to", formula="x", flops=_free)
def _to(x: Array, device: str, origin: str) -> Array:
    return backend.to_device(x, device)


@takes_tensors("x")
def to(x: Tensor, device: str) -> Tensor:
    """x on `device` ("cpu" or "cuda"), x itself if it is there; the gradient comes back to where x is."""
    return x if x.device == backend.check_device(device) else _to(x, device, x.device)


# --- join and cut -----------------------------------------------------------------------------------------


def _one_axis(name: str, axis: int, ndim: int) -> int:
    axes = normalize_axes(name, axis, ndim)
    if len(axes) != 1:
        raise ShapeError(f"{name}: expected one axis, got {brief(axis)}")
    return axes[0]


def _cut_out(i: int, g: Tensor, _y: Any, axis: int, *_xs: Any) -> Tensor:
    """The part of g that came from the i-th argument (axis is the 0th)."""
    start = sum(x.shape[axis] for x in _xs[: i - 1])
    index = (slice(None),) * axis + (slice(start, start + _xs[i - 1].shape[axis]),)
    return g[index]


@op(_cut_out, name="concatenate", formula="[x1, x2, ...]", flops=_free, variadic=True)
def _concatenate(axis: int, *xs: Array) -> Array:
    if xs[0].ndim == 4:
        turned = [x.transpose(0, 2, 3, 1) for x in xs]
        return kernels(*xs).concatenate(turned, (0, 3, 1, 2)[axis]).transpose(0, 3, 1, 2)
    return kernels(*xs).concatenate(xs, axis)


@takes_tensors()
def concatenate(xs: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors `xs` joined along `axis`; their other axes must agree."""
    xs = _several(xs, axis, "concatenate")
    shapes = [x.shape for x in xs]
    if not shapes:
        raise ShapeError("concatenate: expected at least one tensor, got none")
    ndim = len(shapes[0])
    at = _one_axis("concatenate", axis, ndim)
    others = {s[:at] + s[at + 1 :] for s in shapes}
    if any(len(s) != ndim for s in shapes) or len(others) > 1:
        raise ShapeError(f"concatenate: shapes {shapes} cannot be joined along axis {axis}")
    return _concatenate(at, *xs)


def _several(xs: Any, axis: Any, name: str) -> list[Tensor]:
    """`xs` as a list of Tensors."""
    if isinstance(axis, Tensor) or not isinstance(xs, Iterable):
        raise DTypeError(f"{name}: expected a list of Tensors and an axis, {name}([a, b], axis), got {described(xs)}")
    return [as_tensor(x, name) for x in xs]


@takes_tensors()
def stack(xs: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors `xs`, all of one shape, joined along a new axis."""
    xs = _several(xs, axis, "stack")
    if len({x.shape for x in xs}) > 1:
        raise ShapeError(f"stack: expected equal shapes, got {[x.shape for x in xs]}")
    return concatenate([expand_dims(x, axis) for x in xs], axis)


@takes_tensors("x")
def split(x: Tensor, parts: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along `axis` into `parts` equal pieces, or at the given indices (numpy.split)."""
    at = _one_axis("split", axis, x.ndim)
    n = x.shape[at]
    cuts = integers("split", parts)
    if not np.iterable(parts):
        (count,) = cuts
        if count < 1 or n % count:
            raise ShapeError(f"split: cannot cut {n} elements of axis {axis} of {x.shape} into {count} equal parts")
        cuts = tuple(k * (n // count) for k in range(1, count))
    edges = [0, *cuts, n]
    return [x[(slice(None),) * at + (slice(a, b),)] for a, b in itertools.pairwise(edges)]


@op(
    lambda g, _y, _x, pads, _value: g[_inside(_x.shape, pads)],
    name="pad",
    formula="x with a border",
    flops=_free,
)
def _pad(x: Array, pads: tuple[tuple[int, int], ...], value: float) -> Array:
    y = _empty(x, tuple(n + before + after for n, (before, after) in zip(x.shape, pads, strict=True)))
    y[...] = value
    y[_inside(x.shape, pads)] = x
    return y


def _empty(like: Array, shape: Shape) -> Array:
    """An uninitialised array, images channels-last in memory."""
    return kernels(like).empty_image(like, shape) if len(shape) == 4 else xp(like).empty(shape, dtype=like.dtype)


def _inside(shape: Shape, pads: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    """Where x of `shape` lies within its padded self."""
    return tuple(slice(before, before + n) for (before, _), n in zip(pads, shape, strict=True))


def _borders(shape: Shape, pads: tuple[tuple[int, int], ...], mode: str) -> Iterator[tuple[int, slice, slice]]:
    """(axis, border, what it shows) of x of `shape` within its padded self: two borders for each axis that is padded.

    A reflection shows as many pixels in reverse, an edge one.
    """
    for axis, (n, (before, after)) in enumerate(zip(shape, pads, strict=True)):
        first, last = before, before + n - 1
        if mode == "edge":
            shown = slice(first, first + 1), slice(last, last + 1)
        else:
            end = last - 1 - after
            shown = slice(2 * before, before, -1), slice(last - 1, end if end >= 0 else None, -1)
        for border, source, width in ((slice(0, before), shown[0], before), (slice(last + 1, None), shown[1], after)):
            if width:
                yield axis, border, source


@op(
    lambda g, _y, _x, pads, mode: _fold(g, pads, mode),
    name="pad_with_its_own",
    formula="x with a border that shows x",
    flops=_free,
)
def _pad_with_its_own(x: Array, pads: tuple[tuple[int, int], ...], mode: str) -> Array:
    y = _empty(x, tuple(n + before + after for n, (before, after) in zip(x.shape, pads, strict=True)))
    y[_inside(x.shape, pads)] = x
    for axis, border, source in _borders(x.shape, pads, mode):
        along = (slice(None),) * axis
        y[(*along, border)] = y[(*along, source)]
    return y


@op(
    lambda h, _y, _g, pads, mode: _pad_with_its_own(h, pads, mode),
    name="fold",
    formula="g without its border, which is added to what it shows",
    flops=lambda y, g, pads, mode: g.size - y.size,
)
def _fold(g: Array, pads: tuple[tuple[int, int], ...], mode: str) -> Array:
    shape = tuple(n - before - after for n, (before, after) in zip(g.shape, pads, strict=True))
    y = _empty(g, g.shape)
    y[...] = g
    for axis, border, source in reversed(list(_borders(shape, pads, mode))):
        along = (slice(None),) * axis
        shown = y[(*along, border)]
        y[(*along, source)] += shown.sum(axis=axis, keepdims=True) if mode == "edge" else shown
    inside = y[_inside(shape, pads)]
    return kernels(g).channels_last(inside) if g.ndim == 4 else inside


@takes_tensors("x")
def pad(x: Tensor, pad_width: Any, constant_values: float = 0.0, *, mode: str = "constant") -> Tensor:
    """x with a border (numpy.pad): pad_width is n, (before, after), or one such pair per axis.

    `mode` is what the border shows: "constant" `constant_values`, "edge" the outermost elements, "reflect" those within
    them, in reverse and without the outermost. Raises ShapeError where x has too few elements to show: an edge needs
    one, a reflection one more than it is wide.
    """
    try:
        pads = tuple((operator.index(a), operator.index(b)) for a, b in np.broadcast_to(pad_width, (x.ndim, 2)))
    except (TypeError, ValueError):
        pads = ((-1, -1),)
    if any(p < 0 for both in pads for p in both):
        got = brief(pad_width)
        raise ShapeError(f"pad: expected whole widths >= 0, one pair for each axis of {x.shape}, got {got}")
    if isinstance(constant_values, str) or mode not in ("constant", "edge", "reflect"):
        given = f"constant_values={brief(constant_values)}, mode={brief(mode)}"
        raise ShapeError(f'pad: expected a number, and as mode= "constant", "edge" or "reflect", got {given}')
    if mode == "constant":
        return _pad(x, pads, float(constant_values))
    widest = tuple(max(both) for both in pads)
    if any(w and n < (1 if mode == "edge" else w + 1) for n, w in zip(x.shape, widest, strict=True)):
        raise ShapeError(f"pad: mode {mode} has too few elements to show in {x.shape}, got {pads}")
    return _pad_with_its_own(x, pads, mode)


@op(lambda g, _y, _x, axes: _flip(g, axes), name="flip", formula="x reversed", flops=_free)
def _flip(x: Array, axes: Shape) -> Array:
    return xp(x).flip(x, axes)


@takes_tensors("x")
def flip(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """x with its elements in reverse order along `axis` (all axes by default)."""
    return _flip(x, normalize_axes("flip", axis, x.ndim))


# --- index: x[index] and its adjoint, which adds into zeros -------------------------------------------------


class Index(NamedTuple):
    """An index as NumPy has it, its arrays on the device of the tensor it is for."""

    key: tuple
    advanced: bool  # arrays may name an element twice

    def __repr__(self) -> str:
        return f"Index{self.key}"


@op(lambda g, _y, _x, index: _put(g, index, _x.shape), name="getitem", formula="x[index]", flops=_free)
def _getitem(x: Array, index: Index) -> Array:
    return x[index.key]


@op(
    lambda h, _y, _g, index, _shape: _getitem(h, index),
    name="getitem_adjoint",
    formula="zeros; zeros[index] += g",
    flops=lambda y, g, *_: g.size,
)
def _put(g: Array, index: Index, shape: Shape) -> Array:
    lib = xp(g)
    x = kernels(g).zero_image(g, shape) if len(shape) == 4 else lib.zeros(shape, dtype=g.dtype)
    if index.advanced:
        lib.add.at(x, index.key, g)
    else:
        x[index.key] = g
    return x


@takes_tensors("x")
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] for integers, slices, None, Ellipsis, boolean and integer arrays or Tensors, as NumPy has it.

    An element that integer arrays name twice receives the sum of both gradients.
    """
    entries = index if isinstance(index, tuple) else (index,)
    key = tuple(_index_entry(entry, x) for entry in entries)
    advanced = any(hasattr(entry, "dtype") for entry in key)
    try:
        return _getitem(x, Index(key, advanced))
    except IndexError as error:
        raise ShapeError(f"getitem: {error} (index {brief(index)} into {x.shape})") from error


def _index_entry(entry: Any, x: Tensor) -> Any:
    if isinstance(entry, np.generic):
        entry = entry.item()
    if entry is None or entry is Ellipsis or (isinstance(entry, int | slice) and not isinstance(entry, bool)):
        return entry
    if isinstance(entry, Tensor):
        entry = entry.data
    elif not backend.is_cuda(entry):
        entry = _as_index(entry)
    if entry.dtype.kind not in "biu":
        raise DTypeError(f"getitem: expected integers or booleans as indices, got {entry.dtype}")
    if not entry.dtype.isnative:
        entry = entry.astype(entry.dtype.type)
    if backend.device_of(entry) != x.device:
        if x.device == "cpu":
            raise DeviceError("getitem: the index is on cuda, the tensor on cpu; move one with .to(device)")
        return backend.to_device(entry, x.device)
    return made(xp(entry).array, entry)  # a gradient may read it after its owner has changed it


def _as_index(entry: Any) -> np.ndarray:
    """A list or an array as an array; a list of nothing has no type of its own and picks nothing."""
    try:
        array = np.asarray(entry)
    except ValueError as error:
        raise ShapeError(f"getitem: {error}") from error
    return array if array.size or isinstance(entry, np.ndarray) else array.astype(np.intp)
