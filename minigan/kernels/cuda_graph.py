"""A CUDA graph: what a function asks a device to do, recorded once, and from then on launched whole.

All graphs of a device share one pool of memory, as only one is at work at a time, until its results are copied: what
dies while one is recorded may lie where another's results came and went. Nobody else is given memory of that pool, and
it stays as long as the process, for what is made while a graph is recorded may outlive it: a workspace of cuBLAS, say.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from .. import backend


class Graph:
    """work() recorded and not executed; `result` is what it returned, in arrays that each launch fills."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._shared = _shared(backend.array_module("cuda"))
        self.graph, self.result = self._shared.recorded(work)
        self._shared.users.add(self)

    refused = ""  # what cannot be captured is an error here

    def fits(self) -> bool:
        """True: whose arrays they are, is not known here."""
        return True

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """A block in which to write what it reads, to launch it and to copy its results, as the only graph at work."""
        return self._shared.turn()

    def launch(self) -> None:
        """Have the device do it once more."""
        self.graph.launch()


class _Shared:
    """What graphs share: the pool, and a stream on which they are recorded, to which the pool lends its memory."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._lock = threading.RLock()
        self._pool = cupy.cuda.MemoryPool(self._from_device)
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._last: Any = None  # the stream of the last turn
        self.users: weakref.WeakSet[Graph] = weakref.WeakSet()

    def _from_device(self, size: int) -> Any:
        """So many bytes. MemoryError if there are none: at CuPy's own, the pool would free what graphs write into."""
        cuda = self._cupy.cuda
        try:
            return cuda.MemoryPointer(cuda.Memory(size), 0)
        except cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(f"no memory for a graph: {error}") from error

    def recorded(self, work: Callable[[], Any]) -> tuple[Any, Any]:
        """(the graph, what work() returned)."""
        cupy = self._cupy
        with self._lock:
            cupy.get_default_memory_pool().free_all_blocks()  # what calls that were not replayed have lain in
            if not self.users:
                self._pool.free_all_blocks()
            with self._stream, cupy.cuda.using_allocator(self._pool.malloc), backend.capturing():
                self._stream.begin_capture()
                try:
                    result = work()
                except BaseException:
                    self._abandon()
                    raise
                return self._stream.end_capture(), result

    def _abandon(self) -> None:
        """End a capture that has failed; that it has is known already. The next one has a stream of its own."""
        with contextlib.suppress(Exception):  # CUDA says that the capture was invalidated
            self._stream.end_capture()
        self._stream = self._cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Of one thread at a time; its stream goes on behind all that another one was given in the turn before."""
        with self._lock:
            stream = self._cupy.cuda.get_current_stream()
            if self._last is not None and stream.ptr != self._last.ptr:
                stream.wait_event(self._last.record())
            self._last = stream
            yield


def _shared(cupy: Any) -> _Shared:
    """What the graphs of this process share on the device that is current."""
    return _of_device(cupy, cupy.cuda.Device().id)


@cache
def _of_device(cupy: Any, device: int) -> _Shared:
    return _Shared(cupy)
