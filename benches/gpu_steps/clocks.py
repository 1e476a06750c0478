"""How long calls take, by the GPU's own events."""

import math
import statistics
from collections.abc import Callable
from typing import Protocol

Call = Callable[[], object]


class Clock(Protocol):
    """The events of one library."""

    def milliseconds(self, call: Call, times: int) -> float:
        """Milliseconds per call, of so many in a row."""


class CupyClock:
    """Events on CuPy's current stream."""

    def milliseconds(self, call: Call, times: int) -> float:
        import cupy

        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        for _ in range(times):
            call()
        stop.record()
        stop.synchronize()
        return cupy.cuda.get_elapsed_time(start, stop) / times


class TorchClock:
    """Events on PyTorch's current stream."""

    def milliseconds(self, call: Call, times: int) -> float:
        import torch

        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(times):
            call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / times


def block(clock: Clock, call: Call, seconds: float) -> tuple[float, int]:
    """(milliseconds per call, calls) of as many calls as should fit into `seconds`, after two that are not counted."""
    once = clock.milliseconds(call, 2)
    times = max(1, math.ceil(seconds * 1e3 / max(once, 1e-4)))
    return clock.milliseconds(call, times), times


def median(clock: Clock, call: Call, seconds: float, repeats: int = 3) -> float:
    """The median of the milliseconds per call of so many blocks."""
    return statistics.median(block(clock, call, seconds)[0] for _ in range(repeats))


def kernel(clock: Clock, graphed: Callable[[Call, int], Call], call: Call, seconds: float) -> float:
    """The median milliseconds of one call without the gaps between launches: many calls are one graph."""
    clock.milliseconds(call, 2)
    once = clock.milliseconds(call, 3)
    times = max(1, min(20, int(seconds * 1e3 / max(once, 1e-4))))
    return median(clock, graphed(call, times), seconds) / times
