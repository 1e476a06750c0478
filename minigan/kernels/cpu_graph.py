"""A step on a CPU that is replayed: what it does to arrays, recorded twice, and from then on done again by itself.

It has the methods of `cuda_graph.Graph`. Nothing but the recorded calls is done in a replay, one after the other, in
memory that is planned: each result lies in a fixed place of one arena, which the next result is given when the
last call that reads it is over. All graphs that a thread has made share an arena, as only one of them is replayed at a
time; those of another thread do not wait for them, and may be what they wait for (`processes.Threads`).
"""

import contextlib
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import backend
from ..errors import brief
from . import calls, memory
from .cpu_recorder import Call, Fixed, Given, Made, Recorder, leaves, name_of
from .prebound import prebound, tell_threads, traced

_LINE = 64  # bytes, to which places in the arena are aligned
_SMALL = 1 << 16  # bytes of a constant up to which it is kept, instead of being made anew at each replay


class Graph:
    """work() as a graph; `result` is what it returned, (anything, arrays), in arrays that launches fill.

    The first two launches execute and record it: it can be replayed if it did the same to the same arrays. Else
    `refused` says what it did that a replay could not do.
    """

    graph: Any = None  # what is replayed, None while there is nothing

    def __init__(self, work: Callable[[], tuple[Any, list[np.ndarray]]]) -> None:
        self._work = work
        self._recording: Recorder | None = None
        self.refused = ""
        self.result: tuple[Any, list[np.ndarray]]

    def fits(self) -> bool:
        """True if the arrays that it reads are still those that their owners hold."""
        return self.graph is None or all(holder.data is array for holder, array in self.graph.holders)

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """A block around a launch; its results lie in memory of its own, so that no other graph has to wait."""
        return contextlib.nullcontext()

    def launch(self) -> None:
        """Do it once more."""
        if self.graph is not None:
            self.graph.run()
            self.result = self.result[0], self.graph.results
        else:
            self._record()

    def _record(self) -> None:
        recorder = Recorder(self._recording)
        with backend.capturing(recorder.refuse):
            recorder.listen()
            try:
                self.result = self._work()
            finally:
                calls.step.recorder = calls.step.door = None
        recorder.end(*self.result)
        self.refused = recorder.refused
        if self._recording is None:
            self._recording = recorder
        elif not self.refused:
            self.refused = difference(self._recording, recorder) or recorder.kept()
            if not self.refused:
                self.graph = _Replay(recorder)
        if self.refused or self.graph is not None:
            self._recording = None


# --- two recordings: are they of the same step? -----------------------------------------------------------------


def difference(first: Recorder, second: Recorder) -> str:
    """What the second did that the first did not, "" if they are the same."""
    for a, b in zip(first.calls, second.calls, strict=False):
        if a.function != b.function or a.options.keys() != b.options.keys():
            return f"it called {a.name} at first, and {b.name} in the next call"
        if why := _unlike((a.args, a.options), (b.args, b.options)):
            return f"{a.name} reads {why}"
        if (a.result, a.makes) != (b.result, b.makes):
            return f"{a.name} gives another array in the next call"
    if len(first.calls) != len(second.calls):
        return f"it did {len(first.calls)} calls at first, and {len(second.calls)} in the next call"
    why = _unlike(first.results, second.results)
    return f"it returns {why}" if why else ""


def _unlike(a: Any, b: Any) -> str:
    """What differs between two trees of places, "" if nothing does."""
    ours, theirs = leaves(a), leaves(b)
    if len(ours) != len(theirs):
        return "another number of arguments in the next call"
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(one, Fixed) and isinstance(other, Fixed):
            if not _same(one.content, other.content):
                return f"{brief(one.content)} at first, and {brief(other.content)} in the next call"
        elif not (one.is_(other) if isinstance(one, Given) else type(one) is type(other) and one == other):
            place = next((p for p in (one, other) if isinstance(p, Given)), other)
            layout = place.layout if isinstance(place, Given | Made) else None
            told = f"an array {layout.shape} {layout.dtype}" if layout else "something"
            return f"{told} that is another one at each call, made by what is not recorded"
    return ""


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and (a is b or a == b or (a != a and b != b))


# --- where results lie --------------------------------------------------------------------------------------------


def planned(sizes: list[int], lives: list[tuple[int, int]]) -> tuple[list[int], int]:
    """(where each of several results lies, how large the arena is): two that live at once do not overlap.

    `lives` are the calls from which and to which each is needed. The largest are placed first, each in the tightest gap
    between those already placed that it would meet.
    """
    places = [0] * len(sizes)
    placed: list[int] = []  # by their places
    end = 0
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        size, (born, dies) = -(-sizes[i] // _LINE) * _LINE, lives[i]
        best, room, free = -1, 0, 0
        for j in placed:
            if lives[j][1] < born or dies < lives[j][0]:
                continue
            gap = places[j] - free
            if gap >= size and (best < 0 or gap < room):
                best, room = free, gap
            free = max(free, places[j] + -(-sizes[j] // _LINE) * _LINE)
        places[i] = free if best < 0 else best
        end = max(end, places[i] + size)
        placed.append(i)
        placed.sort(key=places.__getitem__)
    return places, end


class _Arena:
    """The memory that replays share: as large as the largest asks for, and there as long as one of them is."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held: Callable[[], np.ndarray | None] = lambda: None
        self._users: weakref.WeakSet[_Replay] = weakref.WeakSet()

    def of(self, size: int, user: "_Replay") -> np.ndarray:
        """At least so many bytes: the same array as long as it is large enough; then all users let go of it first."""
        held = self._held()
        if held is None or held.size < size:
            held = None
            for other in self._users:
                other.unbind()
            memory.empty_cache()  # what the recorded calls have lain in
            held = memory.empty(size + _LINE, "uint8")
            held = held[-held.ctypes.data % _LINE :][:size]
            self._held = weakref.ref(held)
        self._users.add(user)
        return held


_arenas: dict[int, _Arena] = {}  # by the thread whose graphs they are of
memory.after_fork(_arenas.clear)  # another thread of the parent may have been replaying


class _Replay:
    """Recorded calls, bound to fixed places."""

    def __init__(self, recorder: Recorder) -> None:
        self._calls = recorder.calls
        self.holders = list(recorder.holders.values())
        self._sizes = [value.size for value in recorder.values]
        self._own: dict[int, np.ndarray] = {}  # memory of results that last beyond the replay, by the number of a value
        for place in leaves(recorder.results):
            if isinstance(place, Made):
                self._own[place.value] = np.empty(self._sizes[place.value], "uint8")
        changed = {number for number, value in enumerate(recorder.values) if value.changed}
        self._constant = _constants(self._calls, changed, self._sizes) - self._own.keys()
        for number in self._constant:
            self._own[number] = np.empty(self._sizes[number], "uint8")
        inside = [number for number in range(len(recorder.values)) if number not in self._own]
        lives = [(recorder.values[number].made_by, recorder.values[number].last) for number in inside]
        places, self._size = planned([self._sizes[number] for number in inside], lives)
        self._places = dict(zip(inside, places, strict=True))
        self._thread = threading.get_ident()
        self._memory: np.ndarray | None = None
        self._runs: list[Callable[[], Any]] = []
        for call in self._calls:
            if self._is_constant(call):
                self._run_of(call)()
        self.results = [self._array(place) for place in recorder.results[:-1]]

    def run(self) -> None:
        """Do all of it once more."""
        arena = _arenas.setdefault(self._thread, _Arena())
        with arena.lock:
            held = arena.of(self._size, self)
            if held is not self._memory:
                self._runs = self._first_runs(held)
            else:
                tell_threads()
                for run in self._runs:
                    run()

    def unbind(self) -> None:
        """Let go of the arena; the next run takes what there is then."""
        self._memory, self._runs = None, []

    def _first_runs(self, held: np.ndarray) -> list[Callable[[], Any]]:
        """Do all of it in that memory; what does it again."""
        self._memory = held
        try:
            return [self._done(call) for call in self._calls if not self._is_left_out(call)]
        except BaseException:
            self.unbind()
            raise

    def _is_constant(self, call: Call) -> bool:
        return call.result is not None and call.result.value in self._constant

    def _is_left_out(self, call: Call) -> bool:
        """Is there nothing to do, as it gives a view of its arguments, or what is known already?"""
        return (call.makes and call.result is None) or self._is_constant(call)

    def _done(self, call: Call) -> Callable[[], Any]:
        """The call, done for the first time since its arrays have their places: what does it again."""
        used = [self._array(p) for p in leaves((call.args, call.options)) if not isinstance(p, Fixed)]
        if call.result is not None:
            used.append(self._array(call.result))
        return traced(name_of(call.function), self._run_of(call), used)

    def _run_of(self, call: Call) -> Callable[[], Any]:
        """What does the call anew, with its result where it belongs."""
        args = tuple(self._bound(a) for a in call.args)
        options = {name: self._bound(a) for name, a in call.options.items()}
        if call.result is None:
            return partial(call.function, *args, **options)
        target = self._array(call.result)
        found = None if options else prebound(call.function, args, target)
        if found is not None:
            return found
        function = partial(call.function, *args, **options)
        if call.asked is None:
            return partial(_copied, function, target)
        whole = self._array(Made(call.result.value, 0, call.asked))
        return partial(_served, function, target, whole, call.served)

    def _bound(self, place: Any) -> Any:
        if isinstance(place, Fixed):
            return place.content
        if isinstance(place, Given):
            return place.array
        if isinstance(place, Made):
            return self._array(place)
        if isinstance(place, dict):
            return {key: self._bound(part) for key, part in place.items()}
        parts = [self._bound(part) for part in place]
        return type(place)(*parts) if hasattr(place, "_fields") else type(place)(parts)

    def _array(self, place: Any) -> np.ndarray:
        if isinstance(place, Given):
            return place.array
        shape, strides, dtype = place.layout
        held, start = self._own.get(place.value), 0
        if held is None:
            held, start = self._memory, self._places[place.value]
        return np.ndarray(shape, dtype, buffer=held, offset=start + place.offset, strides=strides)


def _constants(noted: list[Call], changed: set[int], sizes: list[int]) -> set[int]:
    """The values that are made of numbers alone, and are not changed: they are the same in each replay."""
    found: set[int] = set()

    def is_known(place: Any) -> bool:
        if isinstance(place, Fixed):
            return not isinstance(place.content, calls.Rendezvous)
        return isinstance(place, Made) and place.value in found

    for call in noted:
        if call.makes and call.result is not None and sizes[call.result.value] <= _SMALL:
            known = all(is_known(place) for place in leaves((call.args, call.options)))
            if known and call.result.value not in changed:
                found.add(call.result.value)
    return found


def _copied(function: Callable[[], Any], target: np.ndarray) -> None:
    """Have `function` make its result, and copy it to where it belongs."""
    target[...] = function()


def _served(function: Callable[[], Any], target: np.ndarray, whole: np.ndarray, number: int) -> None:
    """Have `function` make its result where it belongs: in the array of that number that it asks `memory` for."""
    memory.supply.make = memory.Served(whole, number)
    try:
        result = function()
    finally:
        memory.supply.make = None
    if result.strides != target.strides or not np.may_share_memory(result, target):
        target[...] = result  # it went another way this time
