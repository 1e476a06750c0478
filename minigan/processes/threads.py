"""Threads of one process as ranks: their sums are one fixed tree, however they are spread over processes."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..backend import Array, xp
from ..errors import ProcessError, ShapeError
from .group import ALONE, Group

T = TypeVar("T")


class Threads:
    """`ranks` virtual ranks in all, as many of them threads here as in each process of `outer`.

    A sum adds neighbours in pairs, then pairs of pairs: the same tree, and so the same bits, on any number of
    processes. That needs powers of two, and as many ranks on each process; ShapeError otherwise.
    """

    def __init__(self, ranks: int, outer: Group = ALONE) -> None:
        if ranks < 1 or ranks % outer.size or ((ranks & (ranks - 1)) and outer.size > 1):
            raise ShapeError(
                f"Threads: expected a power of two of virtual ranks, as many on each of {outer.size} processes, "
                f"got {ranks}"
            )
        self.ranks = ranks
        self.outer = outer
        self.here = ranks // outer.size
        self._barrier = threading.Barrier(self.here)
        self._held: list[Any] = [None] * self.here
        self._found: Any = None
        self._error: BaseException | None = None

    def run(self, work: Callable[[Group], T]) -> list[T]:
        """[work(group) of each rank that is a thread here]; an error in one ends the others, and is raised."""
        results: dict[int, T] = {}
        errors: list[BaseException] = []

        def body(k: int) -> None:
            try:
                results[k] = work(_ThreadGroup(self, k))
            except BaseException as error:  # whatever it is, the others must not wait for this one
                errors.append(error)
                self._barrier.abort()

        others = [threading.Thread(target=body, args=(k,), name=f"minigan-rank-{k}") for k in range(1, self.here)]
        for thread in others:
            thread.start()
        body(0)  # in the thread that is asked: the main one is given the signals
        for thread in others:
            thread.join()
        if errors:
            raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
        return [results[k] for k in range(self.here)]

    def meet(self, k: int, kind: str, value: Any, together: Callable[[list[Any]], Any]) -> Any:
        """together(everybody's values), computed by one of the threads; ProcessError if their calls differ."""
        self._held[k] = (kind, value)
        if self._barrier.wait() == 0:
            try:
                kinds = [kind for kind, _ in self._held]
                if len(set(kinds)) > 1:
                    raise ProcessError(f"ranks met in different calls: {', '.join(kinds)}")
                self._found, self._error = together([value for _, value in self._held]), None
            except BaseException as error:  # it is raised in every thread
                self._error = error
        self._barrier.wait()
        found, failed = self._found, self._error
        self._held[k] = None
        if self._barrier.wait() == 0:
            self._found = None  # nobody's array is kept longer than the call
        if failed is not None:
            raise failed
        return found


class _ThreadGroup(Group):
    """The ranks of `Threads`, as one of its threads sees them."""

    def __init__(self, threads: Threads, k: int) -> None:
        self._threads = threads
        self._k = k
        self.size = threads.ranks
        self.rank = threads.outer.rank * threads.here + k
        self.local_rank = threads.outer.local_rank * threads.here + k

    def sum(self, array: Array) -> Array:
        """The sum as a tree of pairs."""
        return self._reduced("sum", array, np.add)

    def max(self, array: Array) -> Array:
        """The largest of everybody's."""
        return self._reduced("max", array, np.maximum)

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """The root's array."""
        array[...] = self._gathered(f"broadcast from {root}", array)[root]
        return array

    def gather(self, array: Array) -> Array:
        """Everybody's."""
        return self._gathered("gather", array).copy()

    def same(self, value: T) -> T:
        """The first rank's value."""
        return self._threads.meet(self._k, "same", value, lambda values: self._threads.outer.same(values[0]))

    def everybodys(self, value: T) -> list[T]:
        """What each rank has."""
        return self._threads.meet(self._k, "everybodys", value, self._of_all_processes)

    def ended(self) -> None:
        """Told to the processes whose threads the ranks are."""
        self._threads.outer.ended()

    def _of_all_processes(self, values: list[T]) -> list[T]:
        return [value for of_one in self._threads.outer.everybodys(values) for value in of_one]

    def _reduced(self, name: str, array: Array, how: Any) -> Array:
        def together(arrays: list[Array]) -> Array:
            return _tree(list(self._threads.outer.gather(np.ascontiguousarray(_tree(arrays, how)))), how)

        array[...] = self._met(_called(name, array), array, together)
        return array

    def _gathered(self, name: str, array: Array) -> Array:
        def together(arrays: list[Array]) -> Array:
            stacked = xp(*arrays).stack(arrays)
            return self._threads.outer.gather(stacked).reshape(-1, *array.shape)

        return self._met(_called(name, array), array, together)

    def _met(self, call: str, array: Array, together: Callable[[list[Array]], Array]) -> Array:
        """`meet`, whose time counts."""
        begun = time.monotonic()
        try:
            return self._threads.meet(self._k, call, array, together)
        finally:
            self.seconds += time.monotonic() - begun


def _called(name: str, array: Array) -> str:
    return f"{name} of {array.dtype} {array.shape}"


def _tree(arrays: list[Array], how: Any) -> Array:
    """Neighbours together, then pairs of pairs, up to one."""
    while len(arrays) > 1:
        arrays = [how(*arrays[i : i + 2]) if i + 1 < len(arrays) else arrays[i] for i in range(0, len(arrays), 2)]
    return arrays[0]
