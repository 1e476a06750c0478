"""Layers that look at the samples of a batch together."""

from .. import ops, processes
from ..errors import ShapeError
from ..tensor import Tensor, as_tensor
from .checks import integer
from .module import Module


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
