"""Means of functions and lengths of samples on CuPy arrays, in one launch each where arrays are of losses' sizes."""

import math

from ..backend import Array, array_module
from . import means, portable
from .launch import THREADS, is_dense, is_real, launch, launch_each

ONE_BLOCK = 1 << 14  # elements that one block sums; more are summed by several, and their sums by one
PARTS = 1024  # blocks, at most
WRITTEN_OUT = 1 << 16  # elements up to which a gradient that is one number is written out, as products need it


def mean_of(x: Array, f: str, scale: float, shift: float) -> Array:
    """The mean of f(scale x + shift) over all elements."""
    if not (is_real(x) and is_dense(x)):
        return means.mean_of(x, f, scale, shift)
    lib, kind = array_module("cuda"), means.FUNCTIONS.index(f)
    y = lib.empty((), dtype=x.dtype)
    if x.size <= ONE_BLOCK:
        launch("sums", "sums_of", x.dtype, (1,), (THREADS,), x, y, x.size, kind, scale, shift, 1 / x.size)
        return y
    parts = lib.empty(min(-(-x.size // ONE_BLOCK), PARTS), dtype=x.dtype)
    launch("sums", "sums_of", x.dtype, parts.shape, (THREADS,), x, parts, x.size, kind, scale, shift, 1.0)
    launch("sums", "sums_of", x.dtype, (1,), (THREADS,), parts, y, parts.size, 0, 1.0, 0.0, 1 / x.size)
    return y


def mean_of_grad(g: Array, x: Array, f: str, scale: float, shift: float) -> Array:
    """g f'(scale x + shift) scale / n for each of the n elements of x; g is 0-d."""
    if not (is_real(g, x) and is_dense(x)) or (f == "identity" and x.size > WRITTEN_OUT):
        return means.mean_of_grad(g, x, f, scale, shift)
    out = array_module("cuda").empty_like(x)
    operands = g, x, out, x.size, means.FUNCTIONS.index(f)
    launch_each("sums", "slopes_of", x.dtype, x.size, *operands, scale, shift, scale / x.size)
    return out


def lengths(x: Array, eps: float) -> Array:
    """sqrt(sum x^2 + eps) of each sample, over all axes but the first."""
    if not (is_real(x) and x.size):
        return means.lengths(x, eps)
    lib = array_module("cuda")
    rows = len(x)
    if not portable.is_image(x):  # else each sample is one run of memory
        x = lib.ascontiguousarray(x)
    y = lib.empty(rows, dtype=x.dtype)
    launch("sums", "lengths", x.dtype, (min(rows, 1 << 12),), (THREADS,), x, y, rows, math.prod(x.shape[1:]), eps)
    return y
