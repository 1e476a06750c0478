"""Several threads, each with its own share of the images and a BLAS that stays on one core.

Copying windows, adding taps and small matrix products are memory-bound: a BLAS that threads only the product
leaves the other cores idle for the rest, and its threads go on spinning when it is done. Parts are fixed by the
number of threads, whoever takes them, and so are results.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from ..backend import Array

T = TypeVar("T")

PARTS_PER_THREAD = 4

WORTH_THREADS = 1e8  # floating-point operations below which waking a thread costs more than it saves
VECTOR_ALONE = 1.8e4  # of a product with a vector, below which OpenBLAS wakes none of its own threads


class _Job:
    """Tasks by number, which any thread may take, and their results."""

    def __init__(self, task: Callable[[slice], Any], parts: list[slice]) -> None:
        self.task = task
        self.parts = parts
        self.results: list[Any] = [None] * len(parts)
        self.error: BaseException | None = None
        self.numbers = itertools.count()
        self.unfinished = len(parts)
        self.lock = threading.Lock()
        self.finished = threading.Lock()
        self.finished.acquire()

    def work(self) -> None:
        """Take parts until none is left."""
        while (i := next(self.numbers)) < len(self.parts):
            try:
                if self.error is None:
                    self.results[i] = self.task(self.parts[i])
            except BaseException as error:
                self.error = error
            with self.lock:
                self.unfinished -= 1
                if self.unfinished == 0:
                    self.finished.release()

    def run(self, waiting: "SimpleQueue[_Job]", helpers: int) -> list:
        """The results, with up to so many helpers; one that wakes up when all is done holds up nobody."""
        for _ in range(helpers):
            waiting.put(self)
        self.work()
        self.finished.acquire()
        results, error = self.results, self.error
        del self.task, self.results, self.error  # a helper that is late must not keep arrays alive
        if error is not None:
            raise error
        return results


class _Workers:
    """The helpers, the BLAS they use, and how many callers hold it to one thread just now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: SimpleQueue[_Job] = SimpleQueue()
        self.helpers = 0
        self.callers = 0
        self.asked: int | None = None
        self.blas: list[Any] | None = None
        self.before: list[int] = []

    def count(self) -> int:
        """How many threads work: as many as were asked for, or the BLAS is allowed, or there are cores."""
        if self.asked is not None:
            return self.asked
        with self.lock:
            allowed = self.before if self.callers else [library.get_num_threads() for library in self._libraries()]
        return max(1, min([cores(), *allowed]))

    def _libraries(self) -> list[Any]:
        if self.blas is None:
            from threadpoolctl import ThreadpoolController

            self.blas = ThreadpoolController().select(user_api="blas").lib_controllers
        return self.blas

    def start(self, helpers: int) -> None:
        """Have at least so many helpers."""
        with self.lock:
            while self.helpers < helpers:
                self.helpers += 1
                threading.Thread(target=_help, args=(self.waiting,), name="minigan", daemon=True).start()

    def __enter__(self) -> None:
        with self.lock:
            self.callers += 1
            if self.callers == 1:
                self.before = [library.get_num_threads() for library in self._libraries()]
                for library in self._libraries():
                    library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                for library, threads in zip(self._libraries(), self.before, strict=True):
                    library.set_num_threads(threads)


def _help(waiting: "SimpleQueue[_Job]") -> None:
    while True:
        waiting.get().work()


_workers = _Workers()
_buffers = threading.local()


def _forget() -> None:
    """After a fork the child has no helpers: it starts its own."""
    global _workers
    asked = _workers.asked
    _workers = _Workers()
    _workers.asked = asked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """How many threads share the work of a kernel."""
    return _workers.count()


def set_num_threads(n: int | None) -> None:
    """Let n threads share the work of a kernel.

    With None, and at first, there are as many as the BLAS may use, which OMP_NUM_THREADS and threadpoolctl decide,
    but no more than cores. Results are the same up to rounding. Raises ValueError unless n >= 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"set_num_threads: expected a number >= 1 or None, got {n}")
    _workers.asked = n


def one_blas_thread() -> AbstractContextManager:
    """Within the block the BLAS uses the calling thread alone."""
    return _workers


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
    _workers.start(threads - 1)
    with _workers:
        job = _Job(task, [slice(a, b) for a, b in itertools.pairwise(edges)])
        return job.run(_workers.waiting, threads - 1)


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
