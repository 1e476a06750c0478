"""Batches of images: which samples the k-th batch of a run holds is a function of the seed and k alone.

`Batches` keeps all images where they are used; `StreamedBatches` sends each batch to a GPU that cannot hold them.
"""

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import DataError
from ..kernels import kernels, uploads
from ..random import Stream

RESIDENT = 2 << 30  # bytes of images up to which a GPU keeps them all


class _Shuffled:
    """What both kinds share: each epoch is a new permutation; what does not fill a batch is left for the next."""

    def __init__(self, images: np.ndarray, batch_size: int, seed: int) -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"Batches: expected uint8 images (N, C, H, W), got {images.dtype} {images.shape}")
        if not 1 <= batch_size <= len(images):
            raise DataError(f"Batches: expected a batch size from 1 to the {len(images)} images, got {batch_size}")
        self.batch_size = batch_size
        self.per_epoch = len(images) // batch_size
        self._count = len(images)
        self._stream = Stream(seed, "batches")

    def _permutation(self, epoch: int) -> np.ndarray:
        return self._stream.at(epoch).permutation(self._count)


class Batches(_Shuffled):
    """Shuffled batches of uint8 images (N, C, H, W), kept whole on `device`, scaled to [-1, 1] as they are drawn.

    Each epoch is a new permutation of all images; what does not fill a batch is left for the next shuffle.
    """

    def __init__(self, images: np.ndarray, batch_size: int, *, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(images, batch_size, seed)
        self._channels_last = backend.to_device(np.ascontiguousarray(images.transpose(0, 2, 3, 1)), device)
        self._epoch = -1
        self._order: Array = backend.array_module(device).zeros(len(images), dtype="int64")

    def prepare(self, k: int) -> None:
        """Make the order of the k-th batch's epoch the one that `at` reads, where it lies on the device."""
        epoch = k // self.per_epoch
        if epoch != self._epoch:
            self._order[...] = backend.to_device(self._permutation(epoch), backend.device_of(self._order))
            self._epoch = epoch

    def at(self, k: int | Array) -> Array:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last in memory.

        k may be a 0-d int64 array on the device, so that a captured step draws another batch at each replay; its
        epoch must have been prepared.
        """
        if isinstance(k, int):
            self.prepare(k)
        chosen = kernels(self._order).gather_images(
            self._channels_last, self._order, k, self.per_epoch, self.batch_size
        )
        return chosen.transpose(0, 3, 1, 2)


class StreamedBatches(_Shuffled):
    """The same batches for a GPU, from images that stay on the host: one is sent while the one before is used."""

    def __init__(self, images: np.ndarray, batch_size: int, *, seed: int = 0) -> None:
        super().__init__(images, batch_size, seed)
        _, c, h, w = images.shape
        self._images = images.transpose(0, 2, 3, 1)
        self._uploads = uploads.Uploads((batch_size, h, w, c))
        self._sent: dict[int, int] = {}  # which batch each of the two slots holds
        self._epoch = -1

    def at(self, k: int) -> Array:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last, on the GPU."""
        if self._sent.get(k % 2) != k:
            self._send(k)
        batch = self._uploads.take(k % 2)
        self._send(k + 1)
        return batch.transpose(0, 3, 1, 2)

    def _send(self, k: int) -> None:
        epoch, i = divmod(k, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._permutation(epoch)
        chosen = self._order[i * self.batch_size : (i + 1) * self.batch_size]
        self._uploads.begin(k % 2, lambda buffer: np.take(self._images, chosen, axis=0, out=buffer))
        self._sent[k % 2] = k


def shuffled_batches(
    images: np.ndarray, batch_size: int, *, seed: int = 0, device: str = "cpu"
) -> Batches | StreamedBatches:
    """Shuffled batches of `images` for `device`: sent one by one if they would take too much of a GPU's memory."""
    if device == "cuda" and images.nbytes > RESIDENT:
        return StreamedBatches(images, batch_size, seed=seed)
    return Batches(images, batch_size, seed=seed, device=device)
