"""Our own matrix products on CUDA: the tile that a block sums, and how such a kernel is started."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import precision
from .launch import launch

_GAP = 8  # between the rows of a stage whose memory runs across the sum: PAD of pipeline.cuh


@dataclass(frozen=True, slots=True)
class Tile:
    """What one block sums: m rows by n columns, with so many warps.

    On tensor cores `depth` positions of the sum are a stage, and `stages` of them lie in shared memory
    (pipeline.cuh). Without, blocks have 8 warps and depth is tile.cuh's.
    """

    m: int
    n: int
    warps: int = 8
    depth: int = 16
    stages: int = 3


def on_tensor_cores(dtype: Any) -> bool:
    """True if our own products of arrays of this type are sums of products of TF32 numbers."""
    return precision.tf32() and np.dtype(dtype) == np.float32


def launch_tiles(
    name: str,
    function: str,
    dtype: Any,
    tile: Tile,
    size: tuple[int, int, int],
    args: tuple,
    along: tuple[bool, bool],
    packs: tuple[int, int],
    **defines: int,
) -> None:
    """Start a kernel that computes results of `size` (rows, columns, how many) tile by tile.

    `along` says of the left and the right operand if its memory runs along the sum, and not across it; `packs` how
    many neighbouring elements are moved at once: 4 where every group of four begins at a multiple of 16 bytes, or 1.
    """
    m, n, count = size
    threads, shared = 32 * tile.warps, 0
    defines |= {"TILE_M": tile.m, "TILE_N": tile.n}
    if on_tensor_cores(dtype):
        defines |= {"TF32": 1, "WARPS": tile.warps, "DEPTH": tile.depth, "STAGES": tile.stages}
        defines |= {"LEFT_PACK": packs[0], "RIGHT_PACK": packs[1]}
        rows = tile.m + tile.n + sum(_GAP for a in along if not a)
        shared = rows * tile.depth * tile.stages * 4
    launch(
        name, function, dtype, (-(-m // tile.m), -(-n // tile.n), count), (threads,), *args, shared=shared, **defines
    )
