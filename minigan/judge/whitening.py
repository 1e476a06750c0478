"""Features from every stage of a network, and how they are whitened: each way in which images differ counts alike.

The last layer of a network that tells four turns keeps what four turns need, and of a Frechet distance there two
directions are nearly all. Its stages before know colours, edges and textures that the lesson does not ask for; and in
units of how much real images vary, a direction that varies little is heard as well as one that varies much.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import nn, ops
from ..errors import CheckpointError, DataError
from ..tensor import Tensor

LEAST = 1e-3  # of a block's largest variance: directions that vary less are rounding, noise and chance
FEWEST = 50  # images: by so many, the variance of others is told too small by a fifth; by 90, a twentieth


class Whitening(NamedTuple):
    """A block of features (N, d) becomes (N, k), k <= d: (block - mean) @ directions, float32."""

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, block: np.ndarray) -> "Whitening":
        """The one by which this block has mean 0 and the identity for its covariance.

        Its k directions are the principal ones of the block, those with more than LEAST of the largest variance.
        DataError if the rows are all the same, not finite, or fewer than FEWEST.
        """
        if len(block) < FEWEST or not np.isfinite(block).all():
            raise DataError(f"whitening: expected {FEWEST} images or more, of finite features, got {len(block)}")
        wide = block.astype(np.float64)
        mean = wide.mean(0)
        values, vectors = np.linalg.eigh((wide - mean).T @ (wide - mean) / (len(wide) - 1))
        least = max(LEAST * values[-1], 1e-12 * np.square(wide).mean())  # the latter is float32's rounding
        kept = values > least
        if not kept.any():
            raise DataError(f"whitening: expected images that differ, {len(block)} are all the same")
        directions = vectors[:, kept] / np.sqrt(values[kept])
        return cls(mean.astype(np.float32), directions.astype(np.float32, order="C"))  # as a file has them

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """The block (N, d) whitened: (N, k)."""
        return (block - self.mean) @ self.directions


def widths(body: nn.Sequential) -> list[int]:
    """How many features each block of `blocks` has: one for each map of a stage, then those of the last layer."""
    return [len(layer.weight) for layer in body if isinstance(layer, nn.Conv2d | nn.Linear)]


def blocks(body: nn.Sequential, x: Tensor) -> Tensor:
    """The means of the maps of each stage, which ends in max-pooling, then what the last layer gives: (N, all)."""
    seen = []
    for layer in body:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            seen.append(ops.mean(x, (2, 3)))
    return ops.concatenate([*seen, x], 1)


def to_arrays(whitening: Sequence[Whitening]) -> dict[str, np.ndarray]:
    """Every array by the name that a file has for it."""
    return {f"whitening.{k}.{name}": a for k, each in enumerate(whitening) for name, a in each._asdict().items()}


def from_arrays(arrays: Mapping[str, np.ndarray], widths: Sequence[int]) -> list[Whitening]:
    """The whitening of blocks of these widths; CheckpointError if an array is missing, or not one that `of` makes."""
    found = []
    for k, width in enumerate(widths):
        names = [f"whitening.{k}.{name}" for name in Whitening._fields]
        if missing := [name for name in names if name not in arrays]:
            raise CheckpointError(f"{' and '.join(missing)} missing")
        mean, directions = (arrays[name] for name in names)
        shapes = mean.shape == (width,) and directions.shape in [(width, kept) for kept in range(1, width + 1)]
        if not (shapes and mean.dtype == directions.dtype == np.float32):
            got = f"{mean.dtype} {mean.shape} and {directions.dtype} {directions.shape}"
            raise CheckpointError(f"whitening.{k}: expected float32 ({width},) and ({width}, up to {width}), got {got}")
        if not (np.isfinite(mean).all() and np.isfinite(directions).all()):
            raise CheckpointError(f"whitening.{k}: its numbers are not finite")
        found.append(Whitening(mean, directions))
    return found
