"""Rehearsals: a stand-in for what the benchmark uses of torch.cuda, where there is no GPU.

Tensors lie on the CPU and work is done at once. While a graph captures, each operation is done, recorded, and undone
when the capture ends, since CUDA only records; a replay does what was recorded again, on the same memory. What CUDA
refuses meanwhile is refused.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NOT_CAPTURED = "CUDA error: operation not permitted when stream is capturing"
WAITING = {torch.ops.aten._local_scalar_dense.default}  # operations for which the host waits


class Recorder(TorchDispatchMode):
    """Does each operation and keeps it, with what its arguments held before it wrote into them."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[tuple[Callable, tuple, dict, Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.broken = False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in WAITING:
            refuse(str(func))
        kwargs = kwargs or {}
        if func.namespace != "aten":
            return func(*args, **kwargs)
        for tensor in written(func, args):
            self.before.append((tensor, tensor.clone()))
        made = func(*args, **kwargs)
        self.work.append((func, args, kwargs, made))
        return made

    def undo(self) -> None:
        with torch.no_grad():
            for tensor, values in reversed(self.before):
                tensor.copy_(values)


def written(func: Any, args: tuple) -> list[torch.Tensor]:
    """The arguments that this operation writes into, as its schema says."""
    found: list[torch.Tensor] = []
    for described, given in zip(func._schema.arguments, args, strict=False):
        if described.alias_info is not None and described.alias_info.is_write:
            found += [given] if isinstance(given, torch.Tensor) else given
    return found


def refuse(what: str) -> None:
    """An error if a stream captures: `what` makes the host wait."""
    if device.recorder is not None:
        device.recorder.broken = True
        raise RuntimeError(f"{NOT_CAPTURED} ({what})")


class Stream:
    """torch.cuda.Stream."""

    def wait_stream(self, other: "Stream") -> None:
        assert isinstance(other, Stream)


class Device:
    """What is current: the stream, and the recorder of a capture."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.recorder: Recorder | None = None


device = Device()


@contextlib.contextmanager
def stream(chosen: Stream) -> Iterator[None]:
    """torch.cuda.stream."""
    before, device.stream = device.stream, chosen
    try:
        yield
    finally:
        device.stream = before


class Graph:
    """torch.cuda.CUDAGraph."""

    def __init__(self, keep_graph: bool = False) -> None:
        self._keep = keep_graph
        self._ready = False
        self.recorder: Recorder | None = None

    def instantiate(self) -> None:
        assert self._keep
        assert self.recorder is not None, "instantiate() before a capture"
        self._ready = True

    def raw_cuda_graph(self) -> int:
        """No address: nobody can be asked how many nodes there are."""
        assert self._keep
        assert self.recorder is not None, "raw_cuda_graph() before a capture"
        return 0

    def replay(self) -> None:
        assert self.recorder is not None, "replay() before a capture"
        assert self._ready or not self._keep, "replay() before instantiate()"
        refuse("replay")
        with torch.no_grad():
            for func, args, kwargs, made in self.recorder.work:
                refill(made, func(*args, **kwargs))


def refill(made: Any, anew: Any) -> None:
    """Put what an operation has made anew where what it made first lies: views and what it wrote into are there."""
    pairs = zip(made, anew, strict=True) if isinstance(made, list | tuple) else [(made, anew)]
    for old, new in pairs:
        if isinstance(old, torch.Tensor) and old.numel() and old.data_ptr() != new.data_ptr():
            old.copy_(new)


@contextlib.contextmanager
def graph(captured: Graph) -> Iterator[None]:
    """torch.cuda.graph."""
    refuse("a capture within a capture")
    assert captured.recorder is None, "a graph captures once"
    recorder = device.recorder = Recorder()
    try:
        with stream(Stream()), recorder:
            yield
    finally:
        device.recorder = None
        recorder.undo()
    if recorder.broken:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
    captured.recorder = recorder


class Event:
    """torch.cuda.Event."""

    def __init__(self, enable_timing: bool = False) -> None:
        self._timed = enable_timing
        self._at: float | None = None
        self._waited = False

    def record(self) -> None:
        self._at = time.perf_counter()

    def synchronize(self) -> None:
        refuse("Event.synchronize")
        self._waited = True

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds."""
        assert self._timed
        assert end._timed
        assert self._at is not None, "the event was not recorded"
        assert end._at is not None, "the event was not recorded"
        assert end._waited, "the host has not waited for the second event"
        return (end._at - self._at) * 1e3


REPLACED = {
    "CUDAGraph": Graph,
    "Event": Event,
    "Stream": Stream,
    "current_stream": lambda: device.stream,
    "empty_cache": lambda: refuse("empty_cache"),
    "get_device_name": lambda: "CPU (stand-in)",
    "graph": graph,
    "stream": stream,
    "synchronize": lambda: refuse("synchronize"),
}


def install() -> None:
    """Make the stand-in what torch.cuda offers in this process."""
    for name, value in REPLACED.items():
        setattr(torch.cuda, name, value)
