"""What a generator is fed with: samplers (n, rng) -> z, plain values that a file can keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..random import Stream
from ..tensor import Tensor

Latent = Callable[[int, Stream], Tensor]


@dataclass(frozen=True)
class UniformLatent:
    """z (n, dim) ~ U[low, high)."""

    dim: int
    low: float = -1.0
    high: float = 1.0
    dtype: Any = "float32"

    def __call__(self, n: int, rng: Stream) -> Tensor:
        """z (n, dim)."""
        return Tensor(rng.uniform((n, self.dim), self.low, self.high, self.dtype))


@dataclass(frozen=True)
class NormalLatent:
    """z (n, dim) ~ N(0, 1)."""

    dim: int
    dtype: Any = "float32"

    def __call__(self, n: int, rng: Stream) -> Tensor:
        """z (n, dim)."""
        return Tensor(rng.normal((n, self.dim), dtype=self.dtype))


def uniform_latent(dim: int, low: float = -1.0, high: float = 1.0, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ U[low, high)."""
    return UniformLatent(dim, low, high, dtype)


def normal_latent(dim: int, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ N(0, 1)."""
    return NormalLatent(dim, dtype)
