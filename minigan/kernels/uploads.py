"""Sending batches to a CUDA device while it computes: two pinned buffers on the host, two on the device.

One batch is copied by a stream of its own while the device works on the one before. A buffer is filled again only
when what was in it has been copied, and overwritten on the device only when it has been read.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .cuda import scaled


class Uploads:
    """Batches of uint8 images of one shape, (N, ...), on their way to the device."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        lib: Any = array_module("cuda")
        pinned = importlib.import_module("cupyx").empty_pinned
        self._lib = lib
        self._host = [pinned(shape, dtype=np.uint8) for _ in range(2)]
        self._device = [lib.empty(shape, dtype="uint8") for _ in range(2)]
        self._copied = [lib.cuda.Event() for _ in range(2)]
        self._read = [lib.cuda.Event() for _ in range(2)]
        self._stream = lib.cuda.Stream(non_blocking=True)

    def begin(self, slot: int, fill: Callable[[np.ndarray], Any]) -> None:
        """Let `fill` write a batch into the pinned buffer `slot`, 0 or 1, and begin to copy it."""
        self._copied[slot].synchronize()
        fill(self._host[slot])
        self._stream.wait_event(self._read[slot])
        self._device[slot].set(self._host[slot], stream=self._stream)
        self._copied[slot].record(self._stream)

    def take(self, slot: int) -> Array:
        """The batch of that slot on the device, as float32 in [-1, 1]: an array of its own."""
        current = self._lib.cuda.get_current_stream()
        current.wait_event(self._copied[slot])
        batch = scaled(self._device[slot])
        self._read[slot].record(current)
        return batch
