"""The memory of the stand-in for a GPU: pools that count what lies in them, on a device that can be full.

A pool here wastes nothing, as if it moved what it holds together. Otherwise it does as CuPy's: what is freed stays in
the pool for its next arrays, until `free_all_blocks` or until the device has no room for another pool's array.
"""

import threading
import weakref

UNIT = 512  # bytes, of which allocations are multiples


class CUDARuntimeError(RuntimeError):
    """CuPy's name for an error of the driver."""


class OutOfMemoryError(MemoryError):
    """CuPy's name for a device that is full."""

    def __init__(self, size, total):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class Memory:
    """cupy.cuda.Memory: bytes straight from the device, given back when it dies."""

    size = 80 << 30  # bytes that a device has
    taken = 0  # of them

    held = 0

    lock = threading.RLock()  # ranks that are threads

    def __init__(self, size):
        with Memory.lock:
            if Memory.taken + size > Memory.size:
                raise CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
            Memory.taken += size
        self.held = size

    def shrink(self, size):
        with Memory.lock:
            Memory.taken -= self.held - size
        self.held = size

    def __del__(self):
        with self.lock:
            type(self).taken -= self.held  # at the end of the program the module may have no names any more


class MemoryPointer:
    """cupy.cuda.MemoryPointer."""

    def __init__(self, mem, offset):
        self.mem = mem


class MemoryPool:
    """cupy.cuda.MemoryPool."""

    def __init__(self, allocator=None):
        self._allocator = allocator or (lambda size: MemoryPointer(Memory(size), 0))
        self._memory = []  # all that was asked of the device
        self._used = 0
        self.peak = 0  # the most that was used at once

    def malloc(self, size):
        """An object that holds so many bytes of the pool as long as it lives."""
        size = -(-size // UNIT) * UNIT
        missing = self._used + size - self.total_bytes()
        if missing > 0:
            self._memory.append(self._asked(missing))
        self._used += size
        self.peak = max(self.peak, self._used)
        block = Block()
        weakref.finalize(block, self._free, size).atexit = False
        return block

    def _asked(self, size):
        try:
            return self._allocator(size).mem
        except CUDARuntimeError:
            self.free_all_blocks()
        try:
            return self._allocator(size).mem
        except CUDARuntimeError:
            raise OutOfMemoryError(size, self.total_bytes()) from None

    def _free(self, size):
        self._used -= size

    def free_all_blocks(self, stream=None):
        surplus = self.free_bytes()
        for memory in self._memory:
            part = min(surplus, memory.held)
            memory.shrink(memory.held - part)
            surplus -= part
        self._memory = [memory for memory in self._memory if memory.held]

    def used_bytes(self):
        return self._used

    def total_bytes(self):
        return sum(memory.held for memory in self._memory)

    def free_bytes(self):
        return self.total_bytes() - self._used

    def get_limit(self):
        return 0


class Block:
    """What an array keeps alive of a pool."""

    __slots__ = ("__weakref__", "size")


def memory_info():
    """cupy.cuda.runtime.memGetInfo."""
    return Memory.size - Memory.taken, Memory.size
