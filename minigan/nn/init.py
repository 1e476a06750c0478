"""Initialisers, with PyTorch's names: each fills a tensor in place and returns it."""

import math

import numpy as np

from .. import random
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor
from .checks import number


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *window): how many inputs and outputs each element connects."""
    if tensor.ndim < 2:
        raise ShapeError(f"init: fan in and fan out need two axes, got a tensor of shape {tensor.shape}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def constant_(tensor: Tensor, value: float) -> Tensor:
    """`tensor` filled with `value`."""
    tensor.check_writable("init.constant_")
    tensor.data[...] = value
    tensor.written("init.constant_")
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """`tensor` filled with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """`tensor` filled with 1."""
    return constant_(tensor, 1.0)


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled with draws from U[low, high)."""
    low = number("init.uniform_: low", low, most=number("init.uniform_: high", high))
    drawn = (rng or random.default()).uniform(tensor.shape, low, high, tensor.dtype)
    return tensor.copy_(drawn, by="init.uniform_")


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled with draws from N(mean, std^2)."""
    mean, std = number("init.normal_: mean", mean), number("init.normal_: std", std, least=0)
    drawn = (rng or random.default()).normal(tensor.shape, mean, std, tensor.dtype)
    return tensor.copy_(drawn, by="init.normal_")


def orthogonal_(tensor: Tensor, gain: float = 1.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` (out, in, ...) filled as a matrix (out, in ...) of orthogonal rows or columns of length `gain`.

    Whichever are fewer: so that no direction of the smaller space grows or fades (Saxe et al. 2014). Drawn evenly from
    all such matrices.
    """
    gain = number("init.orthogonal_: gain", gain)
    rows, columns = tensor.shape[0], fans(tensor)[0]
    drawn = (rng or random.default()).normal((max(rows, columns), min(rows, columns)), dtype="float64")
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diag(r))  # else the QR of a library would prefer some of them
    matrix = q if rows >= columns else q.T
    return tensor.copy_((gain * matrix).reshape(tensor.shape).astype(tensor.dtype), by="init.orthogonal_")


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled from N(0, gain^2 2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), rng=rng)


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled from U(-b, b), b = sqrt(6 / ((1 + a^2) fan_in)), a the leaky ReLU's slope (He et al. 2015)."""
    bound = math.sqrt(6 / ((1 + a * a) * fans(tensor)[0]))
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, *, rng: Stream | None = None) -> Tensor:
    """`tensor` filled from N(0, 2 / ((1 + a^2) fan_in)), a the leaky ReLU's slope (He et al. 2015)."""
    return normal_(tensor, 0.0, math.sqrt(2 / ((1 + a * a) * fans(tensor)[0])), rng=rng)
