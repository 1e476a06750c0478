"""Pairs of images: what a translator is to make, and what it is to make it of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..errors import DataError
from ..system.terminal import say, shown
from .folders import SHOWN, Listing, Pictures, list_pictures, read_all, unreported
from .pictures import read_picture, read_whole

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


class PairsByName(Pictures):
    """Pictures of a folder, the targets, and those of another one that are their sources."""

    def __init__(
        self, path: Path, forms: Sequence[tuple[int, int]], listing: Listing, sources: Path, beside: Mapping[Path, Path]
    ) -> None:
        super().__init__(path, forms, listing)
        self.sources, self.beside = sources, beside

    def read(self, picture: Path) -> list[np.ndarray]:
        """Target and source."""
        both = picture, self.beside[picture]
        return [read_picture(name, *form) for name, form in zip(both, self.forms, strict=True)]

    def batch(self, arrays: Sequence[Array]) -> Pair:
        """A pair of arrays."""
        return Pair(*arrays)

    def files(self) -> list[tuple[Path, Path]]:
        """(folder, file) of the targets, then of the sources."""
        return [*super().files(), *((self.sources, self.beside[picture]) for picture in self.pictures)]


class PairsOfHalves(Pictures):
    """Pictures of two images each, target and source beside each other, of which the source is on that side."""

    def __init__(self, path: Path, forms: Sequence[tuple[int, int]], listing: Listing, source: str) -> None:
        super().__init__(path, forms, listing)
        self.source = source

    def read(self, picture: Path) -> list[np.ndarray]:
        """Target and source."""
        size, channels = self.forms[0]
        both = read_picture(picture, (size, 2 * size), channels)
        left, right = both[:, :size], both[:, size:]
        return [right, left] if self.source == "left" else [left, right]

    def batch(self, arrays: Sequence[Array]) -> Pair:
        """A pair of arrays."""
        return Pair(*arrays)


def pairs_by_name(
    targets: str | Path,
    sources: str | Path,
    size: int,
    channels: int = 3,
    *,
    source_size: int | None = None,
    source_channels: int | None = None,
) -> PairsByName:
    """The pairs of `paired_folders`, which are read when they are needed."""
    targets, sources = Path(targets), Path(sources)
    found = [by_name(folder) for folder in (targets, sources)]
    both = sorted(found[0].keys() & found[1].keys())
    if not both:
        raise DataError(
            f"{shown(targets)} and {shown(sources)}: no picture of one has the name of one in the other; "
            f"they have {shown(min(found[0]))} and {shown(min(found[1]))}, say"
        )
    for folder, here in zip((targets, sources), found, strict=True):
        alone = sorted(here.keys() - set(both))
        if unreported(folder, alone):
            named = ", ".join(shown(name) for name in alone[:SHOWN])
            say(f"{shown(folder)}: {len(alone)} of {len(here)} pictures have no fellow of their name: {named}")
    forms = (size, channels), (source_size or size, source_channels or channels)
    if size != forms[1][0]:
        _say_how_scaled([found[k][both[0]] for k in range(2)], [side for side, _ in forms], sources)
    beside = {found[0][name]: found[1][name] for name in both}
    return PairsByName(targets, forms, Listing(list(beside), {}), sources, beside)


def _say_how_scaled(pair: Sequence[Path], sides: Sequence[int], sources: Path) -> None:
    """A line on the terminal if target and source are, within a tenth, not so many times as large as they are made."""
    try:
        (height, width), (low, narrow) = (read_whole(file, 1)[0].shape[:2] for file in pair)
    except (DataError, OSError):
        return  # it is counted as damaged when pairs are read
    times, asked = min(height, width) / min(low, narrow), sides[0] / sides[1]
    told = (
        f"note: {shown(pair[0])} is {width} x {height} pixels, {shown(pair[1])} {narrow} x {low}, {times:.3g} times "
        f"and not {asked:.3g}: they are scaled to {sides[0]} and {sides[1]} pixels a side"
    )
    if abs(times / asked - 1) > 0.1 and unreported(sources, [told]):
        say(told)


def pairs_of_halves(path: str | Path, size: int, channels: int = 3, *, source: str = "left") -> PairsOfHalves:
    """The pairs of `halves`, which are read when they are needed."""
    if source not in SIDES:
        raise DataError(f"halves: expected the source to be {' or '.join(SIDES)}, got {source!r}")
    return PairsOfHalves(Path(path), [(size, channels)] * 2, list_pictures(path), source)


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

    Each is fitted to a square as by `image_folder`, sources to one of `source_size` pixels a side and with
    `source_channels` if these are given; there are at most `limit`, if that is. A picture without a fellow, and a pair
    of which one is damaged, are left out and counted on the terminal, which says so too if those of
    the first pair are not so many times as large as each other as they are made. DataError if no pair is left, more are
    damaged than whole, or all of them would not fit into memory, which `PictureBatches` are for.
    """
    forms = {"source_size": source_size, "source_channels": source_channels}
    pairs = pairs_by_name(targets, sources, size, channels, **forms)
    return pairs.batch(read_all(pairs, limit)[0])


def halves(path: str | Path, size: int, channels: int = 3, *, source: str = "left", limit: int | None = None) -> Pair:
    """The pictures below `path`, each of which is two of one size beside each other, as pix2pix's data sets have them.

    Each half is fitted to a square of `size` pixels; the source is the `source` one, left or right. Damaged pictures
    are left out and counted on the terminal. DataError if no picture is left, for another side, or if all of them would
    not fit into memory, which `PictureBatches` are for.
    """
    pairs = pairs_of_halves(path, size, channels, source=source)
    return pairs.batch(read_all(pairs, limit)[0])


def by_name(folder: Path) -> dict[str, Path]:
    """The pictures below a folder by their paths in it, without what follows the last dot; DataError for two of one."""
    named: dict[str, Path] = {}
    for picture in list_pictures(folder).pictures:
        name = picture.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise DataError(f"{shown(folder)}: {shown(named[name].name)} and {shown(picture.name)} have one name")
        named[name] = picture
    return named
