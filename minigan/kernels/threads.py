"""Several threads, each with its own share of the images and a BLAS that stays on one core.

Copying windows, adding taps and small matrix products are memory-bound: a BLAS that threads only the product
leaves the other cores idle for the rest. Parts are fixed by the number of threads, whoever takes them, and so are
results.
"""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

PARTS_PER_THREAD = 4

WORTH_THREADS = 1e7  # floating-point operations below which starting a thread costs more than it saves


class _Workers:
    """The pool, the BLAS controller, and how many callers hold the BLAS to one thread just now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.pool: ThreadPoolExecutor | None = None
        self.blas: Any = None
        self.limit: Any = None
        self.callers = 0

    def start(self) -> int:
        """Make the pool on first use; the number of threads."""
        with self.lock:
            if self.pool is None:
                from threadpoolctl import ThreadpoolController

                self.blas = ThreadpoolController().select(user_api="blas")
                cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
                asked = [pool["num_threads"] for pool in self.blas.info()]  # honours OMP_NUM_THREADS and the like
                self.count = max(1, min([cores, *asked]))
                self.pool = ThreadPoolExecutor(self.count, thread_name_prefix="minigan")
            return self.count

    def __enter__(self) -> None:
        with self.lock:
            self.callers += 1
            if self.callers == 1:
                self.limit = self.blas.limit(limits=1)

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                self.limit.restore_original_limits()


_workers = _Workers()


def _forget() -> None:
    """After a fork the child has no worker threads: it starts its own."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share(task: Callable[[slice], T], n: int, worthwhile: bool = True) -> list[T]:
    """[task(part) for each part of range(n)], parts in order; one part, in this thread, if not worthwhile.

    Parts are several for each thread, and a thread that is done takes the next one: a core that is slowed down by
    somebody else holds up no more than its last part.
    """
    threads = min(_workers.start(), n) if worthwhile and n > 1 else 1
    if threads == 1:
        return [task(slice(0, n))]
    count = min(n, threads * PARTS_PER_THREAD)
    edges = [n * i // count for i in range(count + 1)]
    parts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    results: list[Any] = [None] * count
    waiting: SimpleQueue[int] = SimpleQueue()
    for i in range(count):
        waiting.put(i)

    def work() -> None:
        with contextlib.suppress(Empty):
            while True:
                i = waiting.get_nowait()
                results[i] = task(parts[i])

    with _workers:
        assert _workers.pool is not None
        helpers = [_workers.pool.submit(work) for _ in range(threads - 1)]
        try:
            work()
        finally:
            for helper in helpers:
                helper.result()
    return results
