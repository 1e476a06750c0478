"""Counterparts of what moves elements: reshape, transpose, broadcast, join, cut, index."""

from typing import Any

import numpy as np

from ...ops.order import _check_places
from ...ops.shape import Index
from ..blueprint import NotDescribed
from .graph import INT64, Graph, Operand, Undetermined, Varying, Vector
from .table import counterpart

TO_THE_END = np.iinfo("int64").max


@counterpart("reshape", varying=True)
def _reshape(g: Graph, y: Operand, x: Operand, *_: Any) -> str:
    """To sizes that are constants, those of x at the same place (0), or what is left (-1); else they are computed."""
    sizes = y.sizes
    kept = [axis < x.ndim and x.sizes[axis] == size for axis, size in enumerate(sizes)]
    unknown = [a for a, size in enumerate(sizes) if len(set(size)) > 1 and not kept[a]]
    if len(unknown) > 1:
        return g.add("Reshape", x.name, _computed(g, sizes))
    target = [-1 if a in unknown else 0 if kept[a] and not y.fixed(a) else size[0] for a, size in enumerate(sizes)]
    return g.add("Reshape", x.name, g.constant(target, INT64))


def _computed(g: Graph, sizes: list[Vector]) -> str:
    """The sizes as far as they can be computed, and -1 for the one that cannot."""
    found, left = [], 0
    for size in sizes:
        try:
            found.append(g.size(size))
        except Undetermined:
            left += 1
            if left > 1:
                raise
            found.append(g.constant([-1], INT64))
    return g.add("Concat", *found, axis=0)


@counterpart("transpose")
def _transpose(g: Graph, _y: Operand, x: Operand, axes: tuple[int, ...]) -> str:
    return g.add("Transpose", x.name, perm=list(axes))


@counterpart("broadcast_to", varying=True)
def _broadcast_to(g: Graph, y: Operand, x: Operand, *_: Any) -> str:
    """Expand has 1 where x is as long already."""
    own: list[Vector] = [(1,) * len(y.shapes)] * (y.ndim - x.ndim) + x.sizes
    ones = (1,) * len(y.shapes)
    return g.add("Expand", x.name, g.shape([ones if a == b else a for a, b in zip(y.sizes, own, strict=True)]))


@counterpart("concatenate")
def _concatenate(g: Graph, y: Operand, axis: int, *xs: Operand) -> str:
    return g.add("Concat", *(g.cast(x, y.dtype) for x in xs), axis=axis)


@counterpart("pad")
def _pad(g: Graph, y: Operand, x: Operand, pads: tuple[tuple[int, int], ...], value: float) -> str:
    return g.add("Pad", x.name, _widths(g, pads), g.constant(value, y.dtype), mode="constant")


@counterpart("pad_with_its_own")
def _pad_with_its_own(g: Graph, _y: Operand, x: Operand, pads: tuple[tuple[int, int], ...], mode: str) -> str:
    return g.add("Pad", x.name, _widths(g, pads), mode=mode)


def _widths(g: Graph, pads: tuple[tuple[int, int], ...]) -> str:
    return g.constant([before for before, _ in pads] + [after for _, after in pads], INT64)


@counterpart("flip")
def _flip(g: Graph, _y: Operand, x: Operand, axes: tuple[int, ...]) -> str:
    backwards = [-1] * len(axes)
    bounds = (backwards, [-TO_THE_END] * len(axes), list(axes), backwards)
    return g.add("Slice", x.name, *(g.constant(numbers, INT64) for numbers in bounds))


# --- index ----------------------------------------------------------------------------------------------------------


@counterpart("getitem", varying=True)
def _getitem(g: Graph, y: Operand, x: Operand, index: Index) -> str:
    """Slices, then what arrays or numbers pick, then new axes."""
    entries = _entries(g, index, x.ndim)
    found, axis = _sliced(g, x, entries), 0
    picking = [k for k, entry in enumerate(entries) if isinstance(entry, Operand)]
    if len(picking) > 1 or (picking and any(isinstance(entry, int) for entry in entries)):
        raise NotDescribed(f"{g.place}: an index with arrays or numbers beside an array has no counterpart in ONNX")
    added, place = [], 0
    for entry in entries:
        if entry is None:
            added.append(place)
            place += 1
        elif isinstance(entry, Operand):
            found = g.add("Gather", found, g.cast(entry, INT64), axis=axis)
            axis, place = axis + entry.ndim, place + entry.ndim
        elif isinstance(entry, int):
            found = g.add("Gather", found, g.constant(entry, INT64), axis=axis)
        else:
            axis, place = axis + 1, place + 1
    found = g.add("Unsqueeze", found, g.constant(added, INT64)) if added else found
    return g.add("Identity", found) if found == x.name else found


def _entries(g: Graph, index: Index, ndim: int) -> list[Any]:
    """An entry for each axis, and None for each new one; NotDescribed for what picks by booleans."""
    key = list(index.key)
    if any(isinstance(entry, Operand) and entry.dtype.kind == "b" for entry in key):
        raise NotDescribed(f"{g.place}: an index of booleans has no counterpart in ONNX")
    at = next((k for k, entry in enumerate(key) if entry is Ellipsis), len(key))
    missing = ndim - sum(entry is not None and entry is not Ellipsis for entry in key)
    return key[:at] + [slice(None)] * missing + key[at + 1 :]


def _sliced(g: Graph, x: Operand, entries: list[Any]) -> str:
    """x cut where an entry is a slice that leaves something out."""
    bounds: list[tuple[Vector, Vector, Vector, Vector]] = []
    axes = (entry for entry in entries if entry is not None)
    for axis, entry in enumerate(axes):
        slices = entry.values if isinstance(entry, Varying) else (entry,) * len(x.shapes)
        if not all(isinstance(each, slice) for each in slices) or entry == slice(None):
            continue
        steps = tuple(each.step or 1 for each in slices)
        starts = tuple((0 if s > 0 else -1) if e.start is None else e.start for e, s in zip(slices, steps, strict=True))
        ends = tuple(
            (TO_THE_END if s > 0 else -TO_THE_END) if e.stop is None else e.stop
            for e, s in zip(slices, steps, strict=True)
        )
        bounds.append((starts, ends, (axis,) * len(steps), steps))
    if not bounds:
        return x.name
    return g.add("Slice", x.name, *(g.shape(vectors) for vectors in zip(*bounds, strict=True)))


@counterpart(_check_places)
def _places(g: Graph, _y: Operand, indices: Operand, *_: Any) -> str:
    return g.cast(indices, INT64)


@counterpart("take_along_axis")
def _take_along(g: Graph, _y: Operand, x: Operand, indices: Operand, axis: int) -> str:
    return g.add("GatherElements", x.name, g.cast(indices, INT64), axis=axis)
