"""Images that are arrays already: in memory, or in a file of NumPy's. Nothing is unpickled."""

import io
import math
import struct
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError
from ..system import machine
from ..system.terminal import shown
from . import files

Images = tuple[np.ndarray, np.ndarray | None]  # uint8 (N, C, H, W), int64 labels (N,)

NPY, ZIP, PICKLE = b"\x93NUMPY", b"PK\x03\x04", b"\x80"  # what such files begin with
IMAGES = ("images", "x", "x_train", "arr_0")  # names in an .npz file, the first that is there
LABELS = ("labels", "y", "y_train")


def native(array: np.ndarray) -> np.ndarray:
    """The array with its bytes in this machine's order, itself if it has them so: the same numbers, the same type."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def from_array(images: ArrayLike, labels: ArrayLike | None = None) -> Images:
    """(uint8 images (N, C, H, W), int64 labels (N,) or None) from arrays of any layout and type that says which it is.

    `images` are (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3 (the last if both could be meant): integers
    from 0 to 255, booleans, or floats in [0, 1] or [-1, 1], which become 0..255, rounded. `labels` are integers >= 0,
    (N,) or (N, 1). Raises DataError naming the shapes or values that do not fit, and for one picture (H, W, 3).

    Floats are in [-1, 1] if any of the whole array is below -1/2, else in [0, 1]. What lies beyond is clipped, as far
    as scaling a picture takes it there: by a third of the range at most, of a quarter of all values at most.
    """
    try:
        arrays = np.asarray(images), None if labels is None else np.asarray(labels)
    except ValueError as error:
        raise DataError(f"from_array: images or labels of different shapes in one list ({error})") from error
    return _checked(*arrays, "from_array")


def load_array(path: str | Path) -> Images:
    """Images, and labels if there are some, from an .npy or .npz file, checked and converted as by `from_array`.

    Which of the two it is, is told by its content; an .npy file may be gzipped. An .npz file holds them as "images",
    "x", "x_train" or "arr_0", and "labels", "y" or "y_train". Raises DataError naming the file and its defect, or more
    than this machine's memory; what numpy.savez does not write is refused: pickles, LZMA, BZ2.
    """
    images, labels = read_arrays(path, ("images", IMAGES), ("labels", LABELS))
    assert images is not None
    return _checked(images, labels, shown(path))


def read_arrays(path: str | Path, *wanted: tuple[str, Sequence[str]]) -> list[np.ndarray | None]:
    """The array of an .npy file and None for the others, or those of an .npz file, as they are: one for each `wanted`.

    Each is wanted as (what it is, the names it may have), of which the first that is there is taken. The first must be
    there: DataError if it is not, and for whatever `load_array` refuses.
    """
    path = Path(path)
    where = shown(path)
    with files.reading(path) as content:
        start = content.read(8)
        content.seek(0)
        if start.startswith(ZIP):
            return _read_npz(content, where, wanted)
        if start.startswith(PICKLE):
            raise DataError(f"{where}: a pickle, which can run any code when it is read; save it with numpy.save")
        return [_read_npy(content, files.most_content(path), where), *[None] * (len(wanted) - 1)]


def _read_npz(
    content: io.BufferedIOBase, where: str, wanted: Sequence[tuple[str, Sequence[str]]]
) -> list[np.ndarray | None]:
    try:
        with zipfile.ZipFile(content) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            names = [next((n for n in known if n in members), None) for _, known in wanted]
            if names[0] is None:
                held = ", ".join(map(shown, list(members)[:8])) or "nothing"
                if not any(member.filename.endswith(".npy") for member in members.values()):
                    raise DataError(f"{where}: a zip archive, but not of arrays; unpack it first (it holds {held})")
                what, known = wanted[0]
                raise DataError(f"{where}: expected {what} under the name {' or '.join(known)}, it holds {held}")
            return [None if name is None else _member(archive, members[name], where) for name in names]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a dozen kinds, of zipfile and of what it decompresses with, few of them documented
        raise DataError(f"{where}: not an archive that can be read ({shown(error)})") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray:
    """An array of the archive; its checksum is compared, since it is read to its end."""
    where = f"{where}/{shown(member.filename)}"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile expands those without bound
        raise DataError(f"{where}: compressed as numpy.savez does not; it stores or deflates")
    with archive.open(member) as content:
        return _read_npy(content, min(member.file_size, files.DEFLATE * member.compress_size), where)


LONGEST_HEADER = 10_000  # bytes, NumPy's own limit
MOST_AXES = 32
LONGEST_AXIS = 1 << 63


def _read_npy(content: io.BufferedIOBase | IO[bytes], held: int, where: str) -> np.ndarray:
    """The array in a stream of at most `held` bytes; DataError before anything is read that cannot be there."""
    start = content.read(8)
    if start[:6] != NPY or start[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise DataError(f"{where}: not a file of numpy.save (it begins with {start.hex(' ') or 'nothing'})")
    wide = 4 if start[6] > 1 else 2
    length = content.read(wide)
    if len(length) < wide:
        raise DataError(f"{where}: the header is cut off")
    shape, fortran, dtype = _header(int.from_bytes(length, "little"), content, where)
    if dtype.hasobject:
        raise DataError(f"{where}: an array of Python objects is a pickle, which can run any code when it is read")
    if dtype.kind not in "biuf":
        raise DataError(f"{where}: elements of type {dtype.str}, expected integers, booleans or floats")
    expected = math.prod(shape) * dtype.itemsize
    promise = f"{where}: the header promises {shape} of {dtype}, {expected} bytes"
    if expected == 0:
        raise DataError(f"{where}: no images in an array of shape {shape}")
    if expected > held:
        raise DataError(f"{promise}, at most {held} can follow")
    if expected > machine.memory():
        raise DataError(f"{promise}, more than this machine's memory")
    values = content.read(expected + 1)  # to the end, where a zip file's checksum is compared
    if len(values) != expected:
        raise DataError(f"{promise}, but {'more' if len(values) > expected else len(values)} follow")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")


def _header(size: int, content: io.BufferedIOBase | IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape, whether it is in Fortran's order, and the type that a header of this many bytes tells."""
    text = content.read(min(size, LONGEST_HEADER))
    unread = f"{where}: a header that cannot be read ({text[:80].decode('latin-1')!r})"
    if len(text) < size:
        raise DataError(unread)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header that Python 2 wrote, and of what a broken one looks like
            header = np.lib.format.read_array_header_2_0(io.BytesIO(struct.pack("<I", size) + text))
    except Exception as error:  # NumPy has Python's parser read it, and promises no kind of error
        raise DataError(unread) from error
    if len(header[0]) > MOST_AXES or not all(0 <= n < LONGEST_AXIS for n in header[0]):
        raise DataError(unread)
    return header


def _checked(images: np.ndarray, labels: np.ndarray | None, name: str) -> Images:
    return np.ascontiguousarray(_channels_first(_as_bytes(images, name), name)), _labels(labels, len(images), name)


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """(N, C, H, W) from any of the three layouts."""
    if images.ndim == 3 and images.shape[2] == 3 and images.shape[1] > 3:
        raise DataError(
            f"{name}: {images.shape} looks like one picture (H, W, 3), and images (N, H, W) are expected "
            "to be more than 3 wide; images[None] is a batch of one"
        )
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
    bottom = _bottom(images, float(low), float(high), name)
    made = np.empty(images.shape, np.uint8)
    for image, bytes_ in zip(images, made, strict=True):  # one by one: in floats they would take four times the memory
        bytes_[...] = np.rint((image.astype(np.float32) - bottom) * (255 / (1 - bottom))).clip(0, 255)
    return made


OVERSHOOT = 1 / 3  # of the range, which Lanczos reaches beyond at a hard edge; bicubic half of it
OFTEN = 1 / 4  # of all values, that lie beyond; of MNIST's a fifth


def _bottom(images: np.ndarray, low: float, high: float, name: str) -> float:
    """The value that means black, 0 or -1, in floats that are from `low` to `high`."""
    bottom = -1.0 if low < -0.5 else 0.0
    found = f"{name}: {images.dtype} values from {low:g} to {high:g}"
    reach = OVERSHOOT * (1 - bottom)
    if not (bottom - reach <= low and high <= 1 + reach):  # nor NaN
        raise DataError(f"{found}, expected [0, 1] or [-1, 1]")
    if low < bottom or high > 1:
        half = (1 - bottom) / 510  # a grey level; what is nearer is a rounding error
        beyond = sum(np.count_nonzero((i < bottom - half) | (i > 1 + half)) for i in images) / images.size
        if beyond > OFTEN:
            raise DataError(f"{found}, {beyond:.0%} of them beyond [{bottom:g}, 1], expected [0, 1] or [-1, 1]")
    return bottom


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
