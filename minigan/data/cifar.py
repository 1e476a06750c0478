"""CIFAR-10 in its binary version: files of records, or the archive they come in, which is never unpacked to disk."""

import os
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from ..system.terminal import shown
from . import files

Images = tuple[np.ndarray, np.ndarray]

RECORD = 1 + 3 * 32 * 32  # a label and the red, green and blue plane
ARCHIVE = "cifar-10-binary.tar.gz"
MIRRORS = ["https://www.cs.toronto.edu/~kriz/"]
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
SPLITS = {"train": "data_batch_*.bin", "test": "test_batch*.bin"}

MOST_RECORDS = 10_000  # of a file of the archive
MOST_BYTES = 180 << 20  # of the archive: it has 170 million
MOST_CONTENT = 192 << 20  # bytes of the archive, decompressed: it has 184 million
MOST_MEMBERS = 100
PICKLED = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_[0-9]", "test_batch")


def cifar10(split: str = "train", path: str | Path | None = None) -> Images:
    """CIFAR-10: (uint8 images (N, 3, 32, 32), int64 labels (N,)); Krizhevsky 2009.

    `split` is "train" (data_batch_*.bin, 50 000) or "test" (test_batch*.bin, 10 000). `path` is a folder with such
    files, with the folder cifar-10-batches-bin or with cifar-10-binary.tar.gz in it, or one such file; by default
    $MINIGAN_DATA/cifar10, $MINIGAN_DATA or the user's cache, to which the archive is downloaded (170 MB, compared
    with its SHA-256). Raises DataError if there is none, or one is broken; the Python version is refused, since
    reading a pickle can run any code.
    """
    if split not in SPLITS:
        raise DataError(f"cifar10: expected train or test, got {split!r}")
    places = [Path(path)] if path is not None else files.folders("cifar10")
    parts = next((found for place in places if (found := _found(place, SPLITS[split]))), [])
    if not parts and path is not None:
        raise DataError(f"cifar10: no {SPLITS[split]} in {shown(path)}")
    if not parts:
        archive = files.cached(ARCHIVE, MIRRORS, SHA256, MOST_BYTES, files.cache_folder() / "cifar10")
        parts = list(_members(archive, SPLITS[split]))
    images = np.empty((sum(len(content) for _, content in parts) // RECORD, 3, 32, 32), np.uint8)
    labels = np.empty(len(images), np.int64)
    start = 0
    for name, content in parts:
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() > 9:
            raise DataError(f"{name}: label {records[:, 0].max()} is not one of CIFAR-10's 0..9")
        part = slice(start, start := start + len(records))
        images[part], labels[part] = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
    return images, labels


def holds_cifar10(folder: Path) -> bool:
    """True if `folder` has files of CIFAR-10, be they of the version that is refused."""
    patterns = (*SPLITS.values(), "cifar-10-batches-bin", ARCHIVE, *PICKLED)
    names = [name for name in os.listdir(folder) if name.startswith(("data_batch", "test_batch", "cifar-10"))]
    return any(fnmatch(name, pattern) for name in names for pattern in patterns)


def is_records(path: Path) -> bool:
    """True if this is a file of whole records, as far as its size tells."""
    size = path.stat().st_size if path.is_file() else 0
    return size > 0 and size % RECORD == 0 and not files.is_gzipped(path)


def _found(place: Path, pattern: str) -> list[tuple[str, bytes]]:
    """The names and contents of the files at `place` that match."""
    if place.is_file():
        records = is_records(place) or (place.suffix == ".bin" and not files.is_gzipped(place))
        return [(shown(place), _records(place))] if records else list(_members(place, pattern))
    for folder in (place, place / "cifar-10-batches-bin"):
        if paths := sorted(folder.glob(pattern)):
            return [(shown(path), _records(path)) for path in paths]
    if (place / ARCHIVE).is_file():
        return list(_members(place / ARCHIVE, pattern))
    for name in PICKLED:
        for path in sorted(place.glob(name)):
            raise _pickled(shown(path))
    return []


def _pickled(name: str) -> DataError:
    return DataError(
        f"{name}: the Python version of CIFAR-10 is a pickle, and reading a pickle can run any code; take the binary "
        f"version, {MIRRORS[0]}{ARCHIVE}"
    )


def _records(path: Path) -> bytes:
    with files.reading(path) as content:
        if files.is_gzipped(path):
            raise DataError(f"{shown(path)}: gzipped, which only the archive of CIFAR-10 is")
        _check_size(shown(path), path.stat().st_size)
        return content.read()


def _check_size(name: str, size: int) -> None:
    if size <= 0 or size % RECORD:
        raise DataError(f"{name}: {size} bytes are not a whole number of records of {RECORD}")


def _members(path: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """The files of the archive that match, in order of name. It is decompressed whole, so its checksum is compared."""
    if any(fnmatch(path.name, name) for name in PICKLED):
        raise _pickled(shown(path))
    with files.reading(path) as stream:
        if not files.is_gzipped(path):
            raise DataError(f"{shown(path)}: not a gzipped archive")
        content = stream.read(min(files.most_content(path), MOST_CONTENT) + 1)
    if len(content) > MOST_CONTENT:
        raise DataError(f"{shown(path)}: more than {MOST_CONTENT} bytes when decompressed, which CIFAR-10 has not")
    yield from sorted(_chosen(shown(path), content, pattern))


def _chosen(path: str, content: bytes, pattern: str) -> Iterator[tuple[str, bytes]]:
    seen = set()
    for member, held in _unpacked(path, content):
        where = f"{path}: its member {member.name!r}"
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{where} would lie outside the archive's folder")
        if any(fnmatch(name.name, pickled) for pickled in PICKLED):
            raise _pickled(f"{path}/{shown(name)}")
        if not fnmatch(name.name, pattern):
            continue
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise DataError(f"{where} is not a plain file")
        _check_size(where, member.size)
        if member.size > MOST_RECORDS * RECORD or name.name in seen:
            raise DataError(f"{where} is larger than CIFAR-10's, or there twice")
        seen.add(name.name)
        if len(held) != member.size:
            raise DataError(f"{where} is cut off after {len(held)} of {member.size} bytes")
        yield f"{path}/{shown(name)}", held


def _unpacked(path: str, content: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Each member of a tar archive and what is there of its content.

    tarfile itself follows what one member says of the next as deep as it goes. Here long names and other things that
    stand in members of their own are members like any other, and are counted with them.
    """
    at = count = 0
    while at < len(content) and content[at : at + tarfile.BLOCKSIZE].strip(b"\0"):
        if count >= MOST_MEMBERS:
            raise DataError(f"{path}: more than {MOST_MEMBERS} members, which CIFAR-10 has not")
        try:
            member = tarfile.TarInfo.frombuf(content[at : at + tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise DataError(f"{path}: not an archive that can be read ({error}, {at} bytes from its start)") from error
        size = 0 if member.isdir() or member.issym() or member.islnk() or member.isdev() else member.size
        if size < 0:
            raise DataError(f"{path}: its member {member.name!r} says it has {size} bytes")
        at += tarfile.BLOCKSIZE
        yield member, content[at : at + size]
        at += -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        count += 1
