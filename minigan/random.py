"""Random numbers that depend on nothing but a seed, a name and a step.

A `Stream` draws from Philox4x64-10 (Salmon et al. 2011), a block cipher that turns a counter into random words:
the key is made of (seed, name), the counter of (block, step). A run can therefore be resumed by remembering a
seed and a step, and both devices draw the same integers.
"""

import hashlib
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backend, processes
from .backend import Array, as_float_dtype, as_shape, xp
from .errors import ShapeError, brief
from .kernels import cuda_random, draws
from .kernels.calls import made
from .system.hints import unknown
from .system.once import once

Shape = int | Sequence[int]  # of an array, or the length of a row


class Stream:
    """A sequence of random numbers, named by (seed, name) and restarted at each step.

    Draws advance within a step; `at(step)` is a fresh stream at the start of that step. A step that is a number
    makes arrays on the CPU unless another device is named; a step that lives on a device, as a 0-d int64 array or
    Tensor, makes them there, and is read when they are drawn: a captured step draws anew at each replay.

    Where several processes share a batch (`processes.part`), an array with axes is rows of the batch: it is what one
    process would draw for all of them, less the rows of the others.
    """

    def __init__(self, seed: int, name: str = "default", step: Any = 0) -> None:
        self.seed = _whole("Stream: seed", seed, None)
        self.name = name
        self.step = _on_device(step)
        if self.step is None:
            self.step = _whole("Stream: step", step)
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        self._key = np.frombuffer(digest[:16], dtype="<u8")
        self._block = 0

    def at(self, step: Any) -> "Stream":
        """The stream of the same seed and name at the start of `step`: an integer >= 0, or one on a device."""
        return Stream(self.seed, self.name, step)

    @property
    def begun(self) -> bool:
        """Has anything been drawn within the step?"""
        return self._block > 0

    def words(self, n: int) -> np.ndarray:
        """The next n random 64-bit words, on the CPU."""
        n = _whole("words: n", n)
        return made(draws.words, self._draw("cpu", -(-n // 4)), n)

    def uniform(
        self,
        shape: Shape = (),
        low: float = 0.0,
        high: float = 1.0,
        dtype: Any = "float32",
        device: str | None = None,
    ) -> Array:
        """An array of `shape`, uniform on [low, high), on `device` (where the step lives, by default)."""
        on, kind = self._device(device), as_float_dtype("uniform", dtype)

        def draw(n: int) -> Array:
            return made(_kernels(on).uniform, self._draw(on, -(-n // 4)), n, low, high, kind)

        return _rows(as_shape("uniform", shape), draw)

    def normal(
        self,
        shape: Shape = (),
        mean: float = 0.0,
        std: float = 1.0,
        dtype: Any = "float32",
        device: str | None = None,
    ) -> Array:
        """An array of `shape`, normal with this mean and standard deviation, by Box and Muller (1958).

        Each 64-bit word gives two 32-bit uniforms and so two normals, at most 6.7 deviations from the mean.
        """
        on, kind = self._device(device), as_float_dtype("normal", dtype)
        wide = np.promote_types(kind, np.float32)  # a word does not fit into a float16

        def draw(n: int) -> Array:
            found = made(_kernels(on).normal, self._draw(on, -(-n // 8)), n, mean, std, wide)
            return found if wide == kind else made(_rounded, found, kind)

        return _rows(as_shape("normal", shape), draw)

    def integers(self, high: int, shape: Shape = (), device: str | None = None) -> Array:
        """An int64 array of `shape`, uniform on 0 .. high - 1, 1 <= high < 2^32 (bias below high / 2^32)."""
        high = _whole("integers: high", high, 1, 2**32)
        on = self._device(device)

        def draw(n: int) -> Array:
            return made(_kernels(on).integers, self._draw(on, -(-n // 4)), n, high)

        return _rows(as_shape("integers", shape), draw)

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 .. n - 1 in random order, int64, on the CPU."""
        return np.argsort(self.words(_whole("permutation: n", n)), kind="stable")

    def _device(self, wanted: str | None) -> str:
        return backend.device_of(self.step) if wanted is None else backend.check_device(wanted)

    def _draw(self, device: str, blocks: int) -> draws.Draw:
        """Where the next draw begins; `blocks` of four words belong to it."""
        return once(partial(self._next, device, blocks))

    def _next(self, device: str, blocks: int) -> draws.Draw:
        on_host = device == "cpu" and backend.is_cuda(self.step)
        draw = draws.Draw(self._key, self._block, int(self.step.item()) if on_host else self.step)
        self._block += blocks
        return draw

    def __repr__(self) -> str:
        return f"Stream(seed={self.seed}, name={self.name!r}, step={self.step})"


def _rows(sizes: tuple[int, ...], draw: Callable[[int], Array]) -> Array:
    """What `draw` makes, so many numbers, in that shape; or the rows of a whole batch of it that are this process's."""
    part = processes.part()
    if part.count == 1 or not sizes:
        return draw(math.prod(sizes)).reshape(sizes)
    whole = draw(math.prod(sizes) * part.count).reshape(sizes[0] * part.count, *sizes[1:])
    return made(_taken, whole, part)


def _taken(whole: Array, part: processes.Part) -> Array:
    return xp(whole).ascontiguousarray(part.take(whole))


def _kernels(device: str) -> ModuleType:
    """What draws on `device`."""
    if device == "cpu":
        return draws
    backend.array_module(device)  # says what is missing
    return cuda_random


def _whole(what: str, value: Any, least: int | None = 0, below: int = 2**63) -> int:
    """`value`, an integer of Python, NumPy or a Tensor; ShapeError unless it is one with least <= value < below."""
    try:
        found = operator.index(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        raise ShapeError(f"{what}: expected an integer, got {brief(value)}") from None
    if least is not None and not least <= found < below:
        raise ShapeError(f"{what}: expected an integer from {least} to {below - 1}, got {found}")
    return found


def _rounded(x: Array, dtype: Any) -> Array:
    return x.astype(dtype)


def _on_device(step: Any) -> Any:
    """The array of a step that lives on a device, or of one within a step that is captured; None for any other."""
    held = step if backend.is_cuda(step) else getattr(step, "data", None)  # of a Tensor
    captured = backend.is_capturing() and isinstance(held, np.ndarray) and held.shape == () and held.dtype.kind in "iu"
    return held if captured or backend.is_cuda(held) else None


_seeded = Stream(0)
_used: ContextVar[Stream | None] = ContextVar("minigan's default stream", default=None)


def seed(n: int) -> None:
    """Restart the default stream, which every `rng=None` draws from, from the seed n.

    All threads share it: one that must draw the same whatever the others do has a stream of its own by `using`. In a
    block of `using` it takes the place of that stream, up to the block's end.
    """
    global _seeded
    _seeded = Stream(n)
    _used.set(None)


def default() -> Stream:
    """The stream that `rng=None` stands for."""
    return _used.get() or _seeded


@contextmanager
def using(stream: Stream) -> Iterator[Stream]:
    """Within the block, and in this thread only, `rng=None` draws from `stream`."""
    before = _used.get()
    try:
        _used.set(stream)
        yield stream
    finally:
        _used.set(before)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise unknown(__name__, name, sys.modules[__name__])
