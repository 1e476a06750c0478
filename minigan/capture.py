"""A step that is recorded once and replayed: a CUDA graph on a GPU, the plain call elsewhere.

A training step of a small network is hundreds of launches of a few microseconds each, and Python needs longer to
ask for them than the GPU to do them. A graph is launched whole. What it does is fixed: the same kernels on the same
memory. So a captured function must take whatever changes from call to call from the device (its arguments, a
counter, a learning rate), and leave its results there.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import backend
from .backend import Array
from .errors import CaptureError
from .kernels.cuda_graph import Graph
from .recording import watch
from .tensor import Tensor, mapped, writes

WARM_UP = 3  # calls before the capture: kernels are compiled, libraries loaded, memory asked for


def capture(fn: Callable[..., Any]) -> "Captured":
    """fn as a step that is replayed: the same results, without Python between the launches.

    On a GPU the first calls run as they are; then one is captured into a CUDA graph, which every later call
    launches. Arguments and results are Tensors, numbers, or tuples, lists and dicts of these. An argument that was the
    same array in the calls before (a parameter, say) is bound to the graph; any other is copied into it. Results
    are copies, without a graph of derivatives. Whatever fn changes in place, it changes there.

    fn must not read a value back (`float(loss)`, `.numpy()`), send one to the device, or draw from a random stream
    whose step is a number of the host: where it does, it runs without a graph, after one warning that says why.
    So do calls whose arguments have another shape or type, or other numbers, than those captured. On a CPU, fn is
    called.
    """
    return Captured(fn)


class Captured:
    """What `capture` returns: call it as the function it was made from. `enabled = False` turns graphs off."""

    def __init__(self, fn: Callable[..., Any], *, name: str = "", enabled: bool = True) -> None:
        self.fn = fn
        self.name = name or getattr(fn, "__name__", "a step")
        self.enabled = enabled
        self._warned = False
        self._forget()

    def _forget(self) -> None:
        self._calls = 0
        self._kind: Any = None
        self._seen: list[Array] = []
        self._changing: set[int] = set()  # the arguments that were not the same array in every call
        self._replay: _Replay | None = None

    @property
    def graph(self) -> Any:
        """The CUDA graph that calls replay, None as long as there is none."""
        return None if self._replay is None else self._replay.graph.graph

    def __call__(self, *args: Any) -> Any:
        """fn(*args)."""
        # within another capture this is a part of that one; an observer wants to see each op, which a replay hides
        if not self.enabled or watch.callback is not None or backend.is_capturing() or not backend.has_cuda():
            return self.fn(*args)
        tensors: list[Tensor] = []
        kind = _outline(args, tensors)
        arrays = [t.data for t in tensors]
        if kind != self._kind:
            if self._replay is not None:
                self._warn_once(f"its arguments were {self._kind} when it was captured and are now {kind}")
                return self.fn(*args)
            self._forget()
            self._kind, self._seen = kind, arrays
        self._changing |= {i for i, (a, b) in enumerate(zip(arrays, self._seen, strict=True)) if a is not b}
        if self._replay is not None and not self._replay.fits(arrays):
            self._replay, self._calls = None, 0
        if self._replay is None and self._calls >= WARM_UP:
            try:
                self._replay = _Replay(self.fn, args, tensors, self._changing)
            except Exception as error:  # the plain call below meets it again, if it is not the capture's
                self.enabled = False
                self._warn_once(f"{type(error).__name__}: {error}")
                return self.fn(*args)
        if self._replay is not None:
            return self._replay(arrays)
        results, packed = _pack(self.fn(*args))
        self._calls += bool(packed)  # what leaves nothing on a GPU is never captured
        return _unpacked(results, packed)

    def _warn_once(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"{self.name} runs without a CUDA graph: {why}", RuntimeWarning, stacklevel=3)


class _Write(NamedTuple):
    """One in-place change that a replay makes again."""

    tensor: Tensor
    array: Array
    by: str


class _Replay:
    """A captured call: the graph, the arguments that are its own, and what comes out."""

    def __init__(self, fn: Callable[..., Any], args: tuple, tensors: list[Tensor], changing: set[int]) -> None:
        """Capture fn(*args), which is not executed; the arguments numbered in `changing` are copied into the graph."""
        for t in (tensors[i] for i in changing):
            if t.device != "cuda":
                raise CaptureError(f"an argument {t.shape} on the {t.device} is another array at each call")
        self._inputs = {i: backend.xp(tensors[i].data).array(tensors[i].data) for i in changing}
        self._bound = {i: t.data for i, t in enumerate(tensors) if i not in changing}
        own = iter([Tensor(self._inputs[i]) if i in changing else t for i, t in enumerate(tensors)])
        given = mapped(args, lambda leaf: next(own) if isinstance(leaf, Tensor) else leaf)
        log: list[tuple[Tensor, str]] = []
        with writes(log):
            self.graph = Graph(lambda: _pack(fn(*given)))
        self._written = [_Write(t, t.data, by) for t, by in log]
        for t, array, by in self._written:
            if any(array is copy for copy in self._inputs.values()):
                raise CaptureError(f"{by} writes into {t.label()}, an argument that is another array at each call")

    def fits(self, arrays: list[Array]) -> bool:
        """True if the arrays that the graph works on are still the caller's."""
        bound = all(arrays[i] is array for i, array in self._bound.items())
        return bound and all(w.tensor.data is w.array for w in self._written)

    def __call__(self, arrays: list[Array]) -> Any:
        """The results of one more execution, in memory of their own."""
        for i, copy in self._inputs.items():
            copy[...] = arrays[i]
        self.graph.launch()
        for write in self._written:
            write.tensor.written(write.by)
        return _unpacked(*self.graph.result)


# --- arguments and results: trees of Tensors --------------------------------------------------------------------


def _outline(tree: Any, tensors: list[Tensor]) -> Any:
    """`tree` with each Tensor as its shape, type and device; the Tensors are appended to `tensors`."""
    if isinstance(tree, Tensor):
        tensors.append(tree)
        return tree.shape, str(tree.dtype), tree.device
    if isinstance(tree, dict):
        return {key: _outline(value, tensors) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_outline(value, tensors) for value in tree]
    return tree


@dataclass(frozen=True)
class _Place:
    """Where a result lies: in which of the packed arrays, and where in it; None is the whole array."""

    array: int
    index: int | None


def _pack(results: Any) -> tuple[Any, list[Array]]:
    """(`results` with each Tensor on a GPU as its place, the arrays they lie in): scalars of a type lie together.

    They are then copied out of a graph, and read back by the host, at once.
    """
    tensors: list[Tensor] = []
    _outline(results, tensors)
    on_gpu = [t for t in tensors if t.device == "cuda"]
    if not on_gpu:
        return results, []
    lib = backend.xp(on_gpu[0].data)
    together: dict[Any, list[Tensor]] = {}
    for t in on_gpu:
        if t.shape == ():
            together.setdefault(t.dtype, []).append(t)
    packed: list[Array] = []
    places: dict[int, _Place] = {}
    for dtype, alike in together.items():
        array = lib.empty(len(alike), dtype=dtype)
        for i, t in enumerate(alike):
            array[i] = t.data
            places[id(t)] = _Place(len(packed), i)
        packed.append(array)
    for t in on_gpu:
        if t.shape:
            places[id(t)] = _Place(len(packed), None)
            packed.append(t.data)
    return mapped(results, lambda leaf: places.get(id(leaf), leaf)), packed


def _unpacked(results: Any, packed: list[Array]) -> Any:
    """`results` with each place as a Tensor of its own, in copies of the packed arrays."""
    copies = [array.copy() for array in packed]

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, _Place):
            return leaf
        whole = copies[leaf.array]
        return Tensor(whole if leaf.index is None else whole[leaf.index])

    return mapped(results, placed)
