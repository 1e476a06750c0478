"""Digits that need no file and no network: drawn from the fonts that matplotlib ships, each one warped at random."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..random import Stream
from ..system.machine import load_matplotlib

SIDE = 28
FONTS = [
    *["DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Oblique"],
    *["DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic"],
    *["STIXGeneralBol", "STIXGeneralBolIta", "cmr10", "cmss10", "cmti10", "cmtt10", "cmb10"],
]
_CHUNK = 4096  # digits warped at a time: bounds memory, and fixes the order in which random numbers are drawn


def digits(n: int = 60_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 images (n, 1, 28, 28), int64 labels (n,)): light digits on black, the same for the same n and seed.

    Every digit is a glyph of a random font, rotated, sheared, scaled, shifted and bent by a smooth wave: of
    MNIST's form and size, so that code written for one runs on the other. DataError if n < 1.
    """
    if n < 1:
        raise DataError(f"digits: expected 1 or more of them, got {n}")
    glyphs = _glyphs()
    stream = Stream(seed, "digits")
    images = np.empty((n, 1, SIDE, SIDE), np.uint8)
    labels = stream.integers(10, n)
    for start in range(0, n, _CHUNK):
        part = slice(start, min(start + _CHUNK, n))
        images[part, 0] = _warp(glyphs, labels[part], stream)
    return images, labels


@lru_cache(maxsize=1)
def _glyphs() -> np.ndarray:
    """Float32 pictures (fonts, 10, 56, 56) in [0, 1] of every digit in every font, at twice the final size."""
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(load_matplotlib().get_data_path()) / "fonts" / "ttf"
    side = 2 * SIDE
    glyphs = np.zeros((len(FONTS), 10, side, side), np.float32)
    for i, name in enumerate(FONTS):
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), 52)
        for digit in range(10):
            canvas = Image.new("L", (side, side))
            left, top, right, bottom = font.getbbox(str(digit))
            corner = ((side - left - right) / 2, (side - top - bottom) / 2)
            ImageDraw.Draw(canvas).text(corner, str(digit), fill=255, font=font)
            glyphs[i, digit] = np.asarray(canvas, np.float32) / 255
    return glyphs


def _warp(glyphs: np.ndarray, labels: np.ndarray, stream: Stream) -> np.ndarray:
    """uint8 pictures (n, 28, 28) of `labels`: for each pixel, where in the glyph it comes from."""
    n = len(labels)

    def drawn(low: float, high: float) -> np.ndarray:
        return stream.uniform((n, 1, 1), low, high)

    font = stream.integers(len(glyphs), n)
    angle, shear = drawn(-0.22, 0.22), drawn(-0.25, 0.25)
    width, height = drawn(0.85, 1.2), drawn(0.95, 1.2)
    right, down = drawn(-1.5, 1.5), drawn(-1.5, 1.5)
    grid = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    x, y = grid[None, None, :] - right, grid[None, :, None] - down
    bend_x = drawn(0, 0.9) * np.sin(y * drawn(0.15, 0.3) + drawn(0, math.tau))
    bend_y = drawn(0, 0.9) * np.sin(x * drawn(0.15, 0.3) + drawn(0, math.tau))
    x, y = x + bend_x, y + bend_y
    cos, sin = np.cos(angle), np.sin(angle)
    source_x = ((cos + shear * sin) * x + (shear * cos - sin) * y) * width
    source_y = (sin * x + cos * y) * height
    ink = _bilinear(glyphs, font, labels, 2 * source_x + SIDE - 0.5, 2 * source_y + SIDE - 0.5)
    boldness = drawn(0.9, 1.6)  # above 1, edges that are half ink become full
    return (np.minimum(ink * boldness, 1) * 255).astype(np.uint8)


def _bilinear(glyphs: np.ndarray, font: np.ndarray, labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The glyph of each (font, label) at the points (x, y), in its own pixels, interpolated between four of them."""
    side = glyphs.shape[-1]
    x, y = np.clip(x, 0, side - 1.001), np.clip(y, 0, side - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    x -= column
    y -= row
    first = ((font * 10 + labels) * side * side)[:, None, None] + row * side + column
    flat = glyphs.reshape(-1)
    above = flat[first] * (1 - x) + flat[first + 1] * x
    below = flat[first + side] * (1 - x) + flat[first + side + 1] * x
    return above * (1 - y) + below * y
