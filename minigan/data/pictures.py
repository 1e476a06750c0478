"""One picture file: its bytes become upright pixels of a given size, or an error that says what is wrong with them."""

import contextlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from PIL import Image, ImageFile

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAX_BYTES = 1 << 28  # of a file
MAX_PIXELS = 1 << 26  # of a picture, half of it of a WEBP: 8192 x 8192 take up to half a gigabyte to convert
MAX_PARTS = 1 << 16  # chunks, segments or blocks of a file
MAX_PASSES = 1 << 31  # pixels times scans of a progressive JPEG, each of which goes over all of them
LARGE = 1 << 22  # pixels above which pictures are decoded one at a time, whatever the number of threads

_PNG = b"\x89PNG\r\n\x1a\n"
_STARTS = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xc0-\xff]|RIFF....WEBPVP8|GIF8[79]a|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    re.DOTALL,
)  # of a BMP with the size of its header
START = 18  # bytes that tell
_ORIENTATION = 0x0112  # the EXIF tag
_one_large = threading.Lock()


def is_picture(start: bytes) -> bool:
    """True if a file that starts so, with START bytes or more, claims to be a picture of one of FORMATS."""
    return _STARTS.match(start) is not None


T = TypeVar("T")
Size = int | tuple[int, int]  # pixels of a square's sides, or (height, width)


def read_picture(path: Path, size: Size, channels: int) -> np.ndarray:
    """The picture in a file as by `decode`; OSError if it cannot be read, DataError if what was read is damaged."""
    return decode(_content(path), size, channels)


def read_whole(path: Path, channels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The picture in a file as by `decode_whole`; OSError if it cannot be read, DataError if it is damaged."""
    return decode_whole(_content(path), channels)


def _content(path: Path) -> bytes:
    if (held := path.stat().st_size) > MAX_BYTES:
        raise DataError(f"{held} bytes, more than the {MAX_BYTES} of a picture")
    return path.read_bytes()


def decode(content: bytes, size: Size, channels: int) -> np.ndarray:
    """uint8 (height, width, channels): the picture turned upright by its EXIF tag and fitted to `size`, in grey or RGB.

    `size` is that of a square, or (height, width). The picture is scaled (Lanczos) so that it covers that, as its
    shorter side does a square, and cropped at the centre. Of 16 bits the upper eight are kept, what is transparent is
    laid over white, and of an animation the first frame is taken. A JPEG of more than twice that size is decoded at
    1/2, 1/4 or 1/8. Raises DataError, whose text is the defect alone: for what is no picture, is cut off, fails a PNG's
    checksums, or has more than MAX_PIXELS, MAX_PARTS or MAX_PASSES, of which none is decoded then.
    """
    height, width = (size, size) if isinstance(size, int) else size

    def fitted(image: "ImageFile.ImageFile") -> np.ndarray:
        from PIL import Image, ImageOps

        image.draft(None, (2 * max(height, width),) * 2)
        with _alone_if_large(image):
            made, turned = _converted(image, channels)
            stored = (height, width) if turned >= 5 else (width, height)  # as the file has it
            made = ImageOps.fit(made, stored, Image.Resampling.LANCZOS)
            if made.mode == "RGBA":
                over = Image.alpha_composite(Image.new("RGBA", made.size, "white"), made)
                made = over.convert("L" if channels == 1 else "RGB")
            return _turned(np.asarray(made).reshape(stored[1], stored[0], channels), turned)

    return _decoded(content, fitted)


def decode_whole(content: bytes, channels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(uint8 (height, width, channels), how opaque each pixel is or None): the picture as large as it is, upright.

    The second is uint8 (height, width) of a picture that has transparent pixels: what the first shows there is what
    the file does. Else as `decode`.
    """

    def whole(image: "ImageFile.ImageFile") -> tuple[np.ndarray, np.ndarray | None]:
        with _alone_if_large(image):
            made, turned = _converted(image, channels)
            alpha = np.asarray(made.getchannel("A")) if made.mode == "RGBA" else None
            pixels = np.asarray(made.convert("L" if channels == 1 else "RGB"))
            pixels = _turned(pixels.reshape(*pixels.shape[:2], channels), turned)
            return pixels, None if alpha is None else _turned(alpha, turned)

    return _decoded(content, whole)


def _decoded(content: bytes, work: Callable[["ImageFile.ImageFile"], T]) -> T:
    """What `work` makes of the picture, once its file is checked; DataError as in `decode`."""
    from PIL import Image

    scans = 1
    if content.startswith(_PNG):
        _check_png(content)
    elif content.startswith(b"\xff\xd8"):
        scans = _scans(content)
    elif content.startswith(b"GIF8"):
        _check_gif(content)
    try:
        with _without_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            most = MAX_PIXELS // 2 if image.format == "WEBP" else MAX_PIXELS  # its decoder has two more of the size
            if width * height > most:
                raise DataError(f"{width}x{height} pixels, more than the {most} that are decoded")
            if width * height * scans > MAX_PASSES:
                raise DataError(f"{scans} scans of {width}x{height} pixels, more than are decoded")
            return work(image)
    except (DataError, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:  # whose text names an object of ours
        raise DataError(f"not a picture in the form of {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's decoders have a dozen ways to fail on damaged bytes, and document none
        raise DataError(f"cannot be decoded ({str(error) or type(error).__name__})") from error


def _alone_if_large(image: "ImageFile.ImageFile") -> contextlib.AbstractContextManager[Any]:
    return _one_large if image.size[0] * image.size[1] > LARGE else contextlib.nullcontext()


def _converted(image: "ImageFile.ImageFile", channels: int) -> tuple["Image.Image", int]:
    """(the picture as the file has it, in grey, RGB or, if some of it is transparent, RGBA; its EXIF orientation)."""
    from PIL import Image

    stored = image.tile[0][3] if image.tile else None
    image.load()
    turned = _orientation(image)
    key = image.info.get("transparency")
    made: Image.Image = image
    if image.mode.startswith("I"):  # 16 bits, which convert() would clip to 8
        deep = np.asarray(image)
        made = Image.fromarray((deep >> 8).clip(0, 255).astype(np.uint8))
        if key is not None:
            made.putalpha(Image.fromarray(np.where(deep == key, 0, 255).astype(np.uint8)))
    elif key is not None and stored in _WIDENED:
        image.info["transparency"] = _WIDENED[stored](key)
    transparent = made.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in made.info
    wanted = "RGBA" if transparent else "L" if channels == 1 else "RGB"
    if made.mode != wanted:
        made = made.convert(wanted)
    if made is not image:
        image.close()  # frees what a large one takes
    return made, turned


def _turned(pixels: np.ndarray, turned: int) -> np.ndarray:
    """Pixels (H, W, ...) as one of EXIF's eight orientations says that they are to be seen."""
    if turned >= 5:
        pixels = pixels.swapaxes(0, 1)
    if turned in (3, 4, 7, 8):  # the first row is at the bottom,
        pixels = pixels[::-1]
    if turned in (2, 3, 6, 7):  # the first column at the right
        pixels = pixels[:, ::-1]
    return pixels


_WIDENED: dict[str, Callable[[Any], Any]] = {
    "L;2": lambda grey: grey % 4 * 85,
    "L;4": lambda grey: grey % 16 * 17,
    "L": lambda grey: grey % 256,
    "RGB": lambda colour: tuple(value % 256 for value in colour),
    "RGB;16B": lambda colour: tuple(value >> 8 for value in colour),
}
"""How a PNG stores pixels, and what becomes of its transparent colour, which Pillow keeps as it stands in the file.

Bits above the depth say nothing.
"""


def _orientation(image: "Image.Image") -> int:
    """The EXIF tag, 1 (upright) to 8; 1 if there is none that makes sense."""
    try:
        tag = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a picture whose EXIF is damaged is still whole
        return 1
    return tag if tag in range(1, 9) else 1


def _check_png(content: bytes) -> None:
    """DataError unless every chunk is whole and has its checksum, up to the last: Pillow compares only some."""
    at, parts = len(_PNG), 0
    while at + 12 <= len(content):
        parts = _counted(parts)
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            break
        if zlib.crc32(memoryview(content)[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise DataError(f"damaged: the checksum of its {kind.decode('latin-1')!r} chunk does not fit")
        if kind == b"IEND":
            return
        at = end + 4
    raise DataError(f"cut off after {len(content)} bytes")


def _counted(parts: int) -> int:
    if parts == MAX_PARTS:
        raise DataError(f"more than {MAX_PARTS} parts, which a picture has not")
    return parts + 1


_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # of a JPEG's segments, of those that have a length


def _scans(content: bytes) -> int:
    """How many scans a JPEG has, up to its end."""
    scans = at = parts = 0
    while (found := _MARKER.search(content, at)) and found[0] != b"\xff\xd9":
        parts = _counted(parts)
        scans += found[0] == b"\xff\xda"
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return scans


def _check_gif(content: bytes) -> None:
    """DataError if there are too many blocks before the first frame."""
    flags = int.from_bytes(content[10:11], "big")
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)  # behind the palette
    parts = 0
    while content[at : at + 1] == b"!":
        at += 2
        while at < len(content) and content[at]:
            parts = _counted(parts)
            at += 1 + content[at]
        at += 1


_lock = threading.Lock()
_inside = 0
_SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Within the block Pillow does not warn of what is odd in a file; warnings.catch_warnings is not for threads."""
    global _inside
    with _lock:
        _inside += 1
        if _SILENCE not in warnings.filters:
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _SILENCE in warnings.filters:
                warnings.filters.remove(_SILENCE)  # type: ignore[attr-defined]  # it is a list
