"""Images of any size through a network that was trained on small ones: as a whole, or in tiles that overlap."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from ..errors import ShapeError
from ..nn import Conv2d, GroupNorm, Module, SelfAttention2d, SqueezeExcitation

Network = Callable[[np.ndarray], np.ndarray]  # images (1, C, h, w) to float32 (1, C', factor h, factor w)

ROWS = 64  # of what was made, that are told at a time
OF_ALL = GroupNorm, SelfAttention2d, SqueezeExcitation  # layers whose pixels depend on all others; instance norm too


def multiple(network: Module) -> int:
    """A number that sides of images have to be multiples of: the product of the strides of its convolutions."""
    return math.prod(layer.options["stride"] for layer in network.modules() if isinstance(layer, Conv2d))


def seeing_all(network: Module) -> str:
    """The kind of a layer, InstanceNorm2d say, for which a pixel depends on the whole image; "" if it has none.

    What such a network makes of a tile is not what it makes there of the whole.
    """
    return next((type(layer).__name__ for layer in network.modules() if isinstance(layer, OF_ALL)), "")


def through(network: Network, image: np.ndarray, *, tile: int, overlap: int, of: int = 1) -> Iterator[np.ndarray]:
    """What a network makes of an image (C, H, W), rows of it from the top down: float32 (C', h, factor W) each.

    Together they are (C', factor H, factor W); there are at most ROWS in each. The network is given parts of the image
    as they are, whatever its type.

    Sides of what the network is given are multiples of `of`: the image is continued as in a mirror, and what was
    made of that is cut off. An image of more than `tile` pixels a side goes through in tiles of that size, which
    overlap by `overlap` pixels at least; where they do, one fades into the next, and what a network makes that sees no
    further than a quarter of that is what it makes of the whole.

    Memory: beside the image, a row of tiles is held, 4 (C' + 1) factor^2 tile W bytes, and what the network takes for
    one tile. So it does not grow with the height of the image.

    ShapeError unless tile is a multiple of `of`, and overlap less than half and at most tile - `of`.
    """
    if tile < of or tile % of or not 0 <= overlap <= widest(tile, of):
        raise ShapeError(
            f"tiles: expected a multiple of {of} pixels a side, and at most {widest(max(tile, of), of)} of them as "
            f"overlap, got {tile} and {overlap}"
        )
    height, width = image.shape[1:]
    padded = _mirrored(image, [filled_up(side, of) for side in (height, width)])
    whole = padded.shape[1:]
    tops, lefts = (list(starts(side, tile, overlap, of)) for side in whole)
    made = weight = np.zeros((0, 0, 0), np.float32)
    factor, told = 1, 0
    for top, following in pairwise([*tops, whole[0]]):
        for left in lefts:
            part = np.ascontiguousarray(padded[None, :, top : top + tile, left : left + tile])
            found = network(part)[0]
            if not made.size:
                factor = found.shape[1] // part.shape[2]
                made = np.zeros((len(found), found.shape[1], factor * whole[1]), np.float32)
                weight = np.zeros((1, *made.shape[1:]), np.float32)
            rows, columns = (
                _fade(side, factor * overlap, begins=at == 0, ends=factor * at + side == factor * end)
                for side, at, end in zip(found.shape[1:], (top, left), whole, strict=True)
            )
            place = slice(factor * left, factor * left + len(columns))
            made[:, :, place] += found * np.outer(rows, columns)
            weight[:, :, place] += np.outer(rows, columns)
        ready = factor * (following - top)  # no further tile has anything of these rows
        shown = min(ready, factor * height - told)
        for at in range(0, shown, ROWS):
            some = slice(at, min(at + ROWS, shown))
            yield (made[:, some] / weight[:, some])[..., : factor * width]
        told += ready
        _move_up(made, ready)
        _move_up(weight, ready)


def count(height: int, width: int, *, tile: int, overlap: int, of: int = 1) -> int:
    """How many tiles an image of these sides goes through in."""
    return math.prod(len(list(starts(filled_up(side, of), tile, overlap, of))) for side in (height, width))


def widest(tile: int, of: int) -> int:
    """The most by which tiles can overlap that begin at multiples of `of`."""
    return min((tile - 1) // 2, tile - of)


def starts(side: int, tile: int, overlap: int, of: int = 1) -> Iterator[int]:
    """Where tiles begin along a side: as few as cover it, each a multiple of `of`, the last one at the end."""
    step = max((tile - overlap) // of * of, of)
    at = 0
    while at + tile < side:
        yield at
        at += step
    yield max(side - tile, 0)


def filled_up(side: int, of: int) -> int:
    """The side as a multiple of `of`."""
    return max(-(-side // of) * of, of)


def _mirrored(image: np.ndarray, sides: list[int]) -> np.ndarray:
    """The image continued to these sides, as in a mirror as often as it takes."""
    more = [(0, 0), *((0, to - side) for to, side in zip(sides, image.shape[1:], strict=True))]
    return np.pad(image, more, mode="symmetric")


def _move_up(held: np.ndarray, rows: int) -> None:
    """Drop so many of the first rows (C, rows, W) in place, the last of which are 0 then."""
    left = held.shape[1] - rows
    held[:, :left] = held[:, rows:]
    held[:, left:] = 0


def _fade(side: int, overlap: int, *, begins: bool, ends: bool) -> np.ndarray:
    """The weight of each pixel along a side of a tile that begins or ends the image, or has other tiles beside it.

    Towards those it falls, and is 0 for the outermost quarter of the overlap: there the network saw no more of the
    image, which another tile does.
    """
    weight = np.ones(side, np.float32)
    if overlap:
        blind = overlap // 4
        ramp = np.clip((np.arange(min(overlap, side)) + 1 - blind) / (overlap + 1 - 2 * blind), 0, 1)
        if not begins:
            weight[: len(ramp)] = ramp
        if not ends:
            weight[-len(ramp) :] = np.minimum(weight[-len(ramp) :], ramp[::-1])
    return weight
