"""Tensors that count: NumPy's names."""

import math
from typing import Any

import numpy as np

from ..backend import array_module, as_dtype, as_shape, integers
from ..errors import ShapeError, brief
from ..kernels.calls import made
from ..tensor import FLOAT32, NUMBER_TYPES, Tensor


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str = "cpu"
) -> Tensor:
    """start, start + step, ... below `stop`, or above it for a negative step; 0, 1, ... below the only number.

    int64 of integers, else float32, unless `dtype` says otherwise. ShapeError for what is no finite number, or a step
    of 0.
    """
    first, end = (0, start) if stop is None else (start, stop)
    numbers = _numbers("arange", first, end, step)
    if not numbers[2]:
        raise ShapeError(f"arange: expected a step that is not 0, from {first} to {end}")
    kind = (
        as_dtype("arange", dtype) if dtype is not None else "int64" if all(type(n) is int for n in numbers) else FLOAT32
    )
    return Tensor(made(array_module(device).arange, *numbers, kind))


def linspace(start: float, stop: float, num: int = 50, *, dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """`num` numbers at equal distances, from `start` to `stop` and with both.

    ShapeError for what is no finite number, or fewer than 0 of them.
    """
    numbers, (count,) = _numbers("linspace", start, stop), as_shape("linspace", num)
    lib, kind = array_module(device), as_dtype("linspace", dtype)
    return Tensor(made(_spaced, lib, *numbers, count, kind))


def _spaced(lib: Any, start: float, stop: float, count: int, dtype: Any) -> Any:
    return lib.linspace(start, stop, count).astype(dtype)


def eye(n: int, m: int | None = None, k: int = 0, *, dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """(n, m), by default (n, n): 1 on the k-th diagonal, 0 elsewhere; k = 0 is the main one, 1 the one above."""
    rows, columns = as_shape("eye", (n, n if m is None else m))
    (diagonal,) = integers("eye", k)
    return Tensor(made(array_module(device).eye, rows, columns, diagonal, as_dtype("eye", dtype)))


def _numbers(name: str, *values: Any) -> list[Any]:
    """The values as Python's numbers; ShapeError for what is no finite one."""
    found = [value.item() if isinstance(value, np.generic | Tensor) else value for value in values]
    for value in found:
        if type(value) not in NUMBER_TYPES or not math.isfinite(value):
            raise ShapeError(f"{name}: expected finite numbers, got {brief(value)}")
    return found
