"""What a file is, told by how it begins, never by its name."""

import tarfile
from pathlib import Path

from ..errors import DataError
from ..system.terminal import shown
from . import arrays, cifar, files, idx, pictures

ACCEPTED = (
    "a folder of pictures, an .npy or .npz file, an IDX file or a folder with MNIST's, or CIFAR-10's archive or records"
)
_OTHERS = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xfd7zXZ": "compressed by xz",
    b"BZh": "compressed by bzip2",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"<": "a page of HTML or XML",
}


def kind(path: Path) -> str:
    """Who reads the file: "arrays" for NumPy's, "idx", "archive" or "records" for CIFAR-10's. Gzip is looked through.

    DataError for what is none of these, which says what it is instead, and what is accepted.
    """
    with files.reading(path) as content:
        start = content.read(tarfile.BLOCKSIZE)
    if start.startswith((arrays.NPY, arrays.ZIP, arrays.PICKLE)):
        return "arrays"
    if idx.is_idx(start):
        return "idx"
    if _is_tar(start):
        return "archive"
    if cifar.is_records(path):
        return "records"
    raise DataError(f"{shown(path)}: {_found(start)}; what is accepted: {ACCEPTED}")


def _is_tar(start: bytes) -> bool:
    try:
        return tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape") is not None
    except tarfile.HeaderError:
        return False


def _found(start: bytes) -> str:
    if pictures.is_picture(start):
        return "one picture, its folder may be given"
    known = next((text for first, text in _OTHERS.items() if start.startswith(first)), "of no kind that is known")
    return f"{known} (it begins with {start[:4].hex(' ')})" if start else "empty"
