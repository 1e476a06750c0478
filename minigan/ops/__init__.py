"""Every op, and the table that binds them to Tensor's operators and methods."""

from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import CHECKED, Op
from ..tensor import Tensor
from .accumulate import cumsum, prod
from .attention import scaled_dot_product_attention
from .channels import batch_norm, channel_norm, scale_shift
from .collective import all_gather, all_mean, all_sum, averaged, batch_logsumexp, batch_mean, batch_var, broadcast
from .conv import conv2d, conv_transpose2d
from .creation import arange, eye, linspace
from .elementwise import (
    absolute,
    add,
    astype,
    ceil,
    clip,
    cos,
    divide,
    elu,
    equal,
    exp,
    expm1,
    floor,
    full_like,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    leaky_relu,
    less,
    less_equal,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    relu,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from .entropy import binary_cross_entropy_with_logits, cross_entropy
from .layout import moveaxis, repeat, roll, swapaxes, tile, tril, triu
from .linalg import einsum, linear, matmul, outer, tensordot
from .order import argmax, argmin, argsort, median, scatter_add, sort, take_along_axis, topk
from .pool import avg_pool2d, max_pool2d, pixel_shuffle, upsample_nearest
from .reduce import all, any, lengths, log_softmax, logsumexp, max, mean, mean_of, min, norm, softmax, std, sum, var
from .resample import interpolate, upfirdn2d
from .samples import group_norm
from .shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    getitem,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    to,
    transpose,
)
from .synchronised import sync_batch_norm, sync_channel_norm

# What is offered looks at its arguments first; the rules call each other's functions as they are.
globals().update(CHECKED)
for _offered in CHECKED.values():
    _offered.__module__ = __name__  # where pickle finds it
abs = absolute
permute = transpose

# --- what Tensor's operators and methods mean: one visible table --------------------------------------------

_BINARY = {
    "add": add,
    "sub": subtract,
    "mul": multiply,
    "truediv": divide,
    "pow": power,
    "matmul": matmul,
}
_COMPARE = {
    "gt": greater,
    "ge": greater_equal,
    "lt": less,
    "le": less_equal,
    "eq": equal,
    "ne": not_equal,
}
_METHODS = {
    "__neg__": negative,
    "__abs__": absolute,
    "__getitem__": getitem,
    "sum": sum,
    "mean": mean,
    "var": var,
    "std": std,
    "max": max,
    "min": min,
    "prod": prod,
    "any": any,
    "all": all,
    "argmax": argmax,
    "argmin": argmin,
    "argsort": argsort,
    "cumsum": cumsum,
    "round": round,
    "repeat": repeat,
    "swapaxes": swapaxes,
    "reshape": reshape,
    "transpose": lambda x, *axes: transpose(x, axes if len(axes) > 1 else axes[0] if axes else None),
    "permute": lambda x, *axes: permute(x, axes if len(axes) > 1 else axes[0]),
    "squeeze": squeeze,
    "astype": astype,
    "to": to,
}
_PROPERTIES = {"T": transpose}


_OF_NUMPY = {name: fn for name, fn in globals().items() if isinstance(getattr(np, name, None), np.ufunc)}


def _ufunc(x: Tensor, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Tensor:
    """numpy.exp(x), or what `array + x` calls: minigan's function of that name, which has a derivative."""
    name = ufunc.__name__
    if method != "__call__" or options or name not in _OF_NUMPY:
        asked = ".".join([name] if method == "__call__" else [name, method])
        if "out" in options:
            raise DTypeError(f"numpy.{asked}: the result is a Tensor, and cannot go into an array in place")
        raise DTypeError(f"numpy.{asked} of Tensors has no derivative; of their values it is numpy.{asked}(x.numpy())")
    return _OF_NUMPY[name](*args)


def _bind() -> None:
    def forward(fn: Any) -> Any:
        return lambda self, other: fn(self, other)

    def reflected(fn: Any) -> Any:
        return lambda self, other: fn(other, self)

    def compared(fn: Any) -> Any:
        """As `forward`, but with what can be no operand, such as None, Python compares by identity."""
        return lambda self, other: fn(self, other) if hasattr(other, "__array__") or _plain(other) else NotImplemented

    def method(name: str, fn: Any) -> Any:
        if isinstance(fn, Op):
            return lambda self: fn(self)
        return fn.__wrapped__ if name.startswith("__") else fn  # operators have no arguments by name

    for name, fn in _BINARY.items():
        setattr(Tensor, f"__{name}__", forward(fn))
        setattr(Tensor, f"__r{name}__", reflected(fn))
    for name, fn in _COMPARE.items():
        setattr(Tensor, f"__{name}__", (compared if name in ("eq", "ne") else forward)(fn))
    for name, fn in _METHODS.items():
        setattr(Tensor, name, method(name, fn))
    for name, fn in _PROPERTIES.items():
        setattr(Tensor, name, property(fn))
    Tensor.__array_ufunc__ = _ufunc


def _plain(x: Any) -> bool:
    return isinstance(x, int | float | list | tuple)


_bind()
