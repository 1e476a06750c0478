"""What JPEG leaves of images: blocks of 8x8 pixels, whose cosine transform is rounded to the steps of a table.

On arrays, as libjpeg compresses and decompresses them at a quality (ITU-T T.81 | ISO/IEC 10918-1, JFIF). The code of
the file, which loses nothing, is left out.
"""

import math
from functools import lru_cache

import numpy as np

from ...backend import Array, device_of, to_device, xp
from ...kernels import kernels

LUMINANCE = 0.299, 0.587, 0.114  # of red, green and blue (ITU-R BT.601)
BLOCK = 8  # pixels a side
HALVED = 2 * BLOCK  # pixels a side that share a block of colour of half the size

BRIGHT = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of luminance at quality 50, of the frequencies down and across (T.81, table K.1)."""
COLOURED = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * BLOCK,) * 4,
)
"""Steps of chrominance at quality 50 (T.81, table K.2)."""


def compressed(x: Array, quality: Array, *, halved: bool = True) -> Array:
    """Images (N, C, H, W) of levels 0 .. 255 after JPEG at each one's quality, integers 1 .. 100: whole levels.

    Of C = 3, which are red, green and blue, the chrominance is `halved` in both directions (4:2:0) or not (4:4:4), and
    made as large again by weights of 3/4 and 1/4. C = 1 is luminance alone.
    """
    height, width = x.shape[2:]
    missing = [-side % HALVED for side in (height, width)]
    lib = xp(x)
    x = lib.pad(x, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
    if x.shape[1] == 1:
        found = _coded(lib.rint(x), _steps(BRIGHT, quality))
    else:
        planes = lib.rint(_to_luminance(x))
        bright = _coded(planes[:, :1], _steps(BRIGHT, quality))
        colour = _halved(planes[:, 1:]) if halved else planes[:, 1:]
        colour = _coded(colour, _steps(COLOURED, quality))
        colour = lib.rint(_doubled(_doubled(colour, 2), 3)) if halved else colour
        found = lib.clip(lib.rint(_from_luminance(lib.concatenate([bright, colour], 1))), 0, 255)
    return found[:, :, :height, :width]


def _steps(table: tuple[tuple[int, ...], ...], quality: Array) -> Array:
    """(N, 1, 1, 8, 8): the table at each quality, as libjpeg scales it, from 1 to 255."""
    lib = xp(quality)
    percent = lib.where(quality < 50, 5000 // lib.maximum(quality, 1), 200 - 2 * quality)
    scaled = (_table(table, device_of(quality)) * percent[:, None, None] + 50) // 100
    return lib.clip(scaled, 1, 255)[:, None, None]


@lru_cache
def _table(table: tuple[tuple[int, ...], ...], device: str) -> Array:
    """The table as an array that stays on the device."""
    return to_device(np.array(table), device)


def _coded(planes: Array, steps: Array) -> Array:
    """Planes (N, P, H, W) with sides that 8 divides, whose blocks' cosine transforms are whole multiples of steps.

    In float64, so that coarser products of float32 do not move what is rounded.
    """
    lib, matmul = xp(planes), kernels(planes).matmul
    n, p, height, width = planes.shape
    k = lib.arange(BLOCK, dtype="float64")
    waves = lib.cos((2 * k + 1) * k[:, None] * (math.pi / (2 * BLOCK))) / 2  # row k is the wave of frequency k
    waves[0] = math.sqrt(1 / BLOCK)
    in_rows, in_columns = (n, p, height, width // BLOCK, BLOCK), (n, p, height // BLOCK, BLOCK, width)
    across = matmul((planes.astype("float64") - 128).reshape(in_rows), waves.T).reshape(in_columns)
    steps = lib.tile(steps, (1, 1, 1, 1, width // BLOCK))
    found = lib.rint(8 * matmul(waves, across)) / 8  # as finely as libjpeg has them, where halves are not rare
    kept = lib.sign(found) * lib.floor(abs(found) / steps + 0.5) * steps
    back = matmul(matmul(waves.T, kept).reshape(in_rows), waves)
    return lib.clip(lib.rint(back.reshape(planes.shape) + 128), 0, 255).astype(planes.dtype)


def _to_luminance(x: Array) -> Array:
    """Luminance, and how much more of blue and of red there is (JFIF's Y, Cb and Cr), of red, green and blue."""
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    of_red, of_green, of_blue = LUMINANCE
    y = of_red * red + of_green * green + of_blue * blue
    return xp(x).stack([y, 128 + (blue - y) / (2 * (1 - of_blue)), 128 + (red - y) / (2 * (1 - of_red))], 1)


def _from_luminance(x: Array) -> Array:
    """The way back."""
    y = x[:, 0]
    of_red, of_green, of_blue = LUMINANCE
    blue, red = y + 2 * (1 - of_blue) * (x[:, 1] - 128), y + 2 * (1 - of_red) * (x[:, 2] - 128)
    return xp(x).stack([red, (y - of_red * red - of_blue * blue) / of_green, blue], 1)


def _halved(x: Array) -> Array:
    """The mean of each 2x2 pixels, rounded down after 1/4 and 1/2 are added by turns."""
    total = x[:, :, ::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, ::2] + x[:, :, 1::2, 1::2]
    return xp(x).floor((total + (1 + xp(x).arange(total.shape[3]) % 2).astype(x.dtype)) / 4)


def _doubled(x: Array, axis: int) -> Array:
    """Twice as many pixels along the axis: 3/4 of the one that each lies in, and 1/4 of that one's nearer neighbour."""
    lib = xp(x)
    first, last = (lib.take(x, lib.arange(k, k + 1), axis) for k in (0, x.shape[axis] - 1))
    inner = [slice(None)] * axis
    before = lib.concatenate([first, x[(*inner, slice(-1))]], axis)
    after = lib.concatenate([x[(*inner, slice(1, None))], last], axis)
    shape = (*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
    return lib.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1).reshape(shape)
