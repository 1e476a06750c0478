"""Images of several sizes as one sample: a pyramid, the smallest first, laid out in a row of numbers."""

import itertools
from collections.abc import Sequence

from .. import ops
from ..errors import ShapeError
from ..tensor import Tensor


def pyramid(images: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Images (N, C, S, S) in each of these sizes, the smallest first and S the last: each pixel the mean of a block.

    ShapeError for images of another size.
    """
    if images.ndim != 4 or images.shape[2:] != (sides[-1], sides[-1]):
        raise ShapeError(f"pyramid: expected images of {sides[-1]} x {sides[-1]} pixels, got {images.shape}")
    found = [images]
    for smaller, larger in itertools.pairwise(reversed(sides)):
        found.append(ops.avg_pool2d(found[-1], smaller // larger))
    return found[::-1]


def as_rows(images: Sequence[Tensor]) -> Tensor:
    """Images of several sizes, each (N, C, S, S), side by side: (N, C (S S + ...))."""
    return ops.concatenate([ops.reshape(x, (len(x), x.size // len(x))) for x in images], 1)


def from_rows(rows: Tensor, channels: int, sides: Sequence[int]) -> list[Tensor]:
    """The images (N, channels, S, S) of each size that lie in rows; ShapeError if they are of another length."""
    counts = [channels * side * side for side in sides]
    if rows.ndim != 2 or rows.shape[1] != sum(counts):
        raise ShapeError(f"from_rows: expected (N, {sum(counts)}), images of {[*sides]} pixels, got {rows.shape}")
    ends = [*itertools.accumulate(counts)]
    return [
        ops.reshape(rows[:, end - count : end], (len(rows), channels, side, side))
        for end, count, side in zip(ends, counts, sides, strict=True)
    ]
