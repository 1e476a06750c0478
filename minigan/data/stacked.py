"""Stacked MNIST: three grey images drawn at random are one colour image, so that ten classes make a thousand.

Metz et al. 2017 (unrolled GANs) and Lin et al. 2018 (PacGAN) count by it how many modes a generator knows.
"""

from typing import Any

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import DataError
from ..kernels import kernels
from ..random import Stream

STREAM = "stacks"  # the name of the stream that says which images lie on each other


def stacked(
    images: np.ndarray, labels: np.ndarray, n: int = 128_000, *, channels: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 images (n, channels, H, W), int64 labels (n,)): a set that is stacked once, the seed's own.

    Of grey uint8 `images` (N, 1, H, W) and their labels 0..9, drawn with repetition; the label of a stack has a decimal
    digit for each channel, the first one's first. 128 000 are what VEEGAN's and PacGAN's table 2 take. DataError if an
    image is not grey or a label is missing.
    """
    _check("stacked", images, channels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
        raise DataError(
            f"stacked: expected a label 0..9 for each of {len(images)} images, got {labels.dtype} {labels.shape}"
        )
    chosen = Stream(seed, STREAM).integers(len(images), (n, channels))
    return images[chosen, 0], together(labels[chosen])


def together(classes: np.ndarray) -> np.ndarray:
    """int64 (n,): the classes 0..9 of a stack's channels, (n, channels), as the digits of one number."""
    return classes @ 10 ** np.arange(classes.shape[1])[::-1]


class Stacks:
    """Batches of stacks that are drawn anew each time: a source, as `Batches` is, of which no image comes twice.

    The k-th batch is float32 (batch_size, channels, H, W) in [-1, 1], channels-last in memory, of grey uint8 `images`
    (N, 1, H, W), which stay on `device`; the seed and k decide it. DataError if images are not grey.
    """

    resident = True

    def __init__(
        self, images: np.ndarray, batch_size: int, *, channels: int = 3, seed: int = 0, device: str = "cpu"
    ) -> None:
        _check("Stacks", images, channels)
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise DataError(f"Stacks: expected a whole batch size from 1, got {batch_size}")
        self.batch_size = batch_size
        self.channels = channels
        self._images = backend.to_device(np.ascontiguousarray(images[:, 0]), device)
        self._stream = Stream(seed, STREAM)
        self.nbytes = self._images.nbytes

    def prepare(self, k: int) -> None:
        """Nothing: what a batch holds depends on its number alone."""

    def at(self, k: Any) -> Array:
        """The k-th batch; k may be a 0-d int64 array on the device."""
        shape, device = (self.batch_size, self.channels), backend.device_of(self._images)
        chosen = self._stream.at(k).integers(len(self._images), shape, device)
        drawn = self._images[chosen].transpose(0, 2, 3, 1)
        return kernels(self._images).scaled(backend.xp(drawn).ascontiguousarray(drawn)).transpose(0, 3, 1, 2)


def _check(name: str, images: np.ndarray, channels: int) -> None:
    if images.ndim != 4 or images.shape[1] != 1 or images.dtype != np.uint8 or len(images) == 0 or channels < 1:
        raise DataError(
            f"{name}: expected grey uint8 images (N, 1, H, W), and a channel or more, got {images.dtype} "
            f"{images.shape}, {channels}"
        )
