"""Small images as they are found: blurred, resized, noisy and compressed, and all of it twice.

The high-order degradations of Real-ESRGAN (Wang et al. 2021), by which a network for real pictures is trained on
clean ones.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...backend import Array, device_of, to_device, xp
from ...errors import ShapeError
from ...kernels import kernels
from ...kernels.calls import made
from ...random import Stream
from ...tensor import Tensor
from .blurs import Blur, BlurDraws, Range, between, blurring, filtered, picked, ringing, untouched
from .jpeg import LUMINANCE, compressed

Sides = tuple[Array, Array]  # int64 (N,) each: rows and columns of each image that count


class Degradation(NamedTuple):
    """One round of degradations: how likely each is, and between which bounds it is drawn."""

    blurred: float
    blur: Blur
    resized: tuple[float, float]  # larger, smaller; else it stays
    scale: Range
    gaussian: float  # else noise is Poisson's
    sigma: Range  # of Gaussian noise, in levels of 255
    poisson: Range  # times Poisson noise
    grey: float  # noise that is the same in all channels
    quality: tuple[int, int]  # of JPEG


FIRST = Degradation(
    blurred=1.0,
    blur=Blur(sinc=0.1, sigma=(0.2, 3.0)),
    resized=(0.2, 0.7),
    scale=(0.15, 1.5),
    gaussian=0.5,
    sigma=(1.0, 30.0),
    poisson=(0.05, 3.0),
    grey=0.4,
    quality=(30, 95),
)
"""The first round (Wang et al. 2021, section 4.1 and the settings of its authors)."""
SECOND = FIRST._replace(
    blurred=0.8,
    blur=Blur(sinc=0.1, sigma=(0.2, 1.5)),
    resized=(0.3, 0.4),
    scale=(0.3, 1.2),
    sigma=(1.0, 25.0),
    poisson=(0.05, 2.5),
)
"""The second round, whose scale is relative to the size that is wanted at the end."""
FINAL_SINC = 0.8  # how likely the last filter rings
MODES = 3  # of resizing: area, bilinear, bicubic, as likely each
CUBIC = -0.75  # Keys's a
COUNTS = 384  # a Poisson number of mean 256 is larger once in 10^13


class Draws(NamedTuple):
    """Uniform numbers (N,) that a round is made of, beside those of its noise."""

    blurred: Array
    direction: Array
    scale: Array
    mode: Array
    gaussian: Array
    strength: Array
    grey: Array
    quality: Array
    filter: BlurDraws


class FinalDraws(NamedTuple):
    """Uniform numbers (N,) that the end is made of."""

    rings: Array
    size: Array
    cutoff: Array
    mode: Array
    order: Array


ROUND = len(Draws._fields) - 1 + len(BlurDraws._fields)


def degraded(x: Tensor, rng: Stream, factor: int = 4) -> Tensor:
    """(N, C, H / factor, W / factor) of 256 levels: what two rounds of degradations leave, each image its own ones.

    A round is a random blur, a random resize, noise and JPEG, as FIRST and SECOND say; at the end, in either order,
    JPEG, and a resize to the size that is wanted with a sinc filter behind it. Images of a batch are resized by scales
    of their own: each lies in the corner of an array that has room for the largest scale, and filters, JPEG and the
    next resize end where it ends. So shapes do not depend on what is drawn, and a captured step draws anew. The
    authors' program draws one scale for all of a batch.

    ShapeError unless images are grey or have three channels, of sides that the factor divides.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or any(side % factor for side in x.shape[2:]):
        raise ShapeError(f"degraded: expected images (N, 1 or 3, H, W) of sides that {factor} divides, got {x.shape}")
    n, c, height, width = x.shape
    kind: dict[str, Any] = {"dtype": x.dtype, "device": x.device}
    u = rng.uniform((n, 2 * ROUND + len(FinalDraws._fields)), **kind)
    noise = []
    for about, wanted in ((FIRST, (height, width)), (SECOND, (height // factor, width // factor))):
        room = (n, c, *_room(wanted, about))
        noise += [rng.normal(room, **kind), rng.uniform(room, **kind)]
    return Tensor(made(_degraded, x.data, u, *noise, factor))


def _degraded(x: Array, u: Array, normal: Array, even: Array, normal2: Array, even2: Array, factor: int) -> Array:
    lib, (height, width) = xp(x), x.shape[2:]
    full = lib.zeros(len(x), dtype="int64")
    sides, small = (full + height, full + width), (full + height // factor, full + width // factor)
    first, second = _draws(u[:, :ROUND]), _draws(u[:, ROUND : 2 * ROUND])
    end = FinalDraws(*_columns(u[:, 2 * ROUND :]))
    levels, sides = _round((x + 1) * 127.5, sides, sides, first, (normal, even), FIRST)
    levels = _compressed(levels, sides, _quality(first.quality, FIRST.quality))
    levels, sides = _round(levels, sides, small, second, (normal2, even2), SECOND)
    before, quality = (end.order < 0.5)[:, None, None, None], _quality(second.quality, SECOND.quality)
    levels = lib.where(before, _compressed(levels, sides, quality), levels)
    levels = _resized(levels, sides, small, (height // factor, width // factor), end.mode)
    rings = untouched(ringing(end.size, end.cutoff), end.rings >= FINAL_SINC)
    levels = lib.clip(filtered(levels, small, rings), 0, 255)
    levels = lib.where(before, lib.rint(levels), compressed(levels, quality))
    return (levels / 127.5 - 1).astype(x.dtype)


def _draws(u: Array) -> Draws:
    """A round's share of the uniform numbers, (N, ROUND)."""
    own = len(Draws._fields) - 1
    return Draws._make([*_columns(u[:, :own]), BlurDraws(*_columns(u[:, own:]))])


def _columns(u: Array) -> list[Array]:
    return [u[:, k] for k in range(u.shape[1])]


def _round(
    x: Array, sides: Sides, wanted: Sides, draws: Draws, noise: tuple[Array, Array], about: Degradation
) -> tuple[Array, Sides]:
    """(levels after a round but for JPEG, how much of them counts); the scale is relative to `wanted`."""
    x = filtered(x, sides, untouched(blurring(draws.filter, about.blur), draws.blurred >= about.blurred))
    scale = _scale(draws, about)
    new = _scaled(wanted[0], scale), _scaled(wanted[1], scale)
    x = xp(x).clip(_resized(x, sides, new, noise[0].shape[2:], draws.mode), 0, 255)
    return _noisy(_whole(x, new), *noise, draws, about), new


# --- sizes ------------------------------------------------------------------------------------------------------------


def _room(wanted: tuple[int, int], about: Degradation) -> tuple[int, int]:
    """(rows, columns) that the largest scale takes."""
    height, width = (max(int(side * about.scale[1]), 1) for side in wanted)
    return height, width


def _scale(draws: Draws, about: Degradation) -> Array:
    lib, (low, high), (larger, smaller) = xp(draws.scale), about.scale, about.resized
    stays = lib.where(draws.direction < larger + smaller, between((low, 1), draws.scale), 1)
    return lib.where(draws.direction < larger, between((1, high), draws.scale), stays)


def _scaled(side: Array, scale: Array) -> Array:
    return xp(side).maximum(xp(side).floor(side * scale).astype("int64"), 1)


def _whole(x: Array, sides: Sides) -> Array:
    """Images whose last row and column that count are repeated beyond."""
    lib = xp(x)
    rows, columns = (
        lib.minimum(lib.arange(size), side[:, None] - 1) for size, side in zip(x.shape[2:], sides, strict=True)
    )
    return picked(x, rows, columns)


def _resized(x: Array, old: Sides, new: Sides, room: tuple[int, ...], mode: Array) -> Array:
    """Images of which `old` pixels count, so that `new` ones do, in an array with that room."""
    rows, columns = (_matrices(*each, mode, x.dtype) for each in zip(old, new, x.shape[2:], room, strict=True))
    down = kernels(x).matmul(rows[:, None], x)
    return kernels(x).matmul(down, columns.transpose(0, 2, 1)[:, None])


def _matrices(old: Array, new: Array, size: int, room: int, mode: Array, dtype: np.dtype) -> Array:
    """(N, room, size): row i says of which pixels the i-th of `new` ones is made, where `old` ones count.

    As torch.nn.functional.interpolate resizes to a size: by the mean over the pixels that a new one touches, linearly,
    or by Keys's cubic; what would lie beyond the edge is its last pixel.
    """
    lib = xp(old)
    old, new = old[:, None], new[:, None]
    i, places = lib.arange(room), lib.arange(size)
    low, high = i * old // new, -(-(i + 1) * old // new)
    touched = (places >= low[:, :, None]) & (places < high[:, :, None])
    middle = (i + 0.5) * old / new - 0.5
    first = lib.floor(middle)
    t = (middle - first)[:, :, None]
    at = [lib.clip(first + k, 0, old - 1)[:, :, None] == places for k in range(-1, 3)]
    linear = (1 - t) * at[1] + t * at[2]
    cubic = sum(_cubic(abs(t - k), outer=k in (-1, 2)) * at[k + 1] for k in range(-1, 3))
    which = lib.floor(mode * MODES)[:, None, None]
    smooth = lib.where(which == 1, linear, cubic)
    return lib.where(which == 0, touched / (high - low)[:, :, None], smooth).astype(dtype)


def _cubic(d: Array, *, outer: bool) -> Array:
    """Keys's weight of a pixel at a distance from 0 to 1, or of an outer one, from 1 to 2."""
    if outer:
        return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
    return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1


# --- noise and JPEG ---------------------------------------------------------------------------------------------------


def _noisy(x: Array, normal: Array, even: Array, draws: Draws, about: Degradation) -> Array:
    """Levels with Gaussian noise or Poisson's, of each channel or the same in all, within 0 .. 255."""
    lib = xp(x)
    gaussian, strength, grey = (each[:, None, None, None] for each in (draws.gaussian, draws.strength, draws.grey))
    grey = grey < about.grey
    of_red, of_green, of_blue = LUMINANCE
    bright = x if x.shape[1] == 1 else of_red * x[:, :1] + of_green * x[:, 1:2] + of_blue * x[:, 2:]
    normal, even = (lib.where(grey, each[:, :1], each) for each in (normal, even))
    smooth = between(about.sigma, strength) * normal
    grain = between(about.poisson, strength) * _poisson(lib.clip(lib.rint(lib.where(grey, bright, x)), 0, 255), even)
    return lib.clip(x + lib.where(gaussian < about.gaussian, smooth, grain), 0, 255).astype(x.dtype)


def _poisson(levels: Array, even: Array) -> Array:
    """What a Poisson number of mean level v / 255, of uniform numbers, is more than that, times 255 / v.

    v is the least power of two that is as large as the number of different levels in an image.
    """
    lib, n = xp(levels), len(levels)
    which = levels.astype("int64")
    seen = lib.zeros(n * 256, dtype="int32")
    lib.add.at(seen, (256 * lib.arange(n)[:, None, None, None] + which).ravel(), 1)
    different = (seen.reshape(n, 256) > 0).sum(1)
    exponent = sum((different > 2**k).astype("int64") for k in range(8))[:, None, None, None]
    row = 256 * exponent + which
    found = lib.searchsorted(_poisson_table(device_of(levels)), (row + even.astype("float64")).ravel(), side="right")
    counts = found.reshape(row.shape) - COUNTS * row
    return (counts * (255 / 2.0**exponent) - levels).astype(levels.dtype)


@lru_cache
def _poisson_table(device: str) -> Array:
    """float64: k for the row of v = 2^e and a level, 256 e + level, plus how likely a number is at most that."""
    means = (2.0 ** np.arange(9)[:, None] * np.arange(256) / 255).reshape(-1, 1)
    counts = np.arange(COUNTS)
    logs = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])  # of factorials
    likely = np.exp(counts * np.log(np.maximum(means, 1e-300)) - means - logs)
    rows = np.arange(len(means))[:, None] + np.minimum(np.cumsum(likely, 1), 1)
    rows[:, -1] = np.arange(len(means)) + 1
    return to_device(np.maximum.accumulate(rows.ravel()), device)


def _quality(u: Array, bounds: tuple[int, int]) -> Array:
    """Integers between the bounds, both included."""
    low, high = bounds
    return (low + xp(u).floor((high - low + 1) * u)).astype("int64")


def _compressed(x: Array, sides: Sides, quality: Array) -> Array:
    """Levels after JPEG of those that count."""
    return compressed(_whole(x, sides), quality)
