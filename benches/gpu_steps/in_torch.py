"""The workloads in PyTorch on a GPU: eager, compiled, or the whole step as one CUDA graph."""

from typing import Any

import torch
from steps import in_torch
from steps.workloads import Workload
from torch import nn

from .driver import nodes_at
from .plan import NEEDS, Variant

WARM_UP = 3  # steps on a side stream before the capture, as PyTorch's documentation asks


def set_precision(name: str) -> torch.dtype:
    """The type in which products are computed; TF32 is allowed in those of float32, or forbidden."""
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    return torch.bfloat16 if name == "bf16" else torch.float32


class Autocast(nn.Module):
    """A network whose products and convolutions are computed in bfloat16; its result is float32."""

    def __init__(self, net: nn.Module, device: str) -> None:
        super().__init__()
        self.net, self.device = net, device

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device, torch.bfloat16):
            return self.net(x).float()


class Bench(in_torch.Bench):
    """One workload, as steps.in_torch.Bench, with everything on `device`."""

    def __init__(self, work: Workload, chosen: Variant, device: str, backend: str) -> None:
        super().__init__(work, chosen.layout)
        torch.backends.cudnn.benchmark = True  # shapes never change: let cuDNN try its algorithms
        set_precision(chosen.precision)
        self.frozen = chosen.frozen
        self.d, self.g = self.d.to(device), self.g.to(device)
        self.batches = [{name: t.to(device) for name, t in batch.items()} for batch in self.batches]
        self.d_opt = self.adam(self.d, chosen.how == "graph")
        if work.generator:
            self.g_opt = self.adam(self.g, chosen.how == "graph")
        if chosen.precision == "bf16":
            self.d, self.g = Autocast(self.d, device), Autocast(self.g, device)
        if chosen.how == "compile":
            self.d, self.g = (torch.compile(net, backend=backend) for net in (self.d, self.g))

    def adam(self, net: Any, capturable: bool) -> torch.optim.Optimizer:
        work = self.work
        return torch.optim.Adam(net.parameters(), work.lr, work.betas, fused=True, capturable=capturable)

    def losses(self, steps: int) -> list[list[float]]:
        """The losses of the first steps."""
        return [[float(loss) for loss in self.step(i)] for i in range(steps)]

    def nodes(self) -> int | None:
        return None


class Graphed(Bench):
    """The whole step, D's turn and G's with both optimizers, captured once and replayed on static inputs."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.play = self.step
        self.inputs = self.batches
        self.static = {name: self.inputs[0][name].clone() for name in NEEDS[self.work.kind]}
        self.batches = [self.static]
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.step = self.replayed

    def replayed(self, i: int) -> list[torch.Tensor]:
        """The step on the i-th batch; its losses are overwritten by the next."""
        for name, t in self.static.items():
            t.copy_(self.inputs[i % len(self.inputs)][name])
        if self.warm < WARM_UP:
            return self.warm_up()
        if self.graph is None:
            self.capture()
        self.graph.replay()
        return self.results

    def warm_up(self) -> list[torch.Tensor]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            results = self.play(0)
        torch.cuda.current_stream().wait_stream(side)
        self.warm += 1
        return results

    def capture(self) -> None:
        """Record the step; its gradients are made anew within, in the graph's own memory."""
        for optimizer in (self.d_opt, *([self.g_opt] if self.work.generator else [])):
            optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph(keep_graph=True)
        with torch.cuda.graph(self.graph):
            self.results = self.play(0)
        self.graph.instantiate()

    def nodes(self) -> int | None:
        """How many launches and copies a replay consists of."""
        return nodes_at(self.graph.raw_cuda_graph())


def graphed(call: Any, times: int) -> Any:
    """A replay of so many calls as one graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            call()
    return graph.replay
