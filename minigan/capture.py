"""A step that is recorded once and replayed: a CUDA graph on a GPU, the bare calls of kernels on a CPU.

A training step of a small network is hundreds of kernels of a few microseconds each, and Python needs longer to ask
for them than they take. A graph is launched whole. What it does is fixed: the same kernels on the same memory. So a
captured function must take whatever changes from call to call from arrays (its arguments, a counter, a learning
rate), and leave its results there. What is recorded and replayed belongs to the device (`kernels/cuda_graph.py`,
`kernels/cpu_graph.py`); here are the rules for both.
"""

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import backend
from .backend import Array
from .errors import CaptureError
from .kernels import cpu_graph, cuda_graph
from .kernels.calls import made
from .recording import watch
from .tensor import Tensor, mapped, writes

WARM_UP = 3  # calls before the capture: kernels are compiled, libraries loaded, memory asked for

_GRAPHS: dict[str, Callable[..., Any]] = {"cpu": cpu_graph.Graph, "cuda": cuda_graph.Graph}
_KINDS = {"cpu": "being replayed", "cuda": "a CUDA graph"}  # what a step runs without


def capture(fn: Callable[..., Any]) -> "Captured":
    """fn as a step that is replayed: the same results, without Python between the kernels.

    The first calls run as they are; then the step is recorded, on a GPU by one call and on a CPU by two, and every
    later call replays it. Arguments and results are Tensors, numbers, or tuples, lists and dicts of these. An argument
    that was the same array in the calls before (a parameter, say) is bound to the recording; any other is copied into
    it. Results are copies, without a graph of derivatives. Whatever fn changes in place, it changes there.

    fn must not read a value back (`float(loss)`, `.numpy()`), make a Tensor of an array of its own, or draw from a
    random stream whose step is a number of the host that changes: where it does, it is not replayed, after one warning
    that says why. So are calls whose arguments have another shape or type, or other numbers, than those recorded.
    """
    return Captured(fn)


class Captured:
    """What `capture` returns: call it as the function it was made from. `enabled = False` turns replays off."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str = "",
        enabled: bool = True,
        agreed: Callable[[bool], bool] | None = None,
    ) -> None:
        """Where several processes make the same calls, and wait for each other in fn, `agreed` is asked by all of them.

        agreed(fine) is whether it is fine in every process: on GPUs all then launch their graphs, or none has one.
        Whoever observes ops, and so has them called one by one, does so in every process.
        """
        self.fn = fn
        self.name = name or getattr(fn, "__name__", "a step")
        self.enabled = enabled
        self._agreed = agreed
        self._warned = False
        self._lock = threading.RLock()  # what is recorded and replayed has one memory
        self._forget()

    def __reduce__(self) -> tuple:
        """A copy or a pickle of it begins anew."""
        return _again, (self.fn, self.name, self.enabled, self._agreed)

    def _forget(self) -> None:
        self._calls = 0
        self._device: str | None = None
        self._kind: Any = None
        self._seen: list[Array] = []
        self._changing: set[int] = set()  # the arguments that were not the same array in every call
        self._replay: _Replay | None = None

    @property
    def graph(self) -> Any:
        """What calls replay, a CUDA graph on a GPU; None as long as there is none."""
        return None if self._replay is None else self._replay.graph.graph

    def __call__(self, *args: Any) -> Any:
        """fn(*args)."""
        # within another capture this is a part of that one; an observer wants to see each op, which a replay hides
        if not self.enabled or watch.callback is not None or backend.is_capturing():
            return self.fn(*args)
        with self._lock:
            return self._called(args)

    def _called(self, args: tuple) -> Any:
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
        if self._replay is None and self._device is not None and self._calls >= WARM_UP:
            why = self._capture(args, tensors, self._device)
            if why:
                self._give_up(why)
                return self.fn(*args)
        if self._replay is not None:
            results = self._replay(arrays)
            if self._replay.graph.refused:
                self._give_up(self._replay.graph.refused)
            return results
        results, packed, self._device = _pack(self.fn(*args))
        self._calls += self._device is not None
        return _unpacked(results, packed)

    def _capture(self, args: tuple, tensors: list[Tensor], device: str) -> str:
        """Make fn(*args) what is replayed; why it cannot be, "" if it can."""
        why = ""
        try:
            self._replay = _Replay(self.fn, args, tensors, self._changing, device)
        except Exception as error:  # the plain call that follows meets it again, if it is not the capture's
            why = f"{type(error).__name__}: {error}"
        # A sum over GPUs is in everybody's graph or in nobody's. On a CPU it does not matter who replays: a replay
        # makes all the calls that the step makes, in its order.
        if device == "cuda" and self._agreed is not None and not self._agreed(not why):
            return why or "another process could not capture it"
        return why

    def _give_up(self, why: str) -> None:
        self._warn_once(why)
        self.enabled, self._replay = False, None

    def _warn_once(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            told = f"{self.name} runs without {_KINDS[self._device or 'cpu']}: {why}"
            warnings.warn(told, RuntimeWarning, stacklevel=4)


def _again(fn: Callable[..., Any], name: str, enabled: bool, agreed: Callable[[bool], bool] | None) -> Captured:
    return Captured(fn, name=name, enabled=enabled, agreed=agreed)


class _Write(NamedTuple):
    """One in-place change that a replay makes again."""

    tensor: Tensor
    array: Array
    by: str


class _Replay:
    """A captured call: the graph, the arguments that are its own, and what comes out."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple, tensors: list[Tensor], changing: set[int], device: str
    ) -> None:
        """fn(*args) as a graph, not executed yet; the arguments numbered in `changing` are copied into it."""
        for t in (tensors[i] for i in changing):
            if t.device != device:
                raise CaptureError(f"an argument {t.shape} on the {t.device} is another array at each call")
        self._inputs = {i: backend.xp(tensors[i].data).array(tensors[i].data) for i in changing}
        self._bound = {i: t.data for i, t in enumerate(tensors) if i not in changing}
        own = iter([Tensor(self._inputs[i]) if i in changing else t for i, t in enumerate(tensors)])
        given = mapped(args, lambda leaf: next(own) if isinstance(leaf, Tensor) else leaf)
        log: list[tuple[Tensor, str]] = []
        with writes(log):
            self.graph = _GRAPHS[device](lambda: _pack(fn(*given))[:2])
        self._written = [_Write(t, t.data, by) for t, by in log]
        if why := self._strayed():
            raise CaptureError(why)

    def _strayed(self) -> str:
        """What writes into a copy of an argument, where the caller would not see it; "" if nothing does."""
        for t, array, by in self._written:
            if any(array is copy for copy in self._inputs.values()):
                return f"{by} writes into {t.label()}, an argument that is another array at each call"
        return ""

    def fits(self, arrays: list[Array]) -> bool:
        """True if the arrays that the graph works on are still the caller's."""
        bound = all(arrays[i] is array for i, array in self._bound.items())
        return bound and all(w.tensor.data is w.array for w in self._written) and self.graph.fits()

    def __call__(self, arrays: list[Array]) -> Any:
        """The results of one more execution, in memory of their own."""
        with self.graph.turn():
            for i, copy in self._inputs.items():
                copy[...] = arrays[i]
            if self.graph.graph is None:
                self._execute(arrays)
            else:
                self.graph.launch()
                for write in self._written:
                    write.tensor.written(write.by)
            return _unpacked(*self.graph.result)

    def _execute(self, arrays: list[Array]) -> None:
        """One execution that is recorded: the changes in place are made, and noted, as they come."""
        log: list[tuple[Tensor, str]] = []
        with writes(log):
            self.graph.launch()
        self._written = [_Write(t, t.data, by) for t, by in log]
        if why := self._strayed():
            self.graph.refused = why
            for i, copy in self._inputs.items():
                arrays[i][...] = copy


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


def _pack(results: Any) -> tuple[Any, list[Array], str | None]:
    """(`results` with each Tensor as its place, the arrays they lie in, the device): scalars of a type lie together.

    They are then copied out of a graph, and read back by the host, at once. If some Tensors are on a GPU, those on the
    CPU stay as they are; the device is None if nothing says which it is.
    """
    tensors: list[Tensor] = []
    _outline(results, tensors)
    devices = {t.device for t in tensors}
    device = "cuda" if "cuda" in devices else None if backend.has_cuda() and not devices else "cpu"
    ours = [t for t in tensors if t.device == device]
    together: dict[Any, list[Tensor]] = {}
    for t in ours:
        if t.shape == ():
            together.setdefault(t.dtype, []).append(t)
    packed: list[Array] = []
    places: dict[int, _Place] = {}
    for alike in together.values():
        for i, t in enumerate(alike):
            places[id(t)] = _Place(len(packed), i)
        packed.append(made(_side_by_side, *(t.data for t in alike)))
    for t in ours:
        if t.shape:
            places[id(t)] = _Place(len(packed), None)
            packed.append(t.data)
    return mapped(results, lambda leaf: places.get(id(leaf), leaf)), packed, device


def _side_by_side(*scalars: Array) -> Array:
    """0-d arrays of one type as one array."""
    array = backend.xp(scalars[0]).empty(len(scalars), dtype=scalars[0].dtype)
    for i, scalar in enumerate(scalars):
        array[i] = scalar
    return array


def _unpacked(results: Any, packed: list[Array]) -> Any:
    """`results` with each place as a Tensor of its own, in copies of the packed arrays."""
    copies = [array.copy() for array in packed]

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, _Place):
            return leaf
        whole = copies[leaf.array]
        return Tensor(whole if leaf.index is None else whole[leaf.index, ...])

    return mapped(results, placed)
