"""What a child of PyTorch answers."""

import gc
import itertools
from typing import Any

import torch

from . import clocks, layers_torch, stand_in_torch
from .in_torch import Bench, Graphed, set_precision
from .layers import Layer
from .plan import PRECISIONS, variant, workload


class Requests:
    """Each public method is a request; arguments and answers are what JSON can hold."""

    def __init__(self, rehearse: bool) -> None:
        if rehearse:
            stand_in_torch.install()
        self.rehearse = rehearse
        self.device = "cpu" if rehearse else "cuda"
        self.clock = clocks.TorchClock()
        self.bench: Bench | None = None

    def identity(self) -> dict[str, Any]:
        """Versions, and the GPU that PyTorch sees."""
        return {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "gpu": torch.cuda.get_device_name(),
        }

    def ceilings(self, side: int, copied: int, seconds: float) -> dict[str, Any]:
        """The bandwidth of a copy and the rates of a large product in each precision."""
        found = {"copy_gb_per_s": self.copy_rate(copied, seconds)}
        for precision in PRECISIONS:
            dtype = set_precision(precision)
            a, b = (torch.randn(side, side, device=self.device, dtype=dtype) for _ in range(2))
            ms = clocks.median(self.clock, lambda a=a, b=b: a @ b, seconds)
            found[f"{precision}_tflop_per_s"] = 2 * side**3 / ms / 1e9
        set_precision("fp32")
        return found

    def copy_rate(self, size: int, seconds: float) -> float:
        """GB/s, read and written, of copying so many bytes."""
        source = torch.randn(size // 4, device=self.device)
        target = torch.empty_like(source)
        return 2 * source.nbytes / clocks.median(self.clock, lambda: target.copy_(source), seconds) / 1e6

    def open(self, name: str, chosen: str, losses: int, backend: str = "") -> dict[str, Any]:
        """Prepare a workload in this variant; the losses of its first steps, and how many launches a replay is."""
        words = variant(chosen)
        self.bench = None
        gc.collect()  # what it held goes before the next one comes
        torch.cuda.empty_cache()
        kind = Graphed if words.how == "graph" else Bench
        self.bench = kind(workload(name, self.rehearse), words, self.device, backend)
        return {"losses": self.bench.losses(losses), "graph_nodes": self.bench.nodes()}

    def time(self, seconds: float) -> tuple[float, int]:
        """(milliseconds per step, steps) of one block of the workload that is open."""
        assert self.bench is not None
        counter = itertools.count()
        return clocks.block(self.clock, lambda: self.bench.step(next(counter)), seconds)

    def layer(self, layer: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Times of one layer's kernels; memory is given back after each."""
        gc.collect()  # the graphs of the layer before
        found = layers_torch.measure(self.clock, Layer.of(layer), seconds, self.device)
        torch.cuda.empty_cache()
        return found
