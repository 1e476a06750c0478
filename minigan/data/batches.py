"""Batches of samples: what the k-th batch of a run holds is a function of the seed and k alone.

Where several processes share a batch, each draws its rows of it (`processes.part`).

`Batches` keeps all samples where they are used; `StreamedBatches` sends each batch to a GPU that cannot hold them;
`Together` puts several sources side by side.
"""

from collections.abc import Callable, Sized
from typing import Any

import numpy as np

from .. import backend, processes
from ..backend import Array, xp
from ..errors import DataError
from ..kernels import kernels, uploads
from ..random import Stream
from .arrays import native
from .augment import Augment, crops_alike

RESIDENT = 2 << 30  # bytes of images up to which a GPU keeps them all
STREAM = "batches"  # the name of the stream by which samples are shuffled, unless they have one of their own


class Shuffled:
    """What every kind shares: each epoch is a new permutation; what does not fill a batch is left for the next.

    Sources of the same seed, `stream` and number of samples are shuffled alike.
    """

    resident = False  # can a captured step draw its batch by itself, by a number that lives on the device?
    nbytes = 0  # of the samples that are kept on the device

    def __init__(self, samples: Sized, batch_size: int, seed: int, stream: str = STREAM) -> None:
        if not 1 <= batch_size <= len(samples):
            raise DataError(f"Batches: expected a batch size from 1 to the {len(samples)} samples, got {batch_size}")
        self.batch_size = batch_size
        self.per_epoch = len(samples) // batch_size
        self._count = len(samples)
        self._stream = Stream(seed, stream)

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""

    def close(self) -> None:
        """End what works ahead for these batches, if anything does: nothing is drawn of them afterwards."""

    def at(self, k: int) -> Any:
        """The k-th batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define at")

    def _permutation(self, epoch: int) -> np.ndarray:
        """Which samples this process draws in that epoch, batch after batch, as many as `_rows` for each."""
        order = self._stream.at(epoch).permutation(self._count)
        return processes.part().take(order[: self.per_epoch * self.batch_size])

    @property
    def _rows(self) -> int:
        """How many rows of a batch are this process's; ShapeError if they are not as many for each."""
        return processes.part().rows(self.batch_size)


class Batches(Shuffled):
    """Shuffled batches of samples that are kept whole on `device`, with their labels if there are some.

    Samples are uint8 images (N, C, H, W), scaled to [-1, 1] as they are drawn, or float32 points (N, features), float32
    sequences (N, steps, features) or int64 numbers (N, ...), drawn as they are; `labels` are int64 (N,). With `flip`
    each image is mirrored left to right with probability 1/2, with `crop` it is moved by up to so many pixels in each
    direction, by multiples of `step`, reflected at its edge; both anew in each batch. Raises DataError naming shapes
    and types that do not fit.
    """

    resident = True

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
        step: int = 1,
        stream: str = STREAM,
    ) -> None:
        samples, labels = native(samples), None if labels is None else native(labels)
        self._images = (samples.ndim, samples.dtype) == (4, np.uint8)
        numbers = samples.dtype == np.int64 or (samples.dtype == np.float32 and samples.ndim in (2, 3))
        if not self._images and not numbers:
            raise DataError(
                "Batches: expected uint8 images (N, C, H, W) or float32 points (N, features), float32 sequences "
                f"(N, steps, features) or int64 numbers, got {samples.dtype} {samples.shape}"
            )
        super().__init__(samples, batch_size, seed, stream)
        if labels is not None and (labels.shape != (len(samples),) or labels.dtype != np.int64):
            raise DataError(
                f"Batches: expected one int64 label for each of {len(samples)} samples, "
                f"got {labels.dtype} {labels.shape}"
            )
        if not self._images and (flip or crop):
            raise DataError(f"Batches: points cannot be flipped or cropped, got {samples.dtype} {samples.shape}")
        self._augment = Augment(flip, crop, seed, samples.shape[2:], stream, step)
        ordered = samples.transpose(0, 2, 3, 1) if self._images else samples
        self._samples = backend.to_device(np.ascontiguousarray(ordered), device)
        self._labels = None if labels is None else backend.to_device(labels, device)
        self._orders: dict[processes.Part, Array] = {}  # of whose rows; a captured step knows where its own lies
        self._epochs: dict[processes.Part, int] = {}
        self.nbytes = sum(array.nbytes for array in (self._samples, self._labels, self._order) if array is not None)

    def prepare(self, k: int) -> None:
        """Make the order of the k-th batch's epoch the one that `at` reads, where it lies on the device."""
        epoch, part, order = k // self.per_epoch, processes.part(), self._order
        if epoch != self._epochs.get(part):
            order[...] = backend.to_device(self._permutation(epoch), backend.device_of(order))
            self._epochs[part] = epoch

    def at(self, k: int | Array) -> Array | tuple[Array, Array]:
        """The k-th batch, (samples, labels) if there are labels: labels are int64 (batch_size,).

        Samples are float32 images (batch_size, C, H, W) in [-1, 1], channels-last in memory, or what they are. k may be
        a 0-d int64 array on the device, so that a captured step draws another batch at each replay; its epoch must have
        been prepared.
        """
        if isinstance(k, int):
            self.prepare(k)
        drawn = self._drawn_images(k) if self._images else self._samples[self._chosen(k)]
        return drawn if self._labels is None else (drawn, self._labels[self._chosen(k)])

    def _drawn_images(self, k: int | Array) -> Array:
        fast = kernels(self._order)
        if self._augment.idle:
            drawn = fast.gather_images(self._samples, self._order, k, self.per_epoch, self._rows)
        else:
            drawn = fast.scaled(self._augment(self._samples[self._chosen(k)], k))
        return drawn.transpose(0, 3, 1, 2)

    def _chosen(self, k: int | Array) -> Array:
        """Which samples the k-th batch holds, where they lie."""
        return self._order[k % self.per_epoch * self._rows + xp(self._order).arange(self._rows)]

    @property
    def _order(self) -> Array:
        """Which samples this process draws in the epoch that has been prepared, where they lie."""
        part = processes.part()
        if part not in self._orders:
            lib: Any = backend.array_module(backend.device_of(self._samples))
            self._orders[part] = lib.zeros(self.per_epoch * self._rows, dtype="int64")
        return self._orders[part]


class StreamedBatches(Shuffled):
    """The same batches for a GPU, from images that stay on the host: one is sent while the one before is used."""

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        *,
        seed: int = 0,
        flip: bool = False,
        crop: int = 0,
        step: int = 1,
        stream: str = STREAM,
    ) -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"StreamedBatches: expected uint8 images (N, C, H, W), got {images.dtype} {images.shape}")
        super().__init__(images, batch_size, seed, stream)
        self._augment = Augment(flip, crop, seed, images.shape[2:], stream, step)
        self._images = images.transpose(0, 2, 3, 1)
        self._uploads: uploads.Uploads | None = None
        self._sent: dict[int, int] = {}  # which batch each of the two slots holds
        self._epoch = -1

    def at(self, k: int) -> Array:
        """The k-th batch of the run: float32 (batch_size, C, H, W) in [-1, 1], channels-last, on the GPU."""
        if self._uploads is None:
            self._uploads = uploads.Uploads((self._rows, *self._images.shape[1:]))
        if self._sent.get(k % 2) != k:
            self._send(self._uploads, k)
        batch = self._uploads.take(k % 2)
        self._send(self._uploads, k + 1)
        return batch.transpose(0, 3, 1, 2)

    def _send(self, to: uploads.Uploads, k: int) -> None:
        epoch, i = divmod(k, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._permutation(epoch)
        chosen = self._order[i * self._rows : (i + 1) * self._rows]
        to.begin(k % 2, lambda buffer: self._fill(buffer, chosen, k))
        self._sent[k % 2] = k

    def _fill(self, buffer: np.ndarray, chosen: np.ndarray, k: int) -> None:
        np.take(self._images, chosen, axis=0, out=buffer)
        if not self._augment.idle:
            buffer[...] = self._augment(buffer, k)


class Together:
    """Several sources side by side, given as a named tuple: the k-th batch is a named tuple of their k-th batches.

    Sources that are shuffled alike give pairs, images and what belongs to each; those with streams of their own give
    samples of two domains that have nothing to do with each other. An epoch is the longest source's. Batches may be of
    another `kind`, which also has the labels of sources that come with some, after those. DataError if the sources'
    batches are of different sizes.
    """

    def __init__(self, sources: Any, kind: Callable[..., Any] | None = None) -> None:
        sizes = {name: source.batch_size for name, source in _fields("Together", sources).items()}
        if len(set(sizes.values())) != 1:
            raise DataError(f"Together: expected sources of one batch size, got {sizes}")
        self.sources = sources
        self._kind = type(sources) if kind is None else kind
        self.batch_size = sources[0].batch_size
        self.per_epoch = max(source.per_epoch for source in sources)
        self.resident = all(source.resident for source in sources)
        self.nbytes = sum(source.nbytes for source in sources)

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""
        for source in self.sources:
            source.prepare(k)

    def close(self) -> None:
        """End what works ahead for any of the sources."""
        for source in self.sources:
            source.close()

    def at(self, k: int | Array) -> Any:
        """The k-th batch of each source, in a tuple of the sources' kind or of the one that was asked for."""
        parts = [source.at(k) for source in self.sources]
        return self._kind(*(each for part in parts for each in (part if isinstance(part, tuple) else (part,))))


def shuffled_batches(
    samples: Any,
    batch_size: int,
    *,
    labels: np.ndarray | None = None,
    device: str = "cpu",
    paired: bool = True,
    **drawing: Any,
) -> Batches | StreamedBatches | Together:
    """Shuffled batches for `device`: images without labels are sent one by one if they would fill a GPU's memory.

    `drawing` are seed, flip, crop and stream of `Batches`. Of a named tuple of arrays, batches are named tuples: of the
    same samples in each array, mirrored and moved alike, if they are `paired`, whatever times as large as the smallest
    ones images are (`crop` counts pixels of the largest); else each array is shuffled for itself, but for one called
    `labels`, which belongs to the one called `source`. DataError if paired arrays differ in length, or their images
    cannot be moved alike.
    """
    if isinstance(samples, np.ndarray):
        if device == "cuda" and samples.nbytes > RESIDENT and labels is None and samples.dtype == np.uint8:
            return StreamedBatches(samples, batch_size, **drawing)
        return Batches(samples, batch_size, labels=labels, device=device, **drawing)
    named = _fields("shuffled_batches", samples)
    lengths = {name: len(array) for name, array in named.items()}
    if paired and len(set(lengths.values())) > 1:
        raise DataError(f"Batches: arrays of pairs are of one length, got {lengths}; those of domains are not `paired`")
    if labels is not None:
        raise DataError("Batches: labels of a named tuple of arrays are one of its arrays")
    crop = drawing.get("crop", 0)
    images = {name: array.shape[2:] for name, array in named.items() if array.ndim == 4}
    crops = dict(zip(images, crops_alike(list(images.values()), crop), strict=True)) if paired else {}
    sources: list[Any] = []
    for name, array in named.items():
        own = {k: v for k, v in drawing.items() if array.ndim == 4 or k not in ("flip", "crop")}
        if name in crops:
            own["crop"], own["step"] = crops[name]
        if not paired:
            of = "source" if name == "labels" and "source" in named else name
            own["stream"] = of_domain(of, drawing.get("stream", STREAM))
        sources.append(shuffled_batches(array, batch_size, device=device, **own))
    return Together(type(samples)(*sources))


def of_domain(name: str, stream: str = STREAM) -> str:
    """The stream by which a domain is shuffled that has nothing to do with others beside it."""
    return f"{stream} of {name}"


def _fields(name: str, several: Any) -> dict[str, Any]:
    """What a named tuple holds, by name."""
    parts = several._asdict() if hasattr(several, "_asdict") else {}
    strange = [part for part in parts.values() if not (hasattr(part, "at") or isinstance(part, np.ndarray))]
    if strange or not parts:
        raise DataError(f"{name}: expected an array or a named tuple, got a {type([*strange, several][0]).__name__}")
    return parts
