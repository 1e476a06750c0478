"""Batches of samples: what the k-th batch of a run holds is a function of the seed and k alone.

`Batches` keeps all samples where they are used; `StreamedBatches` sends each batch to a GPU that cannot hold them.
"""

from collections.abc import Sized

import numpy as np

from .. import backend
from ..backend import Array, xp
from ..errors import DataError
from ..kernels import kernels, uploads
from ..random import Stream
from .augment import Augment

RESIDENT = 2 << 30  # bytes of images up to which a GPU keeps them all


class Shuffled:
    """What every kind shares: each epoch is a new permutation; what does not fill a batch is left for the next."""

    def __init__(self, samples: Sized, batch_size: int, seed: int, labels: np.ndarray | None) -> None:
        if not 1 <= batch_size <= len(samples):
            raise DataError(f"Batches: expected a batch size from 1 to the {len(samples)} samples, got {batch_size}")
        if labels is not None and (labels.shape != (len(samples),) or labels.dtype != np.int64):
            raise DataError(
                f"Batches: expected one int64 label for each of {len(samples)} samples, "
                f"got {labels.dtype} {labels.shape}"
            )
        self.batch_size = batch_size
        self.per_epoch = len(samples) // batch_size
        self._count = len(samples)
        self._stream = Stream(seed, "batches")

    def _permutation(self, epoch: int) -> np.ndarray:
        return self._stream.at(epoch).permutation(self._count)


class Batches(Shuffled):
    """Shuffled batches of samples that are kept whole on `device`, with their labels if there are some.

    Samples are uint8 images (N, C, H, W), scaled to [-1, 1] as they are drawn, or float32 points (N, features), drawn
    as they are; `labels` are int64 (N,). Each epoch is a new permutation of all of them; what does not fill a batch
    is left for the next shuffle. With `flip` each image is mirrored left to right with probability 1/2, with `crop` it
    is moved by up to so many pixels in each direction, reflected at its edge; both anew in each batch. Raises
    DataError naming shapes and types that do not fit.
    """

    def __init__(
        self,
        samples: np.ndarray,
        batch_size: int,
        *,
        labels: np.ndarray | None = None,
        seed: int = 0,
        device: str = "cpu",
        flip: bool = False,
        crop: int = 0,
    ) -> None:
        if (samples.ndim, samples.dtype) not in ((4, np.uint8), (2, np.float32)):
            raise DataError(
                "Batches: expected uint8 images (N, C, H, W) or float32 points (N, features), "
                f"got {samples.dtype} {samples.shape}"
            )
        super().__init__(samples, batch_size, seed, labels)
        self._images = samples.ndim == 4
        if not self._images and (flip or crop):
            raise DataError(f"Batches: points cannot be flipped or cropped, got {samples.dtype} {samples.shape}")
        self._augment = Augment(flip, crop, seed, samples.shape[2:]) if flip or crop else None
        ordered = samples.transpose(0, 2, 3, 1) if self._images else samples
        self._samples = backend.to_device(np.ascontiguousarray(ordered), device)
        self._labels = None if labels is None else backend.to_device(labels, device)
        self._epoch = -1
        self._order: Array = backend.array_module(device).zeros(len(samples), dtype="int64")

    def prepare(self, k: int) -> None:
        """Make the order of the k-th batch's epoch the one that `at` reads, where it lies on the device."""
        epoch = k // self.per_epoch
        if epoch != self._epoch:
            self._order[...] = backend.to_device(self._permutation(epoch), backend.device_of(self._order))
            self._epoch = epoch

    def at(self, k: int | Array) -> Array:
        """The k-th batch: float32 images (batch_size, C, H, W) in [-1, 1], channels-last in memory, or points.

        k may be a 0-d int64 array on the device, so that a captured step draws another batch at each replay; its
        epoch must have been prepared.
        """
        if not self._images:
            return self._samples[self._chosen(k)]
        if isinstance(k, int):
            self.prepare(k)
        gather = kernels(self._order).gather_images
        if self._augment is None:
            drawn = gather(self._samples, self._order, k, self.per_epoch, self.batch_size)
        else:
            made = self._augment(self._samples[self._chosen(k)], k)
            drawn = gather(made, xp(made).arange(self.batch_size), 0, 1, self.batch_size)
        return drawn.transpose(0, 3, 1, 2)

    def labels_at(self, k: int | Array) -> Array | None:
        """The labels of that batch: int64 (batch_size,), or None if there are none."""
        return None if self._labels is None else self._labels[self._chosen(k)]

    def _chosen(self, k: int | Array) -> Array:
        """Which samples the k-th batch holds, where they lie."""
        if isinstance(k, int):
            self.prepare(k)
        return self._order[k % self.per_epoch * self.batch_size + xp(self._order).arange(self.batch_size)]


class StreamedBatches(Shuffled):
    """The same batches for a GPU, from images that stay on the host: one is sent while the one before is used."""

    def __init__(
        self, images: np.ndarray, batch_size: int, *, seed: int = 0, flip: bool = False, crop: int = 0
    ) -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"StreamedBatches: expected uint8 images (N, C, H, W), got {images.dtype} {images.shape}")
        super().__init__(images, batch_size, seed, None)
        _, c, h, w = images.shape
        self._augment = Augment(flip, crop, seed, (h, w)) if flip or crop else None
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
        self._uploads.begin(k % 2, lambda buffer: self._fill(buffer, chosen, k))
        self._sent[k % 2] = k

    def _fill(self, buffer: np.ndarray, chosen: np.ndarray, k: int) -> None:
        np.take(self._images, chosen, axis=0, out=buffer)
        if self._augment is not None:
            buffer[...] = self._augment(buffer, k)


def shuffled_batches(
    samples: np.ndarray,
    batch_size: int,
    *,
    labels: np.ndarray | None = None,
    seed: int = 0,
    device: str = "cpu",
    flip: bool = False,
    crop: int = 0,
) -> Batches | StreamedBatches:
    """Shuffled batches for `device`: images without labels are sent one by one if they would fill a GPU's memory."""
    if device == "cuda" and samples.nbytes > RESIDENT and labels is None and samples.dtype == np.uint8:
        return StreamedBatches(samples, batch_size, seed=seed, flip=flip, crop=crop)
    return Batches(samples, batch_size, labels=labels, seed=seed, device=device, flip=flip, crop=crop)
