"""Batches of pictures that do not fit into memory: decoded by threads while the batch before is trained on."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import DataError
from ..kernels import kernels
from ..system.terminal import shown
from .augment import Augment, crops_alike
from .batches import STREAM, Batches, Shuffled, Together, of_domain
from .folders import Pictures, pictures_in, refuse_if_most_are_damaged, report, threads
from .pairs import Pair


class PictureBatches(Shuffled):
    """Shuffled batches of pictures, each fitted to a square as by `image_folder`, read when needed: or pairs of them.

    What the k-th batch holds is a function of the files, the seed and k alone; `flip` and `crop` are those of
    `shuffled_batches`. Threads decode the next `ahead` batches, and no more than these are in memory. A picture that
    turns out to be damaged is replaced by the next one that is whole, and counted in `skipped`. Raises DataError naming
    a file that can no longer be read, or if more pictures are damaged than whole.

    `close()`, the end of a `with` block and any error end the threads.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int,
        *,
        seed: int = 0,
        device: str = "cpu",
        flip: bool = False,
        crop: int = 0,
        ahead: int = 2,
        stream: str = STREAM,
    ) -> None:
        backend.array_module(device)  # fails if there is none
        for size, channels in pictures.forms:
            if channels not in (1, 3) or size < 1 or ahead < 1:
                raise DataError(
                    f"{type(self).__name__}: expected 1 or 3 channels, a size and a number of batches ahead of at "
                    f"least 1, got {channels}, {size} and {ahead}"
                )
        self.files = pictures
        self.path, self.pictures, self._no_pictures = pictures.path, pictures.pictures, pictures.skipped
        super().__init__(self.pictures, batch_size, seed, stream)
        report(self.path, len(self.pictures), self._no_pictures)
        sides = [(size, size) for size, _ in pictures.forms]
        self._augments = [
            Augment(flip, own, seed, side, stream, step)
            for side, (own, step) in zip(sides, crops_alike(sides, crop), strict=True)
        ]
        self._device = device
        self._ahead = ahead
        self._damaged: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._orders: dict[int, np.ndarray] = {}  # of the epochs that are being read
        self._waiting: dict[int, list[Future[list[np.ndarray]]]] = {}  # by the number of the batch
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(threads(), thread_name_prefix="minigan-pictures")

    def at(self, k: int) -> Any:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last, on the device.

        Of pairs a named tuple of such arrays, of pictures with labels (images, labels).
        """
        try:
            for j in [j for j in self._waiting if not k <= j <= k + self._ahead]:
                for future in self._waiting.pop(j):
                    future.cancel()
            for j in range(k, k + self._ahead + 1):
                if j not in self._waiting:
                    self._waiting[j] = self._begin(j)
            read = [future.result() for future in self._waiting.pop(k)]
        except BaseException:
            self.close()
            raise
        arrays = [np.stack(images) for images in zip(*read, strict=True)]
        images = [self._sent(*each, k) for each in zip(arrays, self._augments, strict=False)]
        numbers = [backend.to_device(each, self._device) for each in arrays[len(images) :]]
        return self.files.batch([*images, *numbers])

    @property
    def skipped(self) -> dict[Path, str]:
        """The reason for each file below the folder that is no picture, or was found to be damaged so far."""
        with self._lock:
            return self._no_pictures | self._damaged

    def close(self) -> None:
        """End the threads: what has been begun is finished, the rest given up. Nothing can be drawn afterwards.

        What was found to be damaged is reported on the terminal.
        """
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
            self._waiting.clear()
            report(self.path, len(self.pictures) - len(self._damaged), self._damaged)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _sent(self, images: np.ndarray, augment: Augment, k: int) -> Array:
        sent = backend.to_device(augment(images, k), self._device)
        return kernels(sent).scaled(sent).transpose(0, 3, 1, 2)

    def _begin(self, k: int) -> list["Future[list[np.ndarray]]"]:
        """Have the pictures of the k-th batch decoded."""
        if self._pool is None:
            raise DataError(f"{shown(self.path)}: these batches are closed")
        epoch, i = divmod(k, self.per_epoch)
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self._permutation(epoch)
        chosen = self._orders[epoch][i * self._rows : (i + 1) * self._rows]
        return [self._pool.submit(self._picture, int(index)) for index in chosen]

    def _picture(self, index: int) -> list[np.ndarray]:
        """The images of the picture of that number, or of the next one that is whole, and the numbers beside it."""
        count = len(self.pictures)
        for i in range(index, index + count):
            k = i % count
            name = self.pictures[k]
            if name in self._damaged:
                continue
            try:
                return [*self.files.read(name), *(values[k] for values in self.files.numbers)]
            except DataError as error:
                self._skip(name, str(error))
            except OSError as error:
                raise DataError(f"{shown(name)}: can no longer be read ({error.strerror or error})") from error
        raise DataError(f"{shown(self.path)}: no picture is whole")

    def _skip(self, name: Path, reason: str) -> None:
        with self._lock:
            self._damaged[name] = reason
            refuse_if_most_are_damaged(self.path, len(self.pictures), self._damaged)


class FolderBatches(PictureBatches):
    """`PictureBatches` of the pictures below `path`, one image each. DataError if there is none."""

    def __init__(self, path: str | Path, batch_size: int, size: int, channels: int = 3, **drawing: Any) -> None:
        """`drawing` are the seed, device, flip, crop, ahead and stream of `PictureBatches`."""
        super().__init__(pictures_in(path, size, channels), batch_size, **drawing)


def streamed_batches(pictures: Any, batch_size: int, **drawing: Any) -> PictureBatches | Together:
    """The batches that `shuffled_batches` has of the same samples in memory, of pictures that are read when needed.

    Of a named tuple of domains, which have nothing to do with each other: each is `Pictures`, or an array of images
    that is in memory; `labels` are the `source`'s, beside its pictures too. `drawing` are the seed, device, flip, crop.
    """
    if isinstance(pictures, Pictures):
        return PictureBatches(pictures, batch_size, **drawing)
    domains = pictures._asdict()
    labels = domains.pop("labels", None)
    sources: list[Any] = []
    for name, domain in domains.items():
        own = {**drawing, "stream": of_domain(name)}
        if isinstance(domain, Pictures):
            sources.append(PictureBatches(domain, batch_size, **own))
        else:
            sources.append(Batches(domain, batch_size, labels=labels if name == "source" else None, **own))
    return Together(Pair(*sources), type(pictures))
