"""Arrays of NumPy in memory that is used again: the blocks of large arrays that have died wait for the next ones.

A large array that is freed goes back to the system, and the next one comes from there page by page, each cleared when
it is first touched: up to a quarter of a training step. `empty`, `empty_like` and `zeros` make arrays as NumPy's
functions of these names do. Their block of memory waits here when the last view of it is gone, and the next array
that needs about as much lies in it. All that is held, in use and waiting, is never more than the most that was ever in
use at once: older blocks go back to the system before a new one is taken.
"""

import bisect
import contextlib
import ctypes
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..backend import FLOAT32, Array, xp

LARGE = 1 << 16  # bytes of an array from which page faults cost more than the bookkeeping
_PAGE = 4096  # bytes, of which blocks are multiples
_WASTE = 8  # the part of an array by which its block may be too large
_LINE = 64  # bytes: a cache line, and the width of the widest vector


class _Block:
    """A piece of memory that begins where a cache line does, and how NumPy is told of it."""

    __slots__ = ("interface", "memory", "size")

    def __init__(self, size: int) -> None:
        raw = np.empty(size + _LINE, "uint8")
        start = -raw.ctypes.data % _LINE
        self.size = size
        self.memory = raw[start : start + size]
        self.interface = self.memory.__array_interface__


class _Loan:
    """What the arrays in a block of memory keep alive, and by that the block; the block is given back when it dies.

    That may be at any moment, in any thread, within the functions below too: so no lock is taken then.
    """

    __slots__ = ("__array_interface__", "__weakref__", "_block", "_give_back")

    def __init__(self, block: _Block, give_back: Callable[[_Block], None]) -> None:
        self._block = block
        self._give_back = give_back
        self.__array_interface__ = block.interface

    def __del__(self) -> None:
        self._give_back(self._block)


class _Memory:
    """Blocks of memory, in use or waiting for it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a finalizer that runs while it is held may ask for an array
        self.returned: deque[_Block] = deque()  # by loans that have died, not yet put in their place
        self.waiting: dict[int, list[_Block]] = {}  # by size; the size that was given back last stands last
        self.sizes: list[int] = []  # of the blocks that wait, in order
        self.in_use = 0  # bytes
        self.most = 0  # bytes that were ever in use at once

    def lend(self, nbytes: int) -> np.ndarray:
        """A flat array of at least so many bytes, uninitialised, whose base is a loan."""
        with self.lock:
            self._sort_returned()
            block = self._fitting(nbytes)
            if block is None:
                size = -(-nbytes // _PAGE) * _PAGE
                self._drop(self.most - self.in_use - size)
                block = _Block(size)
            loan = _Loan(block, self.returned.append)
            self.in_use += block.size
            self.most = max(self.most, self.in_use)
        return np.asarray(loan)

    def _fitting(self, nbytes: int) -> _Block | None:
        """The smallest block that waits and is large enough, if it does not waste much; else None."""
        i = bisect.bisect_left(self.sizes, nbytes)
        if i == len(self.sizes) or self.sizes[i] > nbytes + nbytes // _WASTE + _PAGE:
            return None
        return self._taken(self.sizes[i])

    def _taken(self, size: int) -> _Block:
        """A block of that size, which waits no more."""
        alike = self.waiting[size]
        block = alike.pop()
        if not alike:
            del self.waiting[size]
            self.sizes.remove(size)
        return block

    def _sort_returned(self) -> None:
        while self.returned:
            block = self.returned.popleft()
            self.in_use -= block.size
            alike = self.waiting.pop(block.size, [])
            if not alike:
                bisect.insort(self.sizes, block.size)
            alike.append(block)
            self.waiting[block.size] = alike

    def _drop(self, allowed: int) -> None:
        """Give blocks that wait back to the system, the oldest size first, until so many bytes are left."""
        held = self.held()
        while self.waiting and held > allowed:
            held -= self._taken(next(iter(self.waiting))).size

    def held(self) -> int:
        """Bytes that wait."""
        return sum(size * len(alike) for size, alike in self.waiting.items())

    def waits(self) -> int:
        """The same, with what has been given back and not yet put in its place."""
        with self.lock:
            self._sort_returned()
            return self.held()

    def empty(self) -> None:
        """Give all that waits back to the system; what is in use now is the most that was."""
        with self.lock:
            self._sort_returned()
            self.waiting.clear()
            self.sizes.clear()
            self.most = self.in_use


_memory = _Memory()


def after_fork(forget: Callable[[], None]) -> None:
    """Call `forget` in each child of this process, where the system has such children."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _forget() -> None:
    """After a fork: another thread of the parent may have held the lock, and what waits there is the parent's too."""
    global _memory
    _memory = _Memory()


after_fork(_forget)


def waiting() -> int:
    """Bytes of CPU arrays that have died, which the next ones will be given."""
    return _memory.waits()


def empty_cache() -> None:
    """Give the memory of CPU arrays that have died back to the system, instead of keeping it for the next ones."""
    _memory.empty()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(
            0
        )  # the C library of most Linuxes keeps what it is given; elsewhere there is none


# --- a step that is recorded or replayed --------------------------------------------------------------------------


class _Supply(threading.local):
    """Who makes the arrays that this thread asks for: nobody but `empty`, or what is put here."""

    make: Callable[[Any, np.dtype], np.ndarray] | None = None


supply = _Supply()


class Served:
    """Gives a certain array to whoever asks for the array of that number, counted from 0, if it fits; else new ones."""

    def __init__(self, array: np.ndarray, number: int) -> None:
        self._array = array
        self._left = number

    def __call__(self, shape: Any, dtype: np.dtype) -> np.ndarray:
        """The array, or one of that shape and type."""
        if self._left:
            self._left -= 1
            return fresh(shape, dtype)
        supply.make = None
        wanted = (shape,) if isinstance(shape, int) else shape
        fits = self._array.shape == tuple(wanted) and self._array.dtype == dtype
        return self._array if fits else fresh(shape, dtype)


# --- arrays -----------------------------------------------------------------------------------------------------


def empty(shape: int | tuple[int, ...], dtype: Any = FLOAT32) -> np.ndarray:
    """An uninitialised array, in C order."""
    if not isinstance(dtype, np.dtype):
        dtype = np.dtype(dtype)
    return fresh(shape, dtype) if supply.make is None else supply.make(shape, dtype)


def fresh(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What `empty` gives where no step is recorded or replayed."""
    nbytes = (shape if isinstance(shape, int) else math.prod(shape)) * dtype.itemsize
    if nbytes < LARGE:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=_memory.lend(nbytes))


def empty_like(x: np.ndarray, dtype: Any = None) -> np.ndarray:
    """An uninitialised array of x's shape, its axes in the same order in memory, of its type unless one is given."""
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous:
        return empty(x.shape, dtype)
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    y = empty(tuple(x.shape[axis] for axis in order), dtype)
    return y.transpose(sorted(range(x.ndim), key=order.__getitem__))


def zeros(shape: int | tuple[int, ...], dtype: Any = FLOAT32) -> np.ndarray:
    """An array of zeros, in C order."""
    x = empty(shape, dtype)
    x.fill(0)
    return x


def maker(like: Array) -> ModuleType:
    """What has `empty`, `empty_like` and `zeros` for arrays on the device of `like`: this module, or CuPy."""
    return _HERE if isinstance(like, np.ndarray | np.generic) else xp(like)


_HERE = sys.modules[__name__]
