"""Several processes that train one game: who takes part, whose rows of a batch are whose, and sums over all.

One convention says all: **the loss of the run is the mean over processes of what each computes.** A mean over a
process's own rows then is the batch's; the rule of `all_mean` is `all_mean`, that of `all_sum` is `all_sum`, and the
gradient with respect to what all hold alike, the weights, is the mean of everybody's: to any order of derivative.

The rows of a batch are dealt out in turn: of P processes the r-th has rows r, r + P, r + 2P, ... Since every draw
depends on a seed and a step alone, each takes its rows of what one process would draw, and the run is the same on any
number of them.

Others connect the processes: MPI those on CPUs (`world`), NCCL their GPUs (`NCCLGroup(world())`, to be made before
anything lies on a GPU). `Threads` are ranks within one process.
"""

from .group import ALONE, Group, group, statistics, using
from .nccl import NCCLGroup
from .part import WHOLE, Part, part, whole
from .threads import Threads
from .world import cores_of_one, world

__all__ = [
    *("ALONE", "Group", "NCCLGroup", "Threads", "group", "statistics", "using", "world", "cores_of_one"),
    *("WHOLE", "Part", "part", "whole"),
]
