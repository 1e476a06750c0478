"""How much memory a device has left, and the most that something took of it."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..backend import array_module
from ..system import machine
from . import memory

SCRATCH = 64 << 20  # bytes that libraries take for themselves while they compute
HEAP = 300 << 20  # bytes at most that lie between live arrays on a CPU, in what its C library has not given back


def free(device: str) -> float:
    """Bytes that arrays on `device` may still take, infinity where nothing says how many.

    What dead arrays have left for the next ones is among them.
    """
    lib: Any = array_module(device)
    if device == "cpu":
        return machine.available() + memory.waiting()
    pool = lib.get_default_memory_pool()
    left = lib.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
    limit = pool.get_limit()
    return min(left, limit - pool.used_bytes()) if limit else left


def lost(device: str, peak: float) -> float:
    """Bytes that may lie between arrays unused, where a watch has seen that peak; CuPy's pools count theirs."""
    return min(0.7 * peak, HEAP) if device == "cpu" else 0.0


class Watch:
    """Sees how many bytes are held at once on a device, beyond those that were when it began."""

    def __init__(self, device: str) -> None:
        self._pool: Any = None if device == "cpu" else array_module(device).get_default_memory_pool()
        self._most = 0
        self.look_away()
        self._before = self._held()

    def _held(self) -> int:
        """The most since it last looked: a pool of CuPy's keeps what it once had."""
        return tracemalloc.get_traced_memory()[1] if self._pool is None else self._pool.total_bytes()

    def most(self) -> int:
        """The most bytes so far."""
        self._most = max(self._most, self._held() - self._before)
        return self._most

    def look_away(self) -> None:
        """Forget what was held since `most` was last asked, and have dead arrays leave nothing for the next."""
        if self._pool is None:
            memory.empty_cache()
            tracemalloc.reset_peak()
        else:
            self._pool.free_all_blocks()


@contextmanager
def watching(device: str) -> Iterator[Watch]:
    """A watch on what is allocated within the block; on a CPU that is slower meanwhile, as Python notes all of it."""
    begun = device == "cpu" and not tracemalloc.is_tracing()
    if begun:
        tracemalloc.start()
    try:
        yield Watch(device)
    finally:
        if begun:
            tracemalloc.stop()
