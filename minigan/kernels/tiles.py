"""Our own matrix products on CUDA: the tile that a block sums, and how such a kernel is started."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from ..backend import array_module
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

    def shared(self, along: tuple[bool, bool]) -> int:
        """Bytes of shared memory on tensor cores."""
        rows = self.m + self.n + sum(_GAP for a in along if not a)
        return rows * self.depth * self.stages * 4

    def defines(self, rounding: str, packs: tuple[int, int]) -> dict[str, int]:
        """What compiles a kernel for it, where operands have this precision; `packs` are those of `launch_tiles`."""
        plain = {"TILE_M": self.m, "TILE_N": self.n}
        if rounding == "fp32":
            return plain
        stages = {"WARPS": self.warps, "DEPTH": self.depth, "STAGES": self.stages}
        return plain | stages | {rounding.upper(): 1, "LEFT_PACK": packs[0], "RIGHT_PACK": packs[1]}


@cache
def shared_memory() -> int:
    """Bytes of shared memory that a multiprocessor of the current GPU has."""
    cuda = array_module("cuda").cuda
    return int(
        cuda.runtime.deviceGetAttribute(cuda.runtime.cudaDevAttrMaxSharedMemoryPerMultiprocessor, cuda.Device().id)
    )


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
    rounding = precision.of_own_products(dtype)
    shared = tile.shared(along) if rounding != "fp32" else 0
    grid = -(-m // tile.m), -(-n // tile.n), count
    defines |= tile.defines(rounding, packs)
    launch(name, function, dtype, grid, (32 * tile.warps,), *args, shared=shared, **defines)
