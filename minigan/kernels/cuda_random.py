"""Random draws on a CUDA device: the integers that draws.py draws, and its floats up to rounding."""

from typing import Any

import numpy as np

from ..backend import Array, array_module, is_capturing
from ..errors import CaptureError
from .draws import Draw
from .launch import launch_each

_DRAW = np.dtype([("key0", np.uint64), ("key1", np.uint64), ("first", np.uint64), ("step", np.int64)])


def words(draw: Draw, n: int) -> Array:
    """The n random 64-bit words there."""
    return _drawn("random_words", draw, n, "uint64", "float32", 4)


def uniform(draw: Draw, n: int, low: float, high: float, dtype: Any) -> Array:
    """n floats, uniform on [low, high)."""
    real = _real(dtype)
    return _drawn("random_uniform", draw, n, real, real, 4, float(low), float(high - low)).astype(dtype, copy=False)


def normal(draw: Draw, n: int, mean: float, std: float, dtype: Any) -> Array:
    """n floats, normal."""
    real = _real(dtype)
    return _drawn("random_normal", draw, n, real, real, 8, float(mean), float(std)).astype(dtype, copy=False)


def integers(draw: Draw, n: int, high: int) -> Array:
    """n integers, uniform on 0 .. high - 1, int64."""
    return _drawn("random_integers", draw, n, "int64", "float32", 4, high)


def _real(dtype: Any) -> np.dtype:
    """The float type in which a kernel draws what is wanted as `dtype`."""
    return np.dtype("float64" if np.dtype(dtype) == np.float64 else "float32")


def _drawn(function: str, draw: Draw, n: int, dtype: Any, real: Any, per_block: int, *args: Any) -> Array:
    """n elements drawn by a kernel of random.cu, which makes `per_block` of them from each block of words."""
    at, step = (None, draw.step) if isinstance(draw.step, int) else (draw.step, 0)
    if at is None and is_capturing():
        raise CaptureError(
            "a random draw whose step is a number of the host would be the same in every replay: "
            "give the stream its step as an array on the device, Stream.at(counter)"
        )
    start = np.array((*draw.key, draw.block, step), _DRAW)
    out = array_module("cuda").empty(n, dtype=dtype)
    launch_each("random", function, real, -(-n // per_block), out, n, start, at, *args)
    return out
