"""Layers that look at the samples of a batch together."""

import math

from .. import ops, processes
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from . import init
from .checks import integer
from .module import Module, Parameter


class MinibatchStdDev(Module):
    """x with one more channel that says how much the samples differ, so that a critic sees a collapse (Karras 2018).

    The batch is cut into groups of `group_size` by position: with M = N / group_size, samples k, k + M, k + 2M, ... are
    a group. Each element's standard deviation over the group, sqrt(variance + 1e-8), is averaged over all elements to
    one number, which every sample of the group gets as a constant channel (of (N, F): as one more feature). A batch
    smaller than `group_size` is one group. The score of a sample depends on its group, which a penalty per sample
    neglects.
    """

    mixes_samples = True

    def __init__(self, group_size: int = 4) -> None:
        self.group_size = integer("MinibatchStdDev: group_size", group_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C + 1, ...) of x (N, C, ...); ShapeError if N is not divisible into groups."""
        x = as_tensor(x, "MinibatchStdDev")
        parts = processes.part().count  # each holds whole groups: k, k + M, ... are of one part if it divides M
        size = min(self.group_size, parts * x.shape[0]) if x.ndim else 0
        if x.ndim < 2 or size < 1 or x.shape[0] % size:
            where = f" on each of {parts} parts" if parts > 1 else ""
            raise ShapeError(f"MinibatchStdDev: a batch of shape {x.shape} does not split into groups of {size}{where}")
        grouped = ops.reshape(x, (size, x.shape[0] // size, x.size // x.shape[0]))
        spread = ops.mean(ops.sqrt(ops.var(grouped, axis=0) + 1e-8), axis=1)
        each = ops.broadcast_to(ops.reshape(spread, (1, spread.size)), (size, spread.size))
        each = ops.reshape(each, (x.shape[0],) + (1,) * (x.ndim - 1))
        return ops.concatenate([x, ops.broadcast_to(each, (x.shape[0], 1, *x.shape[2:]))], axis=1)

    def extra_repr(self) -> str:
        """The size of a group."""
        return f"{self.group_size}"


class MinibatchDiscrimination(Module):
    """x with `out_features` more numbers that say how close a sample is to the others (Salimans et al. 2016).

    x_i T is a matrix M_i of out_features rows of kernel_dims numbers, and o(x_i)_b is the sum over the other samples j
    of exp(-|M_ib - M_jb|_1): many if a generator makes one sample again and again. T (in_features, out_features,
    kernel_dims) is N(0, 1 / in_features) at first. The others are those of the whole batch, of all processes too.
    """

    mixes_samples = True

    def __init__(
        self, in_features: int, out_features: int = 100, kernel_dims: int = 5, *, rng: Stream | None = None
    ) -> None:
        inner = integer("MinibatchDiscrimination: in_features", in_features, 1)
        outer = integer("MinibatchDiscrimination: out_features", out_features, 1)
        self.T = Parameter(zeros((inner, outer, integer("MinibatchDiscrimination: kernel_dims", kernel_dims, 1))))
        init.normal_(self.T, std=1 / math.sqrt(inner), rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features + out_features) of x (N, in_features)."""
        x = as_tensor(x, "MinibatchDiscrimination")
        inner, outer, dims = self.T.shape
        if x.ndim != 2 or x.shape[1] != inner:
            raise ShapeError(f"MinibatchDiscrimination: expected (N, {inner}), got {x.shape}")
        mine = x @ ops.reshape(self.T, (inner, outer * dims))
        everyone = ops.all_gather(mine)
        n, total = mine.shape[0], everyone.shape[0]
        apart = ops.reshape(mine, (n, 1, outer * dims)) - ops.reshape(everyone, (1, total, outer * dims))
        distances = ops.sum(ops.absolute(ops.reshape(apart, (n * total, outer, dims))), 2)
        close = ops.sum(ops.reshape(ops.exp(-distances), (n, total, outer)), 1) - 1  # to itself it is 1
        return ops.concatenate([x, close], axis=1)

    def extra_repr(self) -> str:
        """Features, rows and columns of a matrix."""
        return ", ".join(str(n) for n in self.T.shape)
