"""Over processes: sums, means and gathered rows, whose rules are again these ops.

They hold for one convention (`minigan.processes`): the loss of the run is the mean over processes of what each
computes. So a process's cotangent of its own x is `size` times the derivative of that loss, and that of what all hold
alike is everybody's mean. Whoever computes alone gets his arguments back.
"""

from collections.abc import Sequence

from .. import processes
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels import kernels
from ..kernels.calls import made
from ..op import op, takes_tensors
from ..processes import Group
from ..recording import mode
from ..tensor import Tensor
from .elementwise import exp, log, square
from .reduce import logsumexp, mean, sum, var
from .reduce import max as largest
from .shape import concatenate, getitem, reshape

Axis = int | Sequence[int] | None


@takes_tensors("x")
def all_sum(x: Tensor) -> Tensor:
    """The sum over processes of each one's x, which is of one shape."""
    group = processes.group()
    return x if group.size == 1 else _all_sum(x, group)


@takes_tensors("x")
def all_mean(x: Tensor) -> Tensor:
    """The mean over processes of each one's x, which is of one shape."""
    group = processes.group()
    return x if group.size == 1 else _all_mean(x, group)


@takes_tensors("x")
def broadcast(x: Tensor, root: int = 0) -> Tensor:
    """The x of the process of that rank, on all; ShapeError if there is no such rank."""
    group = processes.group()
    if not 0 <= root < group.size:
        raise ShapeError(f"broadcast: expected a rank from 0 to {group.size - 1}, got {root}")
    return x if group.size == 1 else _broadcast(x, group, root)


@takes_tensors("x")
def all_gather(x: Tensor) -> Tensor:
    """The rows of all processes, in the order that they have in the batch: (size n, ...) of x (n, ...)."""
    group = processes.group()
    if not x.ndim:
        raise ShapeError("all_gather: expected x with rows (n, ...), got a 0-d tensor")
    return x if group.size == 1 else _all_gather(x, group)


def batch_mean(x: Tensor, axis: Axis = None) -> Tensor:
    """The mean over `axis` of x and over processes: of a whole batch, of which each has as many rows."""
    return all_mean(mean(x, axis))


def batch_var(x: Tensor) -> Tensor:
    """The variance of all numbers of a batch, of which each process has as many rows: a 0-d tensor."""
    if processes.group().size == 1:
        return var(x)
    return batch_mean(square(x - batch_mean(x)))


def batch_logsumexp(x: Tensor) -> Tensor:
    """ln of the sum of e^x over all numbers of a batch: a 0-d tensor."""
    group = processes.group()
    if group.size == 1:
        return logsumexp(x)
    top = _all_max(largest(x.detach()), group)
    return log(all_sum(sum(exp(x - top)))) + top


def averaged(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mean over processes of each tensor, in one message: of gradients, before an optimizer moves by them."""
    group, found = processes.group(), list(tensors)
    if group.size == 1:
        return found
    for dtype in dict.fromkeys(t.dtype for t in found):
        alike = [i for i, t in enumerate(found) if t.dtype == dtype]
        shapes = [found[i].shape for i in alike]
        recorded = mode.recording and any(found[i].node is not None for i in alike)
        if recorded:
            flat = _all_mean(concatenate([reshape(found[i], (-1,)) for i in alike]), group)
        else:
            flat = Tensor(made(_mean_of_all, group, *(found[i].data for i in alike)))
        end = 0
        for i, shape in zip(alike, shapes, strict=True):
            begin, end = end, end + found[i].size
            found[i] = reshape(getitem(flat, slice(begin, end)), shape)
    return found


# --- ops ------------------------------------------------------------------------------------------------------------


@op(lambda g, _y, _x, group: _all_sum(g, group), name="all_sum", formula="sum of x over processes")
def _all_sum(x: Array, group: Group) -> Array:
    return group.sum(_own(x))


@op(lambda g, _y, _x, group: _all_mean(g, group), name="all_mean", formula="mean of x over processes")
def _all_mean(x: Array, group: Group) -> Array:
    y = group.sum(_own(x))
    y *= 1 / group.size
    return y


@op(name="all_max", formula="largest x of all processes")  # a shift that changes no value: its derivative is not asked
def _all_max(x: Array, group: Group) -> Array:
    return group.max(_own(x))


@op(
    lambda g, _y, _x, group, root: _to_root(g, group, root),
    name="broadcast",
    formula="x of one process, on all",
)
def _broadcast(x: Array, group: Group, root: int) -> Array:
    return group.broadcast(_own(x), root)


@op(
    lambda g, _y, _x, group, root: _broadcast(g, group, root),
    name="sum_to_root",
    formula="sum of x over processes on one, 0 on the others",
)
def _to_root(x: Array, group: Group, root: int) -> Array:
    y = group.sum(_own(x))
    if group.rank != root:
        y[...] = 0
    return y


@op(
    lambda g, _y, _x, group: getitem(_all_sum(g, group), slice(group.rank, None, group.size)),
    name="all_gather",
    formula="rows of all processes, dealt out in turn",
)
def _all_gather(x: Array, group: Group) -> Array:
    found = group.gather(_own(x))  # (size, n, ...)
    return xp(x).ascontiguousarray(found.swapaxes(0, 1)).reshape(-1, *x.shape[1:])


def _own(x: Array) -> Array:
    """A contiguous copy."""
    return xp(x).array(x, order="C", copy=True)


def _mean_of_all(group: Group, *arrays: Array) -> Array:
    """The arrays behind each other in one, and the mean over processes of that."""
    return group.sum(kernels(*arrays).flattened(arrays, 1 / group.size))
