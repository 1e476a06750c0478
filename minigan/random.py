"""Random numbers that depend on nothing but a seed, a name and a step.

A `Stream` draws from Philox4x64-10 (Salmon et al. 2011), a block cipher that turns a counter into random words:
the key is made of (seed, name), the counter of (block, step). A run can therefore be resumed by remembering a
seed and a step, and any device that computes the cipher draws the same integers.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import backend
from .backend import Array
from .errors import ShapeError

Shape = int | Sequence[int]


class Stream:
    """A sequence of random numbers, named by (seed, name) and restarted at each step.

    Draws advance within a step; `at(step)` is a fresh stream at the start of that step.
    """

    def __init__(self, seed: int, name: str = "default", step: int = 0) -> None:
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        self.seed = seed
        self.name = name
        self.step = step
        self._key = np.frombuffer(digest[:16], dtype="<u8")
        self._block = 0

    def at(self, step: int) -> "Stream":
        """The stream of the same seed and name at the start of `step`, an integer >= 0."""
        return Stream(self.seed, self.name, int(step))

    def words(self, n: int) -> np.ndarray:
        """The next n random 64-bit words (NumPy's Philox increments its counter before each block of four)."""
        counter = np.array([self._block, 0, self.step, 0], dtype=np.uint64)
        self._block += -(-n // 4)
        return np.random.Philox(counter=counter, key=self._key).random_raw(n)

    def uniform(
        self, shape: Shape = (), low: float = 0.0, high: float = 1.0, dtype: Any = "float32", device: str = "cpu"
    ) -> Array:
        """An array of `shape`, uniform on [low, high)."""
        sizes = _sizes(shape)
        digits = 53 if np.dtype(dtype) == np.float64 else 24  # what the type can hold of [0, 1)
        wide = "float64" if digits == 53 else "float32"
        unit = (self.words(math.prod(sizes)) >> np.uint64(64 - digits)).astype(wide) * 2.0**-digits
        return backend.to_device((unit * (high - low) + low).astype(dtype).reshape(sizes), device)

    def normal(
        self, shape: Shape = (), mean: float = 0.0, std: float = 1.0, dtype: Any = "float32", device: str = "cpu"
    ) -> Array:
        """An array of `shape`, normal with this mean and standard deviation, by Box and Muller (1958).

        Each 64-bit word gives two 32-bit uniforms and so two normals, at most 6.7 deviations from the mean.
        """
        sizes = _sizes(shape)
        n = math.prod(sizes)
        halves = self.words(-(-n // 2)).view(np.uint32).reshape(-1, 2).astype(dtype)
        radius = np.sqrt(-2 * np.log((halves[:, 0] + 1) * 2.0**-32))
        angle = halves[:, 1] * (2.0**-32 * math.tau)
        both = np.empty_like(halves)
        both[:, 0] = radius * np.cos(angle)
        both[:, 1] = radius * np.sin(angle)
        return backend.to_device((both.reshape(-1)[:n] * std + mean).reshape(sizes), device)

    def integers(self, high: int, shape: Shape = (), device: str = "cpu") -> Array:
        """An int64 array of `shape`, uniform on 0 .. high - 1, 1 <= high < 2^32 (bias below high / 2^32)."""
        if not 1 <= high < 2**32:
            raise ShapeError(f"integers: expected 1 <= high < 2^32, got {high}")
        sizes = _sizes(shape)
        top = self.words(math.prod(sizes)) >> np.uint64(32)
        drawn = (top * np.uint64(high) >> np.uint64(32)).astype(np.int64)
        return backend.to_device(drawn.reshape(sizes), device)

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 .. n - 1 in random order, int64."""
        return np.argsort(self.words(n), kind="stable")

    def __repr__(self) -> str:
        return f"Stream(seed={self.seed}, name={self.name!r}, step={self.step})"


def _sizes(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


_seeded = Stream(0)
_used: ContextVar[Stream | None] = ContextVar("minigan's default stream", default=None)


def seed(n: int) -> None:
    """Restart the default stream, which every `rng=None` draws from, from the seed n."""
    global _seeded
    _seeded = Stream(n)


def default() -> Stream:
    """The stream that `rng=None` stands for."""
    return _used.get() or _seeded


@contextmanager
def using(stream: Stream) -> Iterator[Stream]:
    """Within the block, and in this thread only, `rng=None` draws from `stream`."""
    token = _used.set(stream)
    try:
        yield stream
    finally:
        _used.reset(token)
