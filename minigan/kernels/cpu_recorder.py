"""What a step does to arrays on a CPU, noted call by call, in terms that hold no array of its own alive.

An array is known by its memory: it lies in what a noted call made, or in memory that was there before. So views are
told from copies, and two recordings of the same step can be compared.
"""

import gc
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import calls, memory


class Layout(NamedTuple):
    """How an array lies in its memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, array: np.ndarray) -> "Layout":
        """The layout of this array."""
        return cls(array.shape, array.strides, array.dtype)


class Made(NamedTuple):
    """An array in the memory of what the step made: the number of that value, and where in it."""

    value: int
    offset: int
    layout: Layout


@dataclass(frozen=True, eq=False)
class Given:
    """An array that was there before: what owns its memory, where in memory it lies, and the array."""

    owner: Any
    address: int
    layout: Layout
    array: np.ndarray

    def is_(self, other: Any) -> bool:
        """Is that the same memory, seen in the same way?"""
        same = isinstance(other, Given) and self.owner is other.owner
        return same and (self.address, self.layout) == (other.address, other.layout)


class Fixed(NamedTuple):
    """An array that nobody can change, or a number: what it holds is what it is."""

    content: Any


class Value:
    """Memory that a noted call made: where and how large it is, which call made it and which used it last."""

    def __init__(self, address: int, size: int, call: int, alive: Callable[[], Any]) -> None:
        self.address = address
        self.size = size
        self.made_by = call
        self.last = call
        self.alive = alive  # gives the owner, None once it is gone
        self.changed = False  # in place, by a later call


_MAKERS = {"empty_image", "zero_image"}  # kernels that make memory and nothing of the arrays they are given


class _New(NamedTuple):
    """An array that a call asked `memory` for, without holding it alive."""

    owner: Callable[[], Any]
    address: int
    size: int
    layout: Layout


class _Asked:
    """Makes the arrays that a call asks `memory` for, and notes them."""

    def __init__(self) -> None:
        self.arrays: list[_New] = []
        self.kernels: list[tuple[Callable[..., Any], tuple, dict[str, Any], Any]] = []  # and the results

    def __call__(self, shape: Any, dtype: np.dtype) -> np.ndarray:
        array = memory.fresh(shape, dtype)
        self.arrays.append(_New(weakref.ref(owner(array)), address_of(array), array.nbytes, Layout.of(array)))
        return array

    def door(self, module: ModuleType) -> Any:
        """The kernels of a module, whose calls are noted."""
        return calls.Noted(self._kernel, module)

    def _kernel(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        calls.step.door = None
        try:
            result = function(*args, **options)
        finally:
            calls.step.door = self.door
        if function.__name__ not in _MAKERS:  # what they make is filled by the call that asked for it
            self.kernels.append((function, args, options, result))
        return result

    def kernel_of(self, result: Any, function: Any, args: tuple, places: tuple) -> tuple[Any, tuple, tuple]:
        """(function, args, places), or those of the one kernel that made the result of the same arrays."""
        if len(self.kernels) != 1 or self.kernels[0][3] is not result or self.kernels[0][2]:
            return function, args, places
        kernel, given, _, _ = self.kernels[0]
        known = {id(a): place for a, place in zip(args, places, strict=True) if isinstance(a, np.ndarray)}
        if any(_holds_arrays(a) or (isinstance(a, np.ndarray) and id(a) not in known) for a in given):
            return function, args, places
        return kernel, given, tuple(known.get(id(a), Fixed(a)) for a in given)

    def find(self, holder: Any) -> tuple[int, _New | None]:
        """(the number of the array that lies in this owner's memory, that array); -1 and None if none does."""
        return next(((k, new) for k, new in enumerate(self.arrays) if new.owner() is holder), (-1, None))


class Call(NamedTuple):
    """One noted call; `served` says which of the arrays that it asked `memory` for holds its result, -1 if none."""

    name: str  # of the op or the change, for messages
    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    makes: bool
    result: Made | None  # None if it made nothing new: it changed its arguments, or gave a view of one
    served: int
    asked: Layout | None  # the layout of that array


class Recorder:
    """Notes the calls of one step, while it is done."""

    def __init__(self, known: "Recorder | None" = None) -> None:
        """With `known`, an earlier recording of the step, see to it that nothing changes arrays but what is noted."""
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.results: list[Any] = []  # the places of the arrays that the step returned, and what else it did
        self.holders: dict[int, tuple[Any, np.ndarray]] = {}  # of arrays that were there before
        self.refused = ""
        self._values: dict[int, int] = {}  # the number of the value that the owner of that id holds
        self._sums: dict[int, tuple[np.ndarray, int]] = {}  # by the id of an owner
        if known is not None:
            for place in known.given():
                self._sums[id(place.owner)] = place.array, _sum(place.owner, place.array)

    def listen(self) -> None:
        """Be told of what this thread does, from now on."""
        calls.step.recorder, calls.step.door = self, partial(calls.Noted, calls.done)

    def refuse(self, why: str) -> None:
        """Note why the step cannot be replayed; the first reason counts."""
        self.refused = self.refused or why

    def call(self, function: Callable[..., Any], args: tuple, options: dict[str, Any], makes: bool) -> Any:
        """function(*args, **options), noted."""
        number = len(self.calls)
        noted_args = tuple(self.describe(a, number, makes, function) for a in args)
        noted_options = {name: self.describe(a, number, makes, function) for name, a in options.items()}
        asked = _Asked()
        calls.step.recorder, calls.step.door, memory.supply.make = None, asked.door if makes else None, asked
        try:
            result = function(*args, **options)
        finally:
            self.listen()
            memory.supply.make = None
        name = name_of(function)
        function, args, noted_args = asked.kernel_of(result, function, args, noted_args)
        if isinstance(result, np.generic):
            result = np.asarray(result)
        place, served = None, -1
        if isinstance(result, np.ndarray) and not self._lies_in_arguments(result, (noted_args, noted_options)):
            holder = owner(result)
            served, whole = asked.find(holder)
            low, high = np.lib.array_utils.byte_bounds(result)
            if whole is not None:
                low, high = whole.address, whole.address + whole.size
            self.values.append(Value(low, high - low, number, weakref.ref(holder)))
            self._values[id(holder)] = len(self.values) - 1
            place = self._made(result, len(self.values) - 1)
        elif result is not None and not isinstance(result, np.ndarray):
            self.refuse(f"{name_of(function)} gives {type(result).__name__}, no array")
        if not makes:
            self._sum_again((noted_args, noted_options))
        layout = asked.arrays[served].layout if served >= 0 else None
        self.calls.append(Call(name, function, noted_args, noted_options, makes, place, served, layout))
        return result

    def reads(self, holder: Any, array: np.ndarray) -> None:
        """Note who holds an array that was there before: a replay fits as long as `holder.data` is that."""
        if not self._is_made(owner(array)):
            self.holders[id(holder)] = holder, array

    def describe(self, x: Any, call: int, makes: bool = True, function: Any = None) -> Any:
        """x with each array as its place; it is used by the call of that number."""
        if isinstance(x, np.ndarray):
            return self._place(x, call, makes, function)
        if isinstance(x, tuple | list):
            parts = [self.describe(part, call, makes, function) for part in x]
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        if isinstance(x, dict):
            return {key: self.describe(part, call, makes, function) for key, part in x.items()}
        return Fixed(x)

    def _place(self, array: np.ndarray, call: int, makes: bool, function: Any) -> Any:
        holder = owner(array)
        if self._is_made(holder):
            number = self._values[id(holder)]
            value = self.values[number]
            value.last = call
            value.changed |= not makes
            return self._made(array, number)
        if isinstance(holder, bytes):
            return Fixed(array)
        if id(holder) in self._sums and self._sums[id(holder)][1] != _sum(holder, array):
            found = f"an array {array.shape} {array.dtype} that {name_of(function)} reads"
            self.refuse(f"{found} is changed by the step in a way that is not recorded")
        return Given(holder, address_of(array), Layout.of(array), array)

    def _made(self, array: np.ndarray, number: int) -> Made:
        return Made(number, address_of(array) - self.values[number].address, Layout.of(array))

    def _lies_in_arguments(self, result: np.ndarray, places: Any) -> bool:
        holder = owner(result)
        given = (place.owner for place in leaves(places) if isinstance(place, Given))
        return self._is_made(holder) or any(holder is other for other in given)

    def _is_made(self, holder: Any) -> bool:
        number = self._values.get(id(holder), -1)
        return number >= 0 and self.values[number].alive() is holder

    def _sum_again(self, places: Any) -> None:
        for place in leaves(places):
            if isinstance(place, Given) and id(place.owner) in self._sums:
                self._sums[id(place.owner)] = place.array, _sum(place.owner, place.array)

    def given(self) -> list[Given]:
        """The arrays that were there before."""
        return [place for call in self.calls for place in leaves((call.args, call.options)) if isinstance(place, Given)]

    def end(self, tree: Any, arrays: list[np.ndarray]) -> None:
        """Note what the step returned; refuse what was changed and not noted."""
        self.results = [*(self.describe(array, len(self.calls)) for array in arrays), Fixed(tree)]
        for array, found in self._sums.values():
            if _sum(owner(array), array) != found:
                self.refuse(f"an array {array.shape} {array.dtype} is changed in a way that is not recorded")

    def kept(self) -> str:
        """What somebody keeps of what the step made, though it was not returned; "" if nothing is."""
        returned = {place.value for place in self.results if isinstance(place, Made)}
        for collected in (False, True):
            if collected:
                gc.collect()
            alive = [v for k, v in enumerate(self.values) if k not in returned and v.alive() is not None]
            if not alive:
                return ""
        made_by = self.calls[alive[0].made_by]
        return f"what {made_by.name} made is kept after the step, and a replay makes none"


def leaves(tree: Any) -> list[Any]:
    """The places and other leaves of a tree that `describe` made."""
    if isinstance(tree, Made | Given | Fixed):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    return [leaf for part in tree for leaf in leaves(part)]


def _holds_arrays(x: Any) -> bool:
    return isinstance(x, list | tuple) and any(isinstance(part, np.ndarray) for part in x)


def owner(array: Any) -> Any:
    """What holds the memory of an array: an array, or what NumPy was given."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def address_of(array: np.ndarray) -> int:
    """Where its first element lies."""
    return array.__array_interface__["data"][0]


def _sum(holder: Any, array: np.ndarray) -> int:
    """A check sum of all the memory that `holder` owns, or, if that is no array, of this array in it."""
    whole = np.asarray(holder) if hasattr(holder, "__array_interface__") else array
    flat = np.ascontiguousarray(whole.T if whole.flags.f_contiguous else whole).reshape(-1)
    return zlib.crc32(flat.view(np.uint8).data)


def name_of(function: Any) -> str:
    """What a function of arrays is called in messages."""
    return getattr(function, "__name__", "a call").strip("_")
