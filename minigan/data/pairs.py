"""Pairs of images: what a translator is to make, and what it is to make it of."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ..errors import DataError
from ..system.terminal import say, shown
from .folders import SHOWN, in_order, list_pictures, refuse_if_most_are_damaged, report, spread
from .pictures import read_picture

Name = TypeVar("Name")

SIDES = ("left", "right")


class Pair(NamedTuple):
    """Images, or batches of them, that a translator makes (`target`), and those that it makes them of (`source`).

    uint8 (N, C, H, W) each. They belong together one by one, or are two domains (`Samples.paired`).
    """

    target: np.ndarray
    source: np.ndarray


class LabelledDomains(NamedTuple):
    """Two domains, or batches of them, of which the labels of the `source` are known: int64 (N,)."""

    target: np.ndarray
    source: np.ndarray
    labels: np.ndarray


def paired_folders(
    targets: str | Path,
    sources: str | Path,
    size: int,
    channels: int = 3,
    *,
    source_size: int | None = None,
    source_channels: int | None = None,
    limit: int | None = None,
) -> Pair:
    """The pictures of two folders that have the same path there, but for what follows its last dot: as many of each.

    Each is fitted to a square as by `image_folder`, sources to one of `source_size` pixels a side if that is given. A
    picture without a fellow, and a pair of which one is damaged, are left out and counted on the terminal. DataError if
    no pair is left, or more are damaged than whole.
    """
    targets, sources = Path(targets), Path(sources)
    found = [_by_name(folder) for folder in (targets, sources)]
    both = sorted(found[0].keys() & found[1].keys())
    if not both:
        raise DataError(
            f"{shown(targets)} and {shown(sources)}: no picture of one has the name of one in the other; "
            f"they have {shown(min(found[0]))} and {shown(min(found[1]))}, say"
        )
    for folder, here in zip((targets, sources), found, strict=True):
        if alone := sorted(here.keys() - set(both)):
            named = ", ".join(shown(name) for name in alone[:SHOWN])
            say(f"{shown(folder)}: {len(alone)} of {len(here)} pictures have no fellow of their name: {named}")
    forms = (size, channels), (source_size or size, source_channels or channels)
    names = spread(both, limit)

    def read(name: str) -> list[np.ndarray]:
        return [read_picture(by_name[name], *form) for by_name, form in zip(found, forms, strict=True)]

    return _read(targets, [found[0][name] for name in names], names, read)


def halves(path: str | Path, size: int, channels: int = 3, *, source: str = "left", limit: int | None = None) -> Pair:
    """The pictures below `path`, each of which is two of one size beside each other, as pix2pix's data sets have them.

    Each half is fitted to a square of `size` pixels; the source is the `source` one, left or right. Damaged pictures
    are left out and counted on the terminal. DataError if no picture is left, or for another side.
    """
    if source not in SIDES:
        raise DataError(f"halves: expected the source to be {' or '.join(SIDES)}, got {source!r}")
    path = Path(path)
    pictures = spread(list_pictures(path).pictures, limit)

    def read(name: Path) -> list[np.ndarray]:
        both = read_picture(name, (size, 2 * size), channels)
        left, right = both[:, :size], both[:, size:]
        return [right, left] if source == "left" else [left, right]

    return _read(path, pictures, pictures, read)


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures below a folder by their paths in it, without what follows the last dot; DataError for two of one."""
    named: dict[str, Path] = {}
    for picture in list_pictures(folder).pictures:
        name = picture.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise DataError(f"{shown(folder)}: {shown(named[name].name)} and {shown(picture.name)} have one name")
        named[name] = picture
    return named


def _read(
    path: Path, pictures: Sequence[Path], names: Sequence[Name], read: Callable[[Name], list[np.ndarray]]
) -> Pair:
    """The pair of arrays (N, C, H, W) of what `read` gives for each name, (target, source); pictures are named so."""
    kept: list[list[np.ndarray]] = []
    damaged: dict[Path, str] = {}

    def tried(name: Name) -> list[np.ndarray] | str:
        try:
            return read(name)
        except (DataError, OSError) as error:
            return str(error)

    with contextlib.closing(in_order(tried, names)) as found:
        for picture, images in zip(pictures, found, strict=True):
            if isinstance(images, str):
                damaged[picture] = images
            else:
                kept.append(images)
    refuse_if_most_are_damaged(path, len(pictures), damaged)
    report(path, len(kept), damaged)
    return Pair(*(np.stack(images).transpose(0, 3, 1, 2) for images in zip(*kept, strict=True)))
