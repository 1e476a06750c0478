"""Pictures of samples packed into the page: as few bytes as show the same."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...viz import data_url, read_png

MOST = 60  # pictures of a run
BUDGET = 4_000_000  # bytes of all pictures together
SCALES = (4, 3, 2)  # how much larger than the images `viz.save_png` may have drawn them
T = TypeVar("T")


def pack(
    pictures: Mapping[str, Mapping[int, Path]], encoded_by: Callable[[Path], bytes | None] | None = None
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """(series by name, each a list of {"step", "src"} with the picture as a data URL; the number of damaged files).

    Each series has its first and its last picture, and what fits of those between, evenly spread. `encoded_by` is
    `encode`, or remembers what that made.
    """
    packed, damaged = {}, 0
    for name, paths in pictures.items():
        encoded = []
        for step, path in spread(list(paths.items()), max(MOST // len(pictures), 2)):
            png = (encoded_by or encode)(path)
            damaged += png is None
            if png is not None:
                encoded.append((step, png))
        total = sum(len(png) for _, png in encoded)
        fit = int(len(encoded) * BUDGET / len(pictures) / total) if total else 0
        kept = spread(encoded, max(fit, 2))
        if kept:
            packed[name] = [{"step": step, "src": data_url(png)} for step, png in kept]
    return packed, damaged


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` (2 or more) of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[k] for k in np.rint(np.linspace(0, len(items) - 1, most)).astype(int)]


def encode(path: Path) -> bytes | None:
    """The picture as a small PNG: pixels drawn k by k are drawn once, colours are at most 256; None if it is broken."""
    from PIL import Image

    drawn = read_png(path)
    if drawn is None:
        return None
    picture = Image.fromarray(_unscaled(np.asarray(drawn)))
    if picture.mode == "RGB":
        picture = picture.quantize(256, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _unscaled(pixels: np.ndarray) -> np.ndarray:
    for k in SCALES:
        if pixels.shape[0] % k == 0 and pixels.shape[1] % k == 0:
            small = pixels[::k, ::k]
            if np.array_equal(small.repeat(k, 0).repeat(k, 1), pixels):
                return np.ascontiguousarray(small)
    return pixels
