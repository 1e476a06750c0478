"""Folders of pictures: which files count, in which order, and all of them as one array."""

import contextlib
import copy
import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from ..backend import Array
from ..errors import DataError
from ..system import machine
from ..system.terminal import progress, say, shown
from .arrays import Images
from .pictures import FORMATS, START, is_picture, read_picture

T = TypeVar("T")
R = TypeVar("R")

SHOWN = 3  # skipped files that are named
_told: ContextVar[set[Any] | None] = ContextVar("what has been reported of files", default=None)


class Listing(NamedTuple):
    """The pictures below a folder, in order of their paths, and the reason for each file that is none."""

    pictures: list[Path]
    skipped: dict[Path, str]


def list_pictures(path: str | Path) -> Listing:
    """Every picture below `path`, told by its first bytes; none is decoded.

    Links are followed, a folder that is reached twice is listed once, and names that begin with a dot are passed
    over. Raises DataError if there is no such folder, or no picture in it.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{shown(path)}: no such folder")
    pictures: list[Path] = []
    skipped: dict[Path, str] = {}
    for file, reason in _files(path):
        reason = reason or _no_picture(file)
        if reason:
            skipped[file] = reason
        else:
            pictures.append(file)
    if not pictures:
        held = f"but {_named(path, skipped)}" if skipped else "nor anything else"
        raise DataError(f"{shown(path)}: holds no picture ({', '.join(FORMATS)}), {held}")
    return Listing(sorted(pictures), skipped)


class Pictures:
    """Pictures below a folder that are read when they are needed, `forms` says as what: (size, channels) of each image.

    `skipped` has the reason for each file that is no picture. `numbers` are what belongs to each picture beside
    its images, int64 (N, ...): labels, say.
    """

    def __init__(
        self, path: Path, forms: Sequence[tuple[int, int]], listing: Listing, numbers: Sequence[np.ndarray] = ()
    ) -> None:
        self.path, self.forms, self.numbers = path, forms, list(numbers)
        self.pictures, self.skipped = listing

    def read(self, picture: Path) -> list[np.ndarray]:
        """The images, uint8 (size, size, channels), of one of the pictures; OSError or DataError if it has none."""
        return [read_picture(picture, *form) for form in self.forms]

    def batch(self, arrays: Sequence[Array]) -> Any:
        """An array of images for each form, then of numbers, as one batch: an array, a pair or a named tuple."""
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    def files(self) -> list[tuple[Path, Path]]:
        """(folder, file) of all that is read."""
        return [(self.path, picture) for picture in self.pictures]

    def chosen(self, which: Iterable[int]) -> Self:
        """Those of the pictures alone that have these numbers."""
        found = copy.copy(self)
        places = list(which)
        found.pictures = [self.pictures[k] for k in places]
        found.numbers = [values[places] for values in self.numbers]
        return found


def pictures_in(path: str | Path, size: int, channels: int = 3, *, labels: str | None = None) -> Pictures:
    """The pictures below a folder, each of which is one image, as `image_folder` has it; with their labels."""
    listing = list_pictures(path)
    numbers = [] if labels is None else [folder_labels(Path(path), listing.pictures)]
    return Pictures(Path(path), [(size, channels)], listing, numbers)


def image_folder(
    path: str | Path, size: int, channels: int = 3, *, labels: str | None = None, limit: int | None = None
) -> Images:
    """Every picture below `path`, in order of its path: (uint8 images (N, channels, size, size), labels or None).

    Each is turned upright by its EXIF tag, laid over white where it is transparent, converted to grey (channels 1) or
    RGB (3), scaled so that its shorter side is `size`, and cropped at the centre. With labels="folders" the folders in
    `path` are the classes: int64 (N,), numbered in order of name. `limit` bounds how many files are read, spread over
    all of them.

    Files that are no pictures and pictures that are damaged are skipped, counted, and reported on the terminal with
    the first names and reasons. Raises DataError if no picture is left, more are damaged than whole, or all of them
    would not fit into memory, which `FolderBatches` is for.
    """
    path = Path(path)
    if channels not in (1, 3):
        raise DataError(f"image_folder: expected 1 or 3 channels, got {channels}")
    if size < 1:
        raise DataError(f"image_folder: expected a size of at least 1 pixel, got {size}")
    if labels not in (None, "folders"):
        raise DataError(f'image_folder: expected labels "folders" or None, got {labels!r}')
    pictures = pictures_in(path, size, channels, labels=labels)
    (images,), kept = read_all(pictures, limit)
    if labels is None:
        return images, None
    of = dict(zip(pictures.pictures, pictures.numbers[0], strict=True))
    return images, np.array([of[name] for name in kept], np.int64)


def read_all(
    pictures: Pictures, limit: int | None = None, *, most_whole: bool = True
) -> tuple[list[np.ndarray], list[Path]]:
    """(arrays (N, C, H, W) of the images of all pictures, or of `limit` spread over them; those that were whole).

    Damaged ones are left out and reported on the terminal, as what is no picture is. DataError if all would not fit
    into memory, or more are damaged than whole, unless that may be so.
    """
    path, names = pictures.path, spread(pictures.pictures, limit)
    needed = len(names) * sum(size * size * channels for size, channels in pictures.forms)
    if needed > machine.memory():
        raise DataError(
            f"{shown(path)}: {len(names)} pictures take {needed / 1e9:.0f} GB of memory: use --stream, or FolderBatches"
        )
    arrays = [np.empty((len(names), size, size, channels), np.uint8) for size, channels in pictures.forms]
    kept: list[Path] = []
    damaged: dict[Path, str] = {}

    def tried(name: Path) -> list[np.ndarray] | str:
        try:
            return pictures.read(name)
        except (DataError, OSError) as error:
            return str(error)

    with contextlib.closing(in_order(tried, names)) as found:
        for name, images in zip(names, _with_bar(found, len(names), shown(path.name)), strict=True):
            if isinstance(images, str):
                damaged[name] = images
                continue
            for array, image in zip(arrays, images, strict=True):
                array[len(kept)] = image
            kept.append(name)
    if most_whole:
        refuse_if_most_are_damaged(path, len(names), damaged)
    report(path, len(kept), pictures.skipped | damaged)
    return [array[: len(kept)].transpose(0, 3, 1, 2) for array in arrays], kept


def spread(items: list[T], limit: int | None) -> list[T]:
    """At most `limit` of the items, spread over all of them; all of them without one."""
    return items[:: max(len(items) // limit, 1)][:limit] if limit else items


def refuse_if_most_are_damaged(path: Path, count: int, damaged: Mapping[Path, str]) -> None:
    """DataError if more than half of the pictures of a folder are."""
    if 2 * len(damaged) > count:
        raise DataError(f"{shown(path)}: {len(damaged)} of {count} pictures are damaged: {_named(path, damaged)}")


@contextlib.contextmanager
def each_reported_once() -> Iterator[None]:
    """Within the block, and in this thread, what is left out is reported once, however often its folder is read."""
    before = _told.get()
    _told.set(set() if before is None else before)
    try:
        yield
    finally:
        _told.set(before)


def unreported(folder: str | Path, files: Iterable[T]) -> list[T]:
    """Those of some files of a folder that have not been reported within `each_reported_once`; from now on they have.

    A file goes by its path or by its name alone, and a folder by whatever path leads there.
    """
    told, there = _told.get(), os.path.realpath(folder)
    keys = {file: (there, file.relative_to(folder) if isinstance(file, Path) else file) for file in files}
    found = [file for file, key in keys.items() if told is None or key not in told]
    if told is not None:
        told.update(keys.values())
    return found


def report(path: Path, kept: int, skipped: Mapping[Path, str]) -> None:
    """A line on the terminal about what was skipped, if anything was that has not been reported."""
    new = {file: skipped[file] for file in unreported(path, skipped)}
    if new:
        say(f"{shown(path)}: skipped {len(new)} of {kept + len(new)} files: {_named(path, new)}")


def _named(path: Path, skipped: Mapping[Path, str]) -> str:
    """The first of them, each with its reason."""
    first = [f"{shown(name.relative_to(path))} ({skipped[name]})" for name in sorted(skipped)[:SHOWN]]
    more = [f"{len(skipped) - SHOWN} more"] if len(skipped) > SHOWN else []
    return ", ".join(first + more)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Everything below `folder` that is no folder; with a reason if it cannot be a picture."""
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        try:
            about = place.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            entries = sorted(place.iterdir())
        except OSError as error:
            yield place, f"a folder that cannot be listed: {error.strerror}"
            continue
        inner = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                mode = entry.stat().st_mode
            except OSError as error:
                yield entry, f"cannot be opened: {error.strerror}"
                continue
            if stat.S_ISDIR(mode):
                inner.append(entry)
            else:
                yield entry, "" if stat.S_ISREG(mode) else "not a regular file"
        waiting += reversed(inner)


def _no_picture(path: Path) -> str:
    """Why this file is no picture, if it is none."""
    try:
        with path.open("rb") as content:
            start = content.read(START)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return "" if is_picture(start) else "not a picture" if start else "empty"


def _class_of(path: Path, name: Path) -> str:
    return name.relative_to(path).parts[0]


def folder_classes(path: Path, names: list[Path]) -> dict[str, int]:
    """The number of each class, by the folder in `path` that it is; DataError for a picture that lies in none."""
    for name in names:
        if name.parent == path:
            raise DataError(f"{shown(name)}: is in no folder below {shown(path)} that would be its class")
    return {each: i for i, each in enumerate(sorted({_class_of(path, name) for name in names}))}


def folder_labels(path: Path, names: list[Path]) -> np.ndarray:
    """int64 (N,): the number of each picture's class, as `folder_classes` has them."""
    classes = folder_classes(path, names)
    return np.array([classes[_class_of(path, name)] for name in names], np.int64)


def threads() -> int:
    """How many decode at once: Pillow releases Python's lock while it works."""
    return min(os.cpu_count() or 1, 8)


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """work(item) for each item, in their order, a few of them ahead in threads that end with the iteration."""
    pool = ThreadPoolExecutor(threads(), thread_name_prefix="minigan-pictures")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 4 * threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _with_bar(items: Iterable[T], total: int, name: str) -> Iterable[T]:
    return progress(items, total=total, unit="picture", desc=shown(name))
