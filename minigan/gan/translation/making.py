"""Sources that are made of images on the way: grey ones, edges, small ones, holes, few colours, a quarter turn, wear.

Each takes images (N, C, H, W) in [-1, 1] and a random stream, and leaves no graph: what a source was made of is the
target, which needs no gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from ... import ops
from ...backend import Array, xp
from ...errors import ShapeError
from ...kernels.calls import made
from ...random import Stream
from ...tensor import Tensor, full
from .degradation import degraded
from .jpeg import LUMINANCE

Making = Callable[[Tensor, Stream], Tensor]  # images to sources that are made of them, some at random

STRENGTH = 2.0  # of the lines that are drawn of edges: slopes of half the range and more are black
SOBEL = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
LEVELS = 4  # of each channel of segments
HOLE = 0.5  # of a side


def grey(x: Tensor, rng: Stream) -> Tensor:
    """(N, 1, H, W): the luminance of colour images; grey ones as they are."""
    if x.shape[1] != 3:
        return x
    red, green, blue = (x[:, k : k + 1] * weight for k, weight in enumerate(LUMINANCE))
    return red + green + blue


def edges(x: Tensor, rng: Stream) -> Tensor:
    """(N, 1, H, W): black lines on white where the luminance has a slope, by Sobel's filters."""
    return Tensor(made(_lines, grey(x, rng).data))


def small(x: Tensor, rng: Stream, factor: int = 4) -> Tensor:
    """(N, C, H / factor, W / factor): bicubic, with the wider windows that keep what is too fine from showing."""
    if any(side % factor for side in x.shape[2:]):
        raise ShapeError(f"small: expected sides that {factor} divides, got {x.shape}")
    return ops.interpolate(x, scale_factor=1 / factor, mode="bicubic", antialias=True)


def hole(x: Tensor, rng: Stream) -> Tensor:
    """(N, C, H, W): half of each side, in the middle, is the grey 0 (Pathak et al. 2016)."""
    sides = []
    for size in x.shape[2:]:
        length = int(size * HOLE)
        sides.append(((size - length) // 2, length))
    return x * Tensor(made(_frame, x.data, tuple(sides)))


def holes(x: Tensor, rng: Stream) -> Tensor:
    """(N, C + 1, H, W): half of each side is 0, anywhere in the image; the last channel is 1 there and -1 elsewhere."""
    kept = Tensor(made(_frames, x.data, *(rng.integers(s - int(s * HOLE) + 1, len(x), x.device) for s in x.shape[2:])))
    return ops.concatenate([x * kept, 1 - 2 * kept], 1)


def hole_filled(source: Tensor) -> Tensor:
    """(N, C, H, W) of what `hole` makes: the hole has the mean of the rest, of each image and channel."""
    return _mean_filled(source, hole(full(source.shape, 1.0, source.dtype, source.device), Stream(0)))


def holes_filled(source: Tensor) -> Tensor:
    """(N, C, H, W) of what `holes` makes, likewise."""
    return _mean_filled(source[:, :-1], 0.5 - 0.5 * source[:, -1:])


def _mean_filled(x: Tensor, kept: Tensor) -> Tensor:
    """x where kept is 1, the mean of that where it is 0."""
    known = x * kept
    return known + (1 - kept) * ops.sum(known, (2, 3), keepdims=True) / ops.sum(kept, (2, 3), keepdims=True)


def segments(x: Tensor, rng: Stream) -> Tensor:
    """(N, C, H, W): areas of few colours, each of four levels, of 2x2 pixels or more."""
    return Tensor(made(_posterised, x.data))


def turned(x: Tensor, rng: Stream) -> Tensor:
    """(N, C, W, H): a quarter turn clockwise."""
    return ops.transpose(ops.flip(x, 2), (0, 1, 3, 2))


MAKINGS: dict[str, Making] = {
    each.__name__: each for each in (grey, edges, small, hole, holes, segments, turned, degraded)
}
"""Every way to make a source of an image, by name."""
FILLED: dict[str, Callable[[Tensor], Tensor]] = {"hole": hole_filled, "holes": holes_filled}
"""What can be made of sources with holes without having learnt anything, by the names of those."""
BY_FACTORS = "small", "degraded"  # those that make it smaller, by 4 unless something else is said


def making(text: str) -> Making:
    """What a name says, `small:3` or `degraded:3` of a factor of 3; ShapeError if it says nothing."""
    name, _, factor = text.partition(":")
    if name not in MAKINGS or (factor and (name not in BY_FACTORS or not factor.isdecimal() or int(factor) < 2)):
        with_factors = " or ".join(f"{each}:N" for each in BY_FACTORS)
        raise ShapeError(f"making: expected one of {', '.join(MAKINGS)}, or {with_factors}, got {text!r}")
    make: Any = MAKINGS[name]
    return partial(make, factor=int(factor)) if factor else make


def made_by_name(make: Making | None) -> str | None:
    """The name of one of MAKINGS, None of any other way."""
    return next((name for name, each in MAKINGS.items() if each is make), None)


def source_shape(make: Making, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(channels, height, width) of what is made of images of this shape; ShapeError if nothing can be."""
    _, *made_shape = make(full((1, *shape), 0.0, "float32", "cpu"), Stream(0, "source_shape")).shape
    return tuple(made_shape)  # type: ignore[return-value]


def _lines(x: Array) -> Array:
    lib = xp(x)
    padded = lib.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = x.shape[2:]

    def filtered(down: tuple[float, ...], right: tuple[float, ...]) -> Array:
        total = lib.zeros_like(x)
        for i, a in enumerate(down):
            for j, b in enumerate(right):
                if a * b:
                    total += (a * b / 8) * padded[:, :, i : i + h, j : j + w]
        return total

    smooth, slope = SOBEL
    steep = lib.sqrt(filtered(smooth, slope) ** 2 + filtered(slope, smooth) ** 2)
    return 1 - 2 * lib.minimum(STRENGTH * steep, 1).astype(x.dtype)


def _frame(x: Array, sides: tuple[tuple[int, int], tuple[int, int]]) -> Array:
    """(1, 1, H, W): 0 in a rectangle, of which each side has (first pixel, length), and 1 around it."""
    kept = xp(x).ones((1, 1, *x.shape[2:]), x.dtype)
    (top, height), (left, width) = sides
    kept[:, :, top : top + height, left : left + width] = 0
    return kept


def _frames(x: Array, top: Array, left: Array) -> Array:
    """(N, 1, H, W): 0 in a rectangle of each image, whose first row and column are given, and 1 around it."""
    lib = xp(x)
    within = []
    for first, size in ((top, x.shape[2]), (left, x.shape[3])):
        place = lib.arange(size)[None] - first[:, None]
        within.append((place >= 0) & (place < int(size * HOLE)))
    rows, columns = within
    return 1 - (rows[:, None, :, None] & columns[:, None, None, :]).astype(x.dtype)


def _posterised(x: Array) -> Array:
    n, c, h, w = x.shape
    even = x[:, :, : h // 2 * 2, : w // 2 * 2]
    means = even.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)).repeat(2, 2).repeat(2, 3)
    whole = x.copy()
    whole[:, :, : h // 2 * 2, : w // 2 * 2] = means
    step = 2 / (LEVELS - 1)
    return (xp(x).rint((whole + 1) / step) * step - 1).astype(x.dtype)
