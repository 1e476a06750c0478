"""Batches of images: which samples the k-th batch of a run holds is a function of the seed and k alone."""

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import DataError
from ..kernels import kernels
from ..random import Stream


class Batches:
    """Shuffled batches of uint8 images (N, C, H, W), kept whole on `device`, scaled to [-1, 1] as they are drawn.

    Each epoch is a new permutation of all images; what does not fill a batch is left for the next shuffle.
    """

    def __init__(self, images: np.ndarray, batch_size: int, *, seed: int = 0, device: str = "cpu") -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"Batches: expected uint8 images (N, C, H, W), got {images.dtype} {images.shape}")
        if not 1 <= batch_size <= len(images):
            raise DataError(f"Batches: expected a batch size from 1 to the {len(images)} images, got {batch_size}")
        self.batch_size = batch_size
        self.per_epoch = len(images) // batch_size
        self._stream = Stream(seed, "batches")
        self._channels_last = backend.to_device(np.ascontiguousarray(images.transpose(0, 2, 3, 1)), device)
        self._epoch = -1
        self._order: Array = backend.array_module(device).zeros(len(images), dtype="int64")

    def prepare(self, k: int) -> None:
        """Make the order of the k-th batch's epoch the one that `at` reads, where it lies on the device."""
        epoch = k // self.per_epoch
        if epoch != self._epoch:
            order = self._stream.at(epoch).permutation(len(self._order))
            self._order[...] = backend.to_device(order, backend.device_of(self._order))
            self._epoch = epoch

    def at(self, k: int | Array) -> Array:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last in memory.

        k may be a 0-d int64 array on the device, so that a captured step draws another batch at each replay; its
        epoch must have been prepared.
        """
        if isinstance(k, int):
            self.prepare(k)
        chosen = kernels(self._order).gather_images(self._channels_last, self._order, k, self.per_epoch, self.batch_size)
        return chosen.transpose(0, 3, 1, 2)
