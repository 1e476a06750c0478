"""Compiling the CUDA sources beside this file, and starting their kernels."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .geometry import Geometry
from .portable import is_image

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(path.stem for path in FOLDER.glob("*.cu")))
THREADS = 256  # of a block, unless a kernel says otherwise
BLOCKS = 4096  # of a grid at most, where threads take several elements each

_REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


@cache
def source(name: str) -> str:
    """The text of NAME.cu with what it includes from this folder."""
    text = (FOLDER / f"{name}.cu").read_text(encoding="utf-8")
    return re.sub(r'#include "(.+?)"\n', lambda found: (FOLDER / found[1]).read_text(encoding="utf-8"), text)


def options(real: str, **defines: Any) -> tuple[str, ...]:
    """The compiler's options for `real` ("float" or "double") and other definitions."""
    return ("--std=c++17", f"-DREAL={real}", *(f"-D{name}={value}" for name, value in sorted(defines.items())))


def kernel(name: str, function: str, dtype: Any, shared: int = 0, **defines: Any) -> Callable[..., None]:
    """The kernel `function` of NAME.cu for arrays of this float type: called with (grid, block, arguments).

    It may have `shared` bytes of shared memory beside its own arrays, asked for as `shared_mem`. It is compiled when
    it is first asked for.
    """
    return _kernel(array_module("cuda"), name, function, np.dtype(dtype), shared, tuple(defines.items()))


@cache
def _kernel(lib: Any, name: str, function: str, dtype: np.dtype, shared: int, defines: tuple) -> Callable[..., None]:
    made = _module(lib, name, dtype, defines).get_function(function)
    if shared:
        made.max_dynamic_shared_size_bytes = shared
    return made


@cache
def _module(lib: Any, name: str, dtype: np.dtype, defines: tuple) -> Any:
    return lib.RawModule(code=source(name), options=options(_REAL[dtype], **dict(defines)))


def launch(
    name: str,
    function: str,
    dtype: Any,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    *args: Any,
    shared: int = 0,
    **defines: Any,
) -> None:
    """Start a kernel, with so many bytes of shared memory beside its own arrays.

    Python's integers are passed as long long, its floats as `real`, None as a null pointer, all else as it is.
    """
    real = np.dtype(dtype).type
    convert = {int: np.int64, bool: np.int64, float: real, type(None): lambda _: np.uint64(0)}
    passed = tuple(convert[type(a)](a) if type(a) in convert else a for a in args)
    kernel(name, function, dtype, shared, **defines)(grid, block, passed, shared_mem=shared)


def launch_each(name: str, function: str, dtype: Any, n: int, *args: Any, **defines: Any) -> None:
    """Start a kernel that visits n elements; nothing at all if there are none."""
    if n:
        launch(name, function, dtype, (min(-(-n // THREADS), BLOCKS),), (THREADS,), *args, **defines)


_FIELDS = ["n", "c", "h", "w", "kh", "kw", "o", "oh", "ow", "sh", "sw", "top", "left", "dh", "dw", "groups"]
_GEOMETRY = np.dtype([(field, np.int32) for field in _FIELDS])


@lru_cache(maxsize=1024)
def packed(s: Geometry) -> np.ndarray:
    """`s` as the struct of common.cuh, passed by value."""
    (top, _), (left, _) = s.pads
    return np.array((*s.x, *s.w[2:], *s.y[1:], *s.stride, top, left, *s.dilation, s.groups), _GEOMETRY)


def is_real(*arrays: Array) -> bool:
    """True if every array is of a type that the kernels are compiled for, and the same one."""
    return arrays[0].dtype in _REAL and all(a.dtype == arrays[0].dtype for a in arrays)


def is_dense(x: Array) -> bool:
    """True if x fills one run of memory: in C order, in Fortran's, or as a batch of channels-last images."""
    return x.flags.c_contiguous or x.flags.f_contiguous or is_image(x)


def in_c_order(x: Array) -> Array:
    """x, copied only if its elements do not follow each other in C order; None if x is None."""
    return None if x is None else array_module("cuda").ascontiguousarray(x)
