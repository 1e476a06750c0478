"""Counters by which the blocks of a CUDA kernel find out which of them comes last.

They are 0 before each launch and after it: a kernel leaves them so, and nothing has to be cleared in between.
"""

from functools import cache
from typing import Any

from ..backend import Array, array_module, is_capturing

COUNTERS = 4096  # of the blocks that share their columns: more than any layer has

_CAPTURES = -1  # no stream's address


def counters() -> Array:
    """COUNTERS zeros (uint32) for a launch on the current stream: of each stream its own, as two may run at once.

    All captures share one array, as all cuBLAS products in them share a workspace. It is made at the first call that is
    not captured, so that clearing it is no part of any graph; a capture that comes before has counters of its own, and
    clears them in each replay.
    """
    cupy = array_module("cuda")
    made = _made(cupy)
    if is_capturing():
        return made[_CAPTURES] if _CAPTURES in made else cupy.zeros(COUNTERS, dtype="uint32")
    stream = cupy.cuda.get_current_stream().ptr
    for key in (_CAPTURES, stream):
        if key not in made:
            made[key] = cupy.zeros(COUNTERS, dtype="uint32")
    return made[stream]


@cache
def _made(cupy: Any) -> dict[int, Array]:
    return {}
