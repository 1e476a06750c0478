"""What a generator is fed with: samplers (n, rng) -> z, plain values that a file can keep; ways between two z."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import xp
from ..errors import ShapeError, brief
from ..nn.checks import integer, number
from ..random import Stream
from ..tensor import Tensor

Latent = Callable[[int, Stream], Tensor]  # noise of so many samples, drawn from a stream


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


@dataclass(frozen=True)
class TruncatedLatent:
    """z (n, dim) ~ N(0, 1), each number drawn again until it lies in [-bound, bound] (Brock et al. 2019, section 3.1).

    The smaller the bound, the better each sample and the more alike all are. What lies within is as without a bound.
    """

    dim: int
    bound: float
    dtype: Any = "float32"

    def __call__(self, n: int, rng: Stream) -> Tensor:
        """z (n, dim)."""
        z = rng.normal((n, self.dim), dtype=self.dtype)
        outside = abs(z) > self.bound
        again = 0
        while outside.any():
            again += 1  # from a stream of its own, or what the first samples are would depend on how many there are
            others = Stream(rng.seed, f"{rng.name}, drawn again {again}").at(rng.step)
            z = xp(z).where(outside, others.normal(z.shape, dtype=self.dtype), z)
            outside = abs(z) > self.bound
        return Tensor(z)


@dataclass(frozen=True)
class SourceImages:
    """What a translator is fed with in place of noise: images (n, channels, height, width) in [-1, 1].

    Called, it gives images of noise, U[-1, 1), which stand for them where nobody gives any.
    """

    channels: int
    height: int
    width: int
    dtype: Any = "float32"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image, as the translator was trained on."""
        return self.channels, self.height, self.width

    def __call__(self, n: int, rng: Stream) -> Tensor:
        """Images (n, channels, height, width)."""
        return Tensor(rng.uniform((n, *self.shape), -1.0, 1.0, self.dtype))


def uniform_latent(dim: int, low: float = -1.0, high: float = 1.0, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ U[low, high)."""
    low = number("uniform_latent: low", low, below=number("uniform_latent: high", high))
    return UniformLatent(integer("uniform_latent: dim", dim, 1), low, float(high), dtype)


def normal_latent(dim: int, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ N(0, 1)."""
    return NormalLatent(integer("normal_latent: dim", dim, 1), dtype)


def truncated_latent(latent: Latent, bound: float) -> TruncatedLatent:
    """The same noise without what lies beyond `bound`; ShapeError unless it is normal noise, and the bound above 0."""
    bound = number("truncated_latent: bound", bound, above=0)
    if not isinstance(latent, NormalLatent):
        raise ShapeError(
            f"truncated_latent: normal noise has values far from 0 to leave out, {brief(latent)} is another"
        )
    return TruncatedLatent(latent.dim, bound, latent.dtype)


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(len(t), ..., d): the straight line (1 - t) a + t b from a to b (..., d), t = 0 to 1.

    Between two normal vectors of many dimensions it leads through a region where almost no noise is ever drawn.
    """
    _check("lerp", a, b, t)
    t = t.reshape(-1, *[1] * a.ndim)
    return (1 - t) * a + t * b


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(len(t), ..., d): the great circle from a to b (..., d), with lengths that change evenly from |a| to |b|.

    (sin((1 - t) w) a / |a| + sin(t w) b / |b|) / sin w times (1 - t) |a| + t |b|, w the angle between them
    (Shoemake 1985; White 2016 for latent spaces). For parallel vectors it is the straight line; for opposite ones
    there are many great circles, and none is chosen: ShapeError.
    """
    _check("slerp", a, b, t)
    length_a, length_b = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    if not (length_a > 0).all() or not (length_b > 0).all():
        raise ShapeError("slerp: a vector of length zero has no direction")
    unit_a, unit_b = a / length_a, b / length_b
    # atan2 of the two diagonals of the rhombus: exact for small angles too, where arccos is not
    apart, along = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (unit_a - unit_b, unit_a + unit_b))
    if (along < 1e-6).any():
        raise ShapeError("slerp: between opposite vectors there is no one great circle")
    angle = 2 * np.arctan2(apart, along)
    t = t.reshape(-1, *[1] * a.ndim).astype(a.dtype)
    near = angle < 1e-6
    safe = np.where(near, 1, angle)
    part_a = np.where(near, 1 - t, np.sin((1 - t) * safe) / np.sin(safe))
    part_b = np.where(near, t, np.sin(t * safe) / np.sin(safe))
    return (part_a * unit_a + part_b * unit_b) * ((1 - t) * length_a + t * length_b)


def _check(name: str, a: np.ndarray, b: np.ndarray, t: np.ndarray) -> None:
    if a.shape != b.shape or a.ndim < 1 or t.ndim != 1:
        raise ShapeError(
            f"{name}: expected two arrays of one shape (..., d) and t (n,), got {a.shape}, {b.shape}, {t.shape}"
        )
