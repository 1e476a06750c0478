"""Batches of images: which samples the k-th batch of a run holds is a function of the seed and k alone."""

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import DataError
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
        self._count = len(images)
        self._stream = Stream(seed, "batches")
        self._device = device
        self._channels_last = backend.to_device(np.ascontiguousarray(images.transpose(0, 2, 3, 1)), device)
        self._epoch = -1
        self._order: Array = None

    def at(self, k: int) -> Array:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last in memory."""
        epoch, i = divmod(k, self.per_epoch)
        if epoch != self._epoch:
            order = self._stream.at(epoch).permutation(self._count)
            self._epoch, self._order = epoch, backend.to_device(order, self._device)
        chosen = self._channels_last[self._order[i * self.batch_size : (i + 1) * self.batch_size]]
        return (chosen.astype("float32") * (1 / 127.5) - 1).transpose(0, 3, 1, 2)
