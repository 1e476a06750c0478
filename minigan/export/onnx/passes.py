"""What one evaluation pass of a network does to arrays: its calls, as the door shows them through which all go.

An op is such a call, and so is what a network does to arrays beside ops: one-hot labels, masks, random draws. So the
calls of a pass are all of it, and where each array comes from is known. A pass holds no array but constants alive.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...kernels import calls, draws
from ...nn import Module, evaluating
from ...nn.layers import _kept
from ...op import OPS
from ...recording import mode, observe
from ...tensor import Tensor
from ..blueprint import NotDescribed

Shape = tuple[int, ...]


class Origin(NamedTuple):
    """Where an array comes from: an "input" or a "weight" by its name, a "call" by its number, or a "constant"."""

    kind: str
    of: str | int


class Array(NamedTuple):
    """An array of a pass; `content` is that of a constant."""

    origin: Origin
    shape: Shape
    dtype: np.dtype
    content: np.ndarray | None = None


class Call(NamedTuple):
    """One call: its arguments with each array as an `Array`, and the path of the module that made it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    result: Array
    module: str

    @property
    def name(self) -> str:
        """Of the op, or of the function."""
        return NAMES.get(self.function) or getattr(self.function, "__name__", "a call").strip("_")


class Pass(NamedTuple):
    """The calls of a pass in their order, and what it gave."""

    calls: list[Call]
    result: Array


NAMES: dict[Callable[..., Any], str] = {op.forward: name for name, op in OPS.items()}
RANDOM = {draws.normal, draws.uniform, draws.integers}


def _mean(_draw: Any, n: int, mean: float, _std: float, dtype: Any) -> np.ndarray:
    return np.full(n, mean, dtype)


def _all_kept(drawn: np.ndarray, _p: float) -> np.ndarray:
    return np.ones_like(drawn)


QUIET: dict[Callable[..., Any], Callable[..., np.ndarray]] = {draws.normal: _mean, _kept: _all_kept}
"""What stands for normal noise, its mean, and for the mask of dropout, ones, where a network is to be without them."""


class Recorder:
    """Notes the calls of a pass of which the inputs and weights are known by name; with `quiet`, without noise."""

    def __init__(self, inputs: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], quiet: bool) -> None:
        self.calls: list[Call] = []
        self.quiet = quiet
        self._known: dict[int, tuple[weakref.ref, Array]] = {}
        for kind, arrays in (("input", inputs), ("weight", weights)):
            for name, array in arrays.items():
                if self._find(array) is None:
                    self._know(array, Origin(kind, name))

    def listen(self) -> None:
        """Be told of what this thread does, from now on."""
        calls.step.recorder, calls.step.door = self, partial(calls.Noted, calls.done)

    def reads(self, _holder: Any, _array: np.ndarray) -> None:
        """Who holds an array does not matter."""

    def call(self, function: Callable[..., Any], args: tuple, options: dict[str, Any], makes: bool) -> Any:
        """function(*args, **options), noted."""
        noted = self.described((*args, *options.values()))
        module = mode.module
        calls.step.recorder = calls.step.door = None
        try:
            result = (QUIET.get(function, function) if self.quiet else function)(*args, **options)
        finally:
            self.listen()
        if not makes:  # it may have changed any of them
            for array in _arrays((*args, *options.values())):
                self._known.pop(id(array), None)
        if isinstance(result, np.generic):
            result = np.asarray(result)
        if isinstance(result, np.ndarray):
            self._note(function, noted, result, module)
        return result

    def described(self, x: Any) -> Any:
        """x with each array as an `Array`, and None for where in a stream something is drawn."""
        if isinstance(x, draws.Draw):
            return None
        if isinstance(x, np.ndarray):
            return self._find(x) or self._view(x) or Array(Origin("constant", ""), x.shape, x.dtype, x.copy())
        if isinstance(x, tuple | list):
            parts = [self.described(part) for part in x]
            return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
        return x

    def _note(self, function: Callable[..., Any], noted: tuple, result: np.ndarray, module: str) -> Array:
        """The array that a call made: a constant, if it was made of constants alone and not by chance."""
        if function in RANDOM or any(a.origin.kind != "constant" for a in _arrays(noted, Array)):
            found = self._know(result, Origin("call", len(self.calls)))
            self.calls.append(Call(function, noted, found, module))
            return found
        return self._know(result, Origin("constant", ""), result.copy())

    def _know(self, array: np.ndarray, origin: Origin, content: np.ndarray | None = None) -> Array:
        found = Array(origin, array.shape, array.dtype, content)
        self._known[id(array)] = weakref.ref(array), found
        return found

    def _find(self, array: np.ndarray) -> Array | None:
        reference, found = self._known.get(id(array), (None, None))
        return found if reference is not None and reference() is array else None

    def _view(self, array: np.ndarray) -> Array | None:
        """An array that is another one in another shape: what is drawn becomes so, anything else is reshaped."""
        whole = array.base
        if not isinstance(whole, np.ndarray) or (known := self._find(whole)) is None:
            return None
        if not (whole.flags.c_contiguous and array.flags.c_contiguous and whole.size == array.size):
            return None
        if known.origin.kind == "call" and (made := self.calls[int(known.origin.of)]).function in RANDOM:
            return self._note(made.function, made.args, array, mode.module)
        return self._note(OPS["reshape"].forward, (known, array.shape), array, mode.module)


def _arrays(x: Any, kind: type = np.ndarray) -> Iterator[Any]:
    """What is of that kind in tuples and lists, and those within."""
    if isinstance(x, kind):
        yield x
    elif isinstance(x, tuple | list):
        for part in x:
            yield from _arrays(part, kind)


@contextmanager
def _listening(recorder: Recorder) -> Iterator[None]:
    """Within the block this thread's calls go through the recorder, and modules say where they are."""
    before = calls.step.recorder, calls.step.door
    try:
        with observe(lambda *_: None):
            recorder.listen()
            yield
    finally:
        calls.step.recorder, calls.step.door = before


def evaluated(network: Module, inputs: Mapping[str, np.ndarray], quiet: bool = True) -> tuple[Pass, np.ndarray]:
    """(the pass, the result) of network(*inputs) in evaluation mode, without noise if it is to be `quiet`.

    NotDescribed unless the network gives one Tensor.
    """
    given = {name: Tensor(array) for name, array in inputs.items()}
    weights = {name: t.data for name, t in network.named_tensors()}
    recorder = Recorder({name: t.data for name, t in given.items()}, weights, quiet)
    with evaluating(network), _listening(recorder):
        result = network(*given.values())
        if not isinstance(result, Tensor):
            raise NotDescribed(f"ONNX export: the network gives a {type(result).__name__}, not one Tensor")
        return Pass(recorder.calls, recorder.described(result.data)), result.numpy()
