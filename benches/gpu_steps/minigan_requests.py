"""What a child of minigan answers."""

import gc
import itertools
from typing import Any

import minigan as mg
from minigan import backend
from minigan.processes import Group

from . import checks, clocks, device_minigan, layers_minigan, several_minigan, smoke_checks, stand_in
from .in_minigan import Bench, timed_rounds
from .layers import Layer
from .plan import GPU, REHEARSAL, variant, workload
from .smoke_checks import CHECKS
from .smoke_rates import QUIET


class Requests:
    """Each public method is a request; arguments and answers are what JSON can hold."""

    def __init__(self, rehearse: bool) -> None:
        if rehearse:
            stand_in.install()
        backend.array_module("cuda")  # says what is missing
        self.rehearse = rehearse
        self.clock = clocks.CupyClock()
        self.bench: Bench | None = None
        self.group: Group | None = None

    # --- the machine ----------------------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        return device_minigan.identity(self.rehearse)

    def ceilings(self, **sizes: Any) -> dict[str, Any]:
        return device_minigan.ceilings(self.clock, **sizes)

    def launches(self, times: int) -> dict[str, Any]:
        return device_minigan.launches(self.clock, times)

    def memory_bound(self, **sizes: Any) -> dict[str, Any]:
        return device_minigan.memory_bound(self.clock, **sizes)

    # --- correctness ----------------------------------------------------------------------------------------------

    def gradcheck(self, step: int, wide: int) -> dict[str, Any]:
        return checks.gradcheck(step, wide)

    def soak(self, **sizes: Any) -> dict[str, Any]:
        return checks.soak(**sizes, rehearse=self.rehearse)

    def smoke(self, name: str) -> dict[str, Any]:
        """What one of the checks of the first minutes has found, and its errors."""
        gc.collect()  # the graphs of the check before
        return smoke_checks.run((CHECKS | QUIET)[name], REHEARSAL if self.rehearse else GPU, self.rehearse, self.clock)

    # --- steps ----------------------------------------------------------------------------------------------------

    def open(self, name: str, chosen: str, losses: int) -> dict[str, Any]:
        """Prepare a workload in this variant; the losses of its first steps, and how many launches a replay is."""
        words = variant(chosen)
        mg.set_precision(words.precision)
        self.bench = None
        gc.collect()  # what it held goes before the next one comes
        self.bench = Bench(workload(name, self.rehearse), words.how == "captured")
        return {"losses": self.bench.losses(losses), "graph_nodes": self.bench.nodes()}

    def time(self, seconds: float) -> tuple[float, int]:
        """(milliseconds per step, steps) of one block of the workload that is open."""
        assert self.bench is not None
        counter = itertools.count()
        return clocks.block(self.clock, lambda: self.bench.step(next(counter)), seconds)

    def flops(self) -> float:
        assert self.bench is not None
        return self.bench.flops()

    def main_job(self, batch: int, images: int, seconds: float, graphs: bool, precision: str) -> dict[str, float]:
        """Images per second of the example's game, which draws its batches itself."""
        mg.set_precision(precision)
        self.bench = None
        ms = timed_rounds(self.clock, batch, images, seconds, graphs, self.rehearse)
        return {"milliseconds": ms, "images_per_s": batch / ms * 1e3}

    # --- several processes ----------------------------------------------------------------------------------------

    def connect(self) -> dict[str, Any]:
        """Have each process use a GPU of its own; who they are, or why they cannot."""
        self.group, found = several_minigan.connect()
        return found

    def sums(self, elements: list[int], times: int) -> dict[str, dict[str, float]]:
        """Times of sums over all processes."""
        assert self.group is not None
        return several_minigan.sums(self.clock, self.group, elements, times)

    def rounds(self, batch: int, images: int, rounds: int) -> dict[str, Any]:
        """The example's game, played by all processes."""
        assert self.group is not None
        return several_minigan.rounds(self.clock, self.group, batch, images, rounds, self.rehearse)

    # --- layers ---------------------------------------------------------------------------------------------------

    def layer(self, layer: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Times of one layer's kernels."""
        gc.collect()  # the graphs of the layer before
        return layers_minigan.measure(self.clock, Layer.of(layer), seconds)
