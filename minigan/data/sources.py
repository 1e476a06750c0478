"""Samples by the name that a command line gives them: a data set, digits drawn from fonts, a folder or a file."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..kernels import kernels
from ..random import Stream
from ..system.options import meant
from ..system.terminal import say, shown
from . import kinds
from .arrays import Images, from_array, load_array, native
from .blended import on_clouds
from .cifar import cifar10, holds_cifar10
from .digits import digits
from .folders import Pictures, folder_classes, image_folder, list_pictures
from .idx import fashion_mnist, holds_mnist, mnist, read_idx

Shape = tuple[int, int, int]  # of one image: channels, height, width
FEW = 200  # held-out images of a dry run
OWN = "data"  # labels that samples come with, not their folders


class Dataset(NamedTuple):
    """A data set with a name: its images' shape, and load("train" or "test", how many at most if it draws them)."""

    shape: Shape
    load: Callable[[str, int | None], Images]
    classes: int = 10  # of its labels


DATASETS = {
    "mnist": Dataset((1, 28, 28), lambda split, most: mnist(split)),
    "fashion_mnist": Dataset((1, 28, 28), lambda split, most: fashion_mnist(split)),
    "digits": Dataset(
        (1, 28, 28),
        lambda split, most: digits(most or 60_000) if split == "train" else digits(most or 10_000, seed=1),
    ),
    "mnist_m": Dataset((3, 28, 28), lambda split, most: on_clouds(mnist(split), seed=int(split == "test"))),
    "cifar10": Dataset((3, 32, 32), lambda split, most: cifar10(split)),
}
"""Every data set that a command line may name."""


class Samples(NamedTuple):
    """What a run learns from: its samples, their labels, their name.

    `values` are uint8 images (N, C, H, W) or float32 points (N, features), or a named tuple of such arrays, of which
    the first is what is learnt to be drawn. They belong together one by one if they are `paired`, labels among them;
    else each is a domain of its own. `on_disk` are the pictures that they, and more if need be, are read from: of
    domains a named tuple of such pictures, or of arrays that are in memory.
    """

    values: Any
    labels: np.ndarray | None
    name: str
    paired: bool = True
    on_disk: Any = None

    @property
    def drawn(self) -> np.ndarray:
        """What generated samples are compared with: the values, or the first array of several."""
        return self.values[0] if isinstance(self.values, tuple) else self.values

    def counts(self, streamed: bool = False) -> dict[str, int]:
        """How many samples there are by name: one number if they are paired, else that of each domain.

        Those on disk, if they are to be `streamed`.
        """
        held = self.on_disk if streamed and self.on_disk is not None else self.values
        parts = held._asdict() if hasattr(held, "_asdict") else {self.name: held}
        counts = {name: len(getattr(part, "pictures", part)) for name, part in parts.items()}
        first = next(iter(counts.values()))
        return {self.name: first} if self.paired else {f"{name} domain": n for name, n in counts.items()}

    def needed_labels(self, why: str) -> np.ndarray:
        """The labels, or the array that is called so; DataError that says why they are needed if there are none."""
        known = self.paired or hasattr(self.values, "source")  # whose labels they are
        beside = getattr(self.values, "labels", None) if known else None
        labels = beside if self.labels is None else self.labels
        if labels is None:
            raise DataError(f"{shown(self.name)}: these samples have no labels, {why}")
        return labels

    @property
    def noun(self) -> str:
        """What the terminal calls them: images or points."""
        return "images" if self.drawn.ndim == 4 else "points"


def data_set(source: str) -> str | None:
    """The data set that --data names, auto included, or whose files a folder holds; None for any other path.

    A folder of Fashion-MNIST's files is mnist's, whose names they have.
    """
    path = Path(source)
    if source in ("auto", *DATASETS):
        return source
    if not path.is_dir():
        return None
    return "cifar10" if holds_cifar10(path) else "mnist" if holds_mnist(path) else None


def is_pictures(source: str) -> bool:
    """Is that --data a folder of pictures, and neither the name of a data set nor a folder with the files of one?"""
    return data_set(source) is None and Path(source).is_dir()


def load_images(
    source: str,
    limit: int | None = None,
    shape: Shape = (1, 28, 28),
    *,
    labels: str | None = None,
    count: int | None = None,
) -> Samples:
    """uint8 images (N, *shape) for --data, and what they really are; DataError if a named set cannot be had.

    `source` is auto, one of DATASETS, or a path: to a folder of pictures, which are fitted to the shape; a folder with
    the files of MNIST or CIFAR-10; a file or archive of CIFAR-10's; an .npy or .npz file as in `load_array`; an IDX
    file, with the labels that lie beside it under MNIST's name. What a file is, is told by its content.

    Grey images that are smaller than the shape get a black border, and three equal channels if they are to be colour
    images; others must have that shape. `limit` bounds how many digits are drawn and pictures read; labels="folders"
    makes the folders of pictures their labels, labels="data" asks for those that samples come with, as None does.
    With `count` there are so many, drawn from all by chance, each time the same ones.
    """
    found = _whole(source, limit, shape, labels)
    return found if count is None else some(found, count)


def _whole(source: str, limit: int | None, shape: Shape, labels: str | None) -> Samples:
    path, pictures = Path(source), is_pictures(source)
    labels = None if labels == OWN else labels
    if labels is not None and not pictures:
        raise DataError(f"labels {labels!r} are for folders of pictures, {shown(source)} is none")
    if pictures:
        read = image_folder(path, size=shape[1], channels=shape[0], labels=labels, limit=limit)
        return Samples(*read, str(path.resolve()))
    if source == "auto" and limit is None:
        try:
            return _named("mnist", "train", shape)
        except (DataError, OSError) as error:
            reason = str(error).split(". ")[0]
            say(f"MNIST cannot be had ({reason}): training on digits drawn from fonts instead")
    if source == "auto":
        source = "digits"
    if source in DATASETS:
        return _named(source, "train", shape, limit)
    return _fitting(_from_path(path), shape, str(path.resolve()))


def count_classes(source: str, *, labels: str | None = None) -> int:
    """How many classes the labels of --data have; source and labels as in `load_images`. DataError if it has none."""
    if source == "auto" or source in DATASETS:
        return DATASETS["mnist" if source == "auto" else source].classes  # which digits have too
    path = Path(source)
    if labels == "folders":
        return len(folder_classes(path, list_pictures(path).pictures))
    if is_pictures(source):
        raise DataError(f"{shown(source)}: these pictures have no labels, unless their folders are (--labels-from)")
    found = Samples(*_from_path(path), source).needed_labels("so their classes cannot be counted")
    return int(found.max()) + 1


def held_out(samples: Samples, *, few: bool = False, shape: Shape | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) that belong to the same set as `samples` and are not among them; a few hundred if `few`.

    The test set of a data set that has a name, of digits new ones; in their own shape, or fitted to this one as by
    `load_images`. DataError for other samples.
    """
    if samples.name not in DATASETS:
        raise DataError(f"no held-out images are known for {shown(samples.name)}")
    own = DATASETS[samples.name].shape
    found = _named(samples.name, "test", shape or own, FEW if few else None)
    images, labels = found.values, found.labels
    assert labels is not None
    return (images[:FEW], labels[:FEW]) if few else (images, labels)


def some(samples: Samples, n: int) -> Samples:
    """n of the samples, the same ones each time, drawn by chance without one twice; DataError if there are fewer.

    Of domains that do not belong together one by one, n of each.
    """

    def chosen(array: np.ndarray) -> np.ndarray:
        if not 1 <= n <= len(array):
            raise DataError(f"{shown(samples.name)}: expected from 1 to all {len(array)} of its samples, got {n}")
        return array[Stream(0, "some of the samples").permutation(len(array))[:n]]

    values = samples.values
    taken = values._make(map(chosen, values)) if hasattr(values, "_fields") else chosen(values)
    return samples._replace(values=taken, labels=None if samples.labels is None else chosen(samples.labels))


def scaled(images: np.ndarray) -> np.ndarray:
    """uint8 images of any shape as float32 in [-1, 1], as batches hold them; `viz.to_uint8` is the way back."""
    if images.dtype != np.uint8:
        raise DataError(f"scaled: expected uint8 images, got {images.dtype} {images.shape}")
    return kernels(images).scaled(images)


def _named(name: str, split: str, shape: Shape, limit: int | None = None) -> Samples:
    """A split of a data set that has a name."""
    held, load, _ = DATASETS[name]
    _check_fits(held, shape, name)  # before anything is downloaded
    return _fitting(load(split, limit), shape, name)


def _from_path(path: Path) -> Images:
    """Images and labels from what is not a folder of pictures."""
    if not path.exists():
        raise DataError(
            f"{shown(path)}: no such folder or file{meant(path.name, DATASETS)}; the data sets with a name are "
            + ", ".join(DATASETS)
        )
    if path.is_dir():
        return mnist("train", path) if holds_mnist(path) else cifar10("train", path)
    kind = kinds.kind(path)
    if kind == "arrays":
        return load_array(path)
    if kind != "idx":
        return cifar10("train", path)
    images = read_idx(path)
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return from_array(images, read_idx(beside) if beside != path and beside.is_file() else None)


def _check_fits(held: Shape, shape: Shape, name: str) -> None:
    grey = held[0] == 1 and held[1] <= shape[1] and held[2] <= shape[2]
    if held != shape and not grey:
        raise DataError(f"{shown(name)} has images of shape {held}, the networks are made for {shape}")


def _fitting(loaded: Images, shape: Shape, name: str) -> Samples:
    """Images that have this shape, or grey ones in the middle of black images that have."""
    images, labels = loaded
    _, height, width = held = images.shape[1:]
    _check_fits(held, shape, name)
    if held != shape:
        top, left = (shape[1] - height) // 2, (shape[2] - width) // 2
        border = ((0, 0), (0, 0), (top, shape[1] - height - top), (left, shape[2] - width - left))
        images = np.pad(images, border).repeat(shape[0], axis=1)
    return Samples(images, labels, name)


def fingerprint(samples: Any) -> dict[str, Any]:
    """How many samples there are, and the SHA-256 of their values: a run is resumed on the same ones only."""
    arrays = [native(array) for array in (samples if isinstance(samples, tuple) else (samples,))]
    digest = hashlib.sha256()
    for array in arrays:
        if len(arrays) > 1:
            digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return {"count": len(arrays[0]), "sha256": digest.hexdigest()}


def fingerprint_of_pictures(pictures: Any) -> dict[str, Any]:
    """How many pictures there are, and the SHA-256 of their files' paths below their folders, sizes, and numbers.

    Of a named tuple of domains, which are `Pictures` or arrays, how many of the first, and that of all of them.
    """
    if isinstance(pictures, tuple):
        each = [(fingerprint_of_pictures if isinstance(part, Pictures) else fingerprint)(part) for part in pictures]
        listed = "\n".join(f"{about['count']} {about['sha256']}" for about in each)
        count = each[0]["count"]
    else:
        listed = "\n".join(
            f"{file.relative_to(folder).as_posix()} {file.stat().st_size}" for folder, file in pictures.files()
        )
        listed = "\n".join([listed, *(fingerprint(values)["sha256"] for values in pictures.numbers)])
        count = len(pictures.pictures)
    digest = hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()
    return {"count": count, "sha256": digest}
