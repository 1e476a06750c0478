"""Images that are arrays already: in memory, or in a file of NumPy's. Nothing is unpickled."""

import io
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError
from . import files

Images = tuple[np.ndarray, np.ndarray | None]  # uint8 (N, C, H, W), int64 labels (N,)

IMAGES = ("images", "x", "x_train", "arr_0")  # names in an .npz file, the first that is there
LABELS = ("labels", "y", "y_train")


def from_array(images: ArrayLike, labels: ArrayLike | None = None) -> Images:
    """(uint8 images (N, C, H, W), int64 labels (N,) or None) from arrays of any layout and type that says which it is.

    `images` are (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3 (the last if both could be meant): integers
    from 0 to 255, booleans, or floats in [0, 1] or, if any is negative, in [-1, 1], which become 0..255, rounded.
    `labels` are integers >= 0, (N,) or (N, 1). Raises DataError naming the shapes or values that do not fit.
    """
    return _checked(np.asarray(images), None if labels is None else np.asarray(labels), "from_array")


def load_array(path: str | Path) -> Images:
    """Images, and labels if there are some, from an .npy or .npz file, checked and converted as by `from_array`.

    An .npz file holds them as "images", "x", "x_train" or "arr_0", and "labels", "y" or "y_train". Raises DataError
    naming the file and its defect; arrays of Python objects, which are pickles, are refused.
    """
    path = Path(path)
    with files.reading(path) as content:
        start = content.read(8)
        content.seek(0)
        if start.startswith(b"PK\x03\x04"):
            return _load_npz(path, content)
        if start.startswith(b"\x80"):
            raise DataError(f"{path}: a pickle, which can run any code when it is read; save it with numpy.save")
        return _checked(_read_npy(content, files.most_content(path), str(path)), None, str(path))


def _load_npz(path: Path, content: io.BufferedIOBase) -> Images:
    broken = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error, UnicodeError)
    try:
        with zipfile.ZipFile(content) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            names = [next((n for n in wanted if n in members), None) for wanted in (IMAGES, LABELS)]
            if names[0] is None:
                held = ", ".join(list(members)[:8]) or "nothing"
                raise DataError(f"{path}: expected images under the name {' or '.join(IMAGES)}, it holds {held}")
            arrays = [None if name is None else _member(archive, members[name], path) for name in names]
    except (*broken, struct.error, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not an archive that can be read ({error})") from error
    images, labels = arrays
    assert images is not None
    return _checked(images, labels, str(path))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """An array of the archive; its checksum is compared, since it is read to its end."""
    with archive.open(member) as content:
        held = min(member.file_size, files.DEFLATE * member.compress_size)
        return _read_npy(content, held, f"{path}/{member.filename}")


_HEADER = re.compile(
    r"\{ *'descr': *'([<>|=]?[a-zA-Z][0-9]{0,2})', *'fortran_order': *(True|False),"
    r" *'shape': *\(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\),? *\} *\n?"
)
"""What numpy.save writes. Read as a pattern: numpy.load evaluates it, and warns about what it makes of a broken one."""

_TYPES = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def _read_npy(content: io.BufferedIOBase | IO[bytes], held: int, where: str) -> np.ndarray:
    """The array in a stream of at most `held` bytes; DataError before anything is read that cannot be there."""
    start = content.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise DataError(f"{where}: not a file of numpy.save (it begins with {start.hex(' ') or 'nothing'})")
    long = start[6] > 1
    length = content.read(4 if long else 2)
    if len(length) < (4 if long else 2):
        raise DataError(f"{where}: the header is cut off")
    size = int.from_bytes(length, "little")
    text = content.read(min(size, 10_000)).decode("latin-1")
    header = _HEADER.fullmatch(text)
    if len(text) < size or header is None:
        raise DataError(f"{where}: a header that cannot be read ({text[:80]!r})")
    descr, order, sizes = header.groups()
    if "O" in descr:
        raise DataError(f"{where}: an array of Python objects is a pickle, which can run any code when it is read")
    if not _TYPES.fullmatch(descr):
        raise DataError(f"{where}: elements of type {descr}, expected integers, booleans or floats")
    dtype = np.dtype(descr)
    shape = tuple(int(n) for n in sizes.split(",") if n.strip())
    expected = math.prod(shape) * dtype.itemsize
    promise = f"{where}: the header promises {shape} of {dtype}, {expected} bytes"
    if expected == 0 or expected > held:
        raise DataError(f"{promise}, at most {held} can follow")
    values = content.read(expected + 1)  # to the end, where a zip file's checksum is compared
    if len(values) != expected:
        raise DataError(f"{promise}, but {'more' if len(values) > expected else len(values)} follow")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if order == "True" else "C")


def _checked(images: np.ndarray, labels: np.ndarray | None, name: str) -> Images:
    return np.ascontiguousarray(_channels_first(_as_bytes(images, name), name)), _labels(labels, len(images), name)


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """(N, C, H, W) from any of the three layouts."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    raise DataError(
        f"{name}: expected images (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels C, got {images.shape}"
    )


def _as_bytes(images: np.ndarray, name: str) -> np.ndarray:
    """The same values as uint8 0..255."""
    if images.size == 0 or images.ndim == 0:
        raise DataError(f"{name}: no images in an array of shape {images.shape}")
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images * np.uint8(255)
    if images.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected numbers, got {images.dtype} {images.shape}")
    low, high = images.min(), images.max()
    if images.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise DataError(f"{name}: {images.dtype} values from {low} to {high}, expected 0 to 255")
        return images.astype(np.uint8)
    if not (low >= -1 and high <= 1):  # nor NaN
        raise DataError(f"{name}: {images.dtype} values from {low:g} to {high:g}, expected [0, 1] or [-1, 1]")
    scale, offset = (127.5, 127.5) if low < 0 else (255, 0)
    made = np.empty(images.shape, np.uint8)
    for image, bytes_ in zip(images, made, strict=True):  # one by one: in floats they would take four times the memory
        bytes_[...] = np.rint(image.astype(np.float32) * scale + offset)
    return made


def _labels(labels: np.ndarray | None, count: int, name: str) -> np.ndarray | None:
    if labels is None:
        return None
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: expected one integer label for each of {count} images, got {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() > 2**31:
        raise DataError(f"{name}: labels from {labels.min()} to {labels.max()}, expected 0 or more")
    return labels.reshape(count).astype(np.int64)
