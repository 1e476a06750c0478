"""Several threads, each with its own share of the images and a BLAS that stays on one core.

Copying windows, adding taps and small matrix products are memory-bound: a BLAS that threads only the product
leaves the other cores idle for the rest, and its threads go on spinning when it is done. Parts are fixed by the
number of threads, whoever takes them, and so are results.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from ..backend import Array
from ..system.machine import cores

T = TypeVar("T")

PARTS_PER_THREAD = 4

WORTH_THREADS = 1e8  # floating-point operations below which waking a thread costs more than it saves
VECTOR_ALONE = 1.8e4  # of a product with a vector, below which OpenBLAS wakes none of its own threads


def _surely(action: Callable[[], T], cleanup: Callable[[], None]) -> T:
    """What action() returns, with cleanup() done afterwards whatever happens.

    If Ctrl-C comes while cleaning up, cleanup() is called again: it must do no harm to do it twice. A `with` block
    promises less, as an interrupt can come between its `__enter__` and its body.
    """
    try:
        try:
            result = action()
        finally:
            cleanup()
    except BaseException:
        cleanup()
        raise
    return result


class _Job:
    """Tasks by number, which any thread may take, their results, and a place for each helper."""

    def __init__(self, task: Callable[[slice], Any], parts: list[slice], helpers: int) -> None:
        self.task: Any = task
        self.parts = parts
        self.results: list[Any] = [None] * len(parts)
        self.error: BaseException | None = None
        self.numbers = itertools.count()
        self.places = [threading.RLock() for _ in range(helpers)]  # a helper's while it works, then the caller's
        self.arrivals = itertools.count()

    def work(self) -> None:
        """Take parts until none is left, or one has failed."""
        while self.error is None and (i := next(self.numbers)) < len(self.parts):
            self.results[i] = self.task(self.parts[i])

    def help(self) -> None:
        """Work along, unless the caller has gone."""
        place = self.places[next(self.arrivals)]
        if place.acquire(blocking=False):
            try:
                self.work()
            except BaseException as error:
                self.error = error
            finally:
                place.release()

    def run(self, waiting: "SimpleQueue[_Job]") -> list:
        """The results; whoever calls this calls `end` afterwards."""
        try:
            for _ in self.places:
                waiting.put(self)
            self.work()
        except BaseException as error:
            self.error = error
            raise
        self.wait()
        if self.error is not None:
            raise self.error
        return self.results

    def wait(self) -> None:
        """Until no helper works; none will start to."""
        for place in self.places:
            place.acquire()

    def end(self) -> None:
        """Have no helper work any more; one that wakes up when all is done must not keep arrays alive."""
        self.wait()
        self.task, self.results, self.error = None, [], None


class _Workers:
    """The helpers, the BLAS they use, and who holds it to one thread just now."""

    def __init__(self, asked: int | None = None) -> None:
        self.lock = threading.RLock()  # which only its owner can release, so that to release it twice does no harm
        self.waiting: SimpleQueue[_Job] = SimpleQueue()
        self.helpers: list[threading.Thread] = []
        self.holders: set[object] = set()
        self.asked = asked
        self.blas: list[Any] | None = None
        self.before: list[int] = []  # the BLAS's threads, while somebody holds it

    def locked(self, action: Callable[[], T]) -> T:
        """action(), done by one thread at a time."""

        def alone() -> T:
            self.lock.acquire()
            return action()

        return _surely(alone, self._unlock)

    def _unlock(self) -> None:
        try:  # noqa: SIM105  faster than suppress
            self.lock.release()
        except RuntimeError:  # it was not acquired, or is released already
            pass

    def count(self) -> int:
        """How many threads work: as many as were asked for, or the BLAS is allowed, or there are cores."""
        if self.asked is not None:
            return self.asked
        allowed = self.locked(lambda: self.before or [library.get_num_threads() for library in self._libraries()])
        return max(1, min([cores(), *allowed]))

    def _libraries(self) -> list[Any]:
        if self.blas is None:
            from threadpoolctl import ThreadpoolController

            self.blas = ThreadpoolController().select(user_api="blas").lib_controllers
        return self.blas

    def start(self, helpers: int) -> None:
        """Have at least so many helpers."""

        def more() -> None:
            while len(self.helpers) < helpers:
                thread = threading.Thread(target=_help, args=(self.waiting,), name="minigan", daemon=True)
                try:
                    self.helpers.append(thread)
                    thread.start()
                finally:
                    self.helpers = [helper for helper in self.helpers if helper.is_alive()]

        if len(self.helpers) < helpers:
            self.locked(more)

    def hold(self, holder: object) -> None:
        """Have the BLAS use one thread until every holder has let it go."""

        def take() -> None:
            if not self.before:
                self.before = [library.get_num_threads() for library in self._libraries()]
                for library in self._libraries():
                    library.set_num_threads(1)
            self.holders.add(holder)

        self.locked(take)

    def let_go(self, holder: object) -> None:
        """Take back `hold`, if it came that far."""

        def give() -> None:
            self.holders.discard(holder)
            if self.before and not self.holders:
                for library, threads in zip(self._libraries(), self.before, strict=True):
                    library.set_num_threads(threads)
                self.before = []

        self.locked(give)


def _help(waiting: "SimpleQueue[_Job]") -> None:
    while True:
        waiting.get().help()


_workers = _Workers()
_buffers = threading.local()


def _forget() -> None:
    """After a fork the child has no helpers: it starts its own."""
    global _workers
    _workers = _Workers(_workers.asked)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Compiled:
    """The threads of the compiled kernels: how many they are is told to them, and what they were told last."""

    tell: Callable[[int], Any] | None = None
    told = 0


def get_num_threads() -> int:
    """How many threads share the work of a kernel. If that has changed, the compiled kernels are told."""
    n = _workers.count()
    if _Compiled.tell is not None and n != _Compiled.told:
        _Compiled.tell(n)
        _Compiled.told = n
    return n


def tell_compiled(tell: Callable[[int], Any]) -> None:
    """Have tell(n) called with the number of threads, now and whenever `get_num_threads` finds another one."""
    _Compiled.tell, _Compiled.told = tell, 0
    get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Let n threads share the work of a kernel.

    With None, and at first, there are as many as the BLAS may use, which OMP_NUM_THREADS and threadpoolctl decide,
    but no more than cores. Results are the same up to rounding. Raises ValueError unless n is an integer >= 1.
    """
    if n is not None and (not hasattr(n, "__index__") or n < 1):
        raise ValueError(f"set_num_threads: expected an integer >= 1 or None, got {n}")
    _workers.asked = None if n is None else int(n)
    get_num_threads()


@contextmanager
def limited(n: int) -> Iterator[None]:
    """Within the block n threads compute, in kernels and in the BLAS."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(n):
        set_num_threads(n)
        try:
            yield
        finally:
            set_num_threads(None)


def alone(task: Callable[[], T]) -> T:
    """task(), during which the BLAS uses the calling thread alone."""
    workers, holder = _workers, object()

    def held() -> T:
        workers.hold(holder)
        return task()

    return _surely(held, lambda: workers.let_go(holder))


def share(
    task: Callable[[slice], T], n: int, worthwhile: bool = True, *, least: int = 1, per_thread: int = PARTS_PER_THREAD
) -> list[T]:
    """[task(part) for each part of range(n)], parts in order; one part, in this thread, if not worthwhile.

    Parts are several for each thread, and a thread that is done takes the next one: a core that is slowed down by
    somebody else holds up no more than its last part. They have `least` elements or more, if that leaves each thread
    something to do.
    """
    threads = min(_workers.count(), n) if worthwhile and n > 1 else 1
    if threads == 1:
        return [task(slice(0, n))]
    count = max(threads, min(n // least, threads * per_thread))
    edges = [n * i // count for i in range(count + 1)]
    workers = _workers
    workers.start(threads - 1)
    job = _Job(task, [slice(a, b) for a, b in itertools.pairwise(edges)], threads - 1)
    return alone(lambda: _surely(lambda: job.run(workers.waiting), job.end))


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uninitialised memory of this thread for a kernel's intermediate results, the same under each name every time.

    What is in it lasts until the thread next asks for that name. Memory fresh from the system would have to be
    cleared page by page, which costs as much as what is computed in it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held = vars(_buffers).get(name)
    if held is None or held.size < size:
        raw = np.empty(size + _LINE, "uint8")
        held = raw[-raw.ctypes.data % _LINE :]
        setattr(_buffers, name, held)
    return held[:size].view(dtype).reshape(shape)


_LINE = 64  # bytes: a cache line, and the width of the widest vector
