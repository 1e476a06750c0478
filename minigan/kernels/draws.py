"""Where a random draw begins, and how NumPy draws it; `cuda_random.py` draws the same on CuPy arrays."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from . import memory


class Draw(NamedTuple):
    """The place in Philox4x64-10's sequence from which words are drawn: what alone decides them."""

    key: np.ndarray  # two 64-bit words, read-only
    block: int  # of four words each, counted from 0 within the step
    step: int | Array  # a number, or a 0-d int64 array that lives where the draw is made


def words(draw: Draw, n: int) -> np.ndarray:
    """The n random 64-bit words there (NumPy's Philox increments its counter before each block of four)."""
    counter = np.array([draw.block, 0, draw.step, 0], dtype=np.uint64)
    return np.random.Philox(counter=counter, key=draw.key).random_raw(n)


def uniform(draw: Draw, n: int, low: float, high: float, dtype: Any) -> np.ndarray:
    """n floats, uniform on [low, high): each word's leading digits, as many as the type holds of [0, 1)."""
    digits = 53 if np.dtype(dtype) == np.float64 else 24
    wide = "float64" if digits == 53 else "float32"
    unit = (words(draw, n) >> np.uint64(64 - digits)).astype(wide) * 2.0**-digits
    return (unit * (high - low) + low).astype(dtype)


def normal(draw: Draw, n: int, mean: float, std: float, dtype: Any) -> np.ndarray:
    """n floats, normal: each word's two halves make two of them by Box and Muller (1958).

    Each half in an array of its own, as NumPy's functions take longer for every second element of one, and all in
    memory that was used before: to be given new pages takes as long as the arithmetic.
    """
    halves = words(draw, -(-n // 2)).view(np.uint32)
    radius, angle, cosine = (memory.empty(len(halves) // 2, dtype) for _ in range(3))
    np.copyto(radius, halves[::2], casting="unsafe")
    np.copyto(angle, halves[1::2], casting="unsafe")
    radius += 1
    radius *= 2.0**-32
    np.log(radius, out=radius)
    radius *= -2
    np.sqrt(radius, out=radius)
    angle *= 2.0**-32 * math.tau
    both = memory.empty((len(angle), 2), dtype)
    np.multiply(radius, np.cos(angle, out=cosine), out=both[:, 0])
    np.multiply(radius, np.sin(angle, out=angle), out=both[:, 1])
    both *= std
    both += mean
    return both.reshape(-1)[:n]


def integers(draw: Draw, n: int, high: int) -> np.ndarray:
    """n integers, uniform on 0 .. high - 1, int64."""
    top = words(draw, n) >> np.uint64(32)
    return (top * np.uint64(high) >> np.uint64(32)).astype(np.int64)
