"""Batch norm over the rows of all processes, y = (x - mean) r: the ops of `channels`, with everybody's statistics.

Each process holds its own x and y; `stats` are those of the whole batch. Sums of a channel become means over processes
where they flow through the statistics; where they are the gradient of a weight or of a bias they stay a process's own,
as every gradient does until an optimizer moves. The rules are those of `channels`, for a cotangent that need not be the
same on all processes: it is multiplied in before sums are taken, never behind them.
"""

from .. import processes
from ..backend import Array, xp
from ..kernels import kernels
from ..op import op, takes_tensors
from ..processes import Group
from ..tensor import Tensor
from .channels import _channel_dot, _check, _for_channels, _stats_rule, batch_norm, channel_norm
from .collective import _all_mean


@takes_tensors("x")
def sync_channel_norm(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """`channel_norm` of the rows of all processes: (y of this process's rows, mean, r). Raises what it raises."""
    group = processes.statistics()
    if group.size == 1:
        return channel_norm(x, eps)
    _check("sync_channel_norm", x)
    stats = _sync_stats(x, eps, group)
    return _sync_norm(x, stats, group), stats[0], stats[1]


@takes_tensors("x", "weight", "bias")
def sync_batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm` of the rows of all processes: (y weight + bias of this process's rows, mean, r)."""
    group = processes.statistics()
    if group.size == 1:
        return batch_norm(x, weight, bias, eps)
    w, b = _for_channels("sync_batch_norm", x, weight, bias)
    stats = _sync_stats(x, eps, group)
    return _sync_norm(x, stats, group, w, b), stats[0], stats[1]


# --- ops ------------------------------------------------------------------------------------------------------------


@op(
    lambda g, stats, x, eps, group: _stats_rule(_all_mean(g, group), stats, x, eps),
    name="sync_stats",
    formula="mean(x) and r = 1 / sqrt(var(x) + eps) per channel, over processes",
    flops=lambda s, x, *_: 4 * x.size,
)
def _sync_stats(x: Array, eps: float, group: Group) -> Array:
    """Means and variances of the parts, put together as those of the whole (Chan et al. 1979)."""
    own = kernels(x).channel_stats(x, eps)
    parts = group.gather(xp(x).ascontiguousarray(own)).astype("float64")  # (size, 2, 1, C, 1, ...)
    means, r = parts[:, 0], parts[:, 1]
    mean = means.mean(0)
    var = (1 / (r * r) - eps + (means - mean) ** 2).mean(0)
    return xp(x).stack([mean, 1 / xp(x).sqrt(var + eps)]).astype(x.dtype)


def _scaled(g: Tensor, sums: Tensor, by: Tensor, x: Tensor, stats: Tensor, group: Group) -> Tensor:
    """The gradient of x, through y and through the statistics, for the cotangent g by of y; `sums` are those of g."""
    return _sync_grad(g * by, x, stats, _all_mean(sums * by, group), group)


@op(
    lambda g, _z, x, stats, group, w=None, _b=None, *, sums: (
        _sync_grad(g, x, stats, _all_mean(sums, group), group) if w is None else _scaled(g, sums, w, x, stats, group)
    ),
    None,
    None,
    lambda _g, _z, _x, _stats, _group, _w, _b=None, *, sums: sums[1],
    lambda _g, _z, _x, _stats, _group, _w, _b, *, sums: sums[0],
    shared={"sums": lambda g, _z, x, stats, group, _w=None, _b=None: _sync_sums(g, x, stats, group)},
    name="sync_norm",
    formula="y w + b per channel, y = (x - mean(x)) r(x) over processes",
    flops=lambda z, *_: 3 * z.size,
)
def _sync_norm(x: Array, stats: Array, group: Group, w: Array = None, b: Array = None) -> Array:
    return kernels(x).batch_norm(x, stats, w, b)


@op(
    lambda h, _s, _g, x, stats, group: _sync_norm(x, stats, group, h[1], h[0]),
    lambda h, s, g, x, stats, group: _scaled(g, s, h[1], x, stats, group),
    None,
    name="sync_sums",
    formula="sum of g and sum of g y per channel, of this process's rows",
    flops=lambda s, g, *_: 5 * g.size,
)
def _sync_sums(g: Array, x: Array, stats: Array, group: Group) -> Array:
    return kernels(g).channel_sums(g, x, stats)


def _through_x(
    h: Tensor, _d: Tensor, g: Tensor, x: Tensor, stats: Tensor, means: Tensor, group: Group, *, of_h: Tensor
) -> Tensor:
    """By y, whose own derivative is that of sync_norm for the cotangent k; then by r."""
    scale = stats[1] * (-x.shape[1] / x.size)
    k, of_k = h * means[1] + g * of_h[1], of_h * means[1] + means * of_h[1]
    slope = _all_mean(_channel_dot(h, _sync_grad(g, x, stats, means, group)), group)
    by_y = _sync_grad(k * scale, x, stats, of_k * scale, group)
    return by_y + _sync_norm(x, stats, group, slope * scale)


@op(
    lambda h, _d, _g, x, stats, _means, group, *, of_h: _sync_grad(h, x, stats, of_h, group),
    _through_x,
    None,
    None,
    shared={
        "of_h": lambda h, _d, _g, x, stats, _means, group: _all_mean(_sync_sums(h, x, stats, group), group),
    },
    name="sync_norm_grad",
    formula="r (g - (mean over processes of sum of g + y of sum of g y) / n) per channel",
    flops=lambda d, *_: 6 * d.size,
)
def _sync_grad(g: Array, x: Array, stats: Array, means: Array, group: Group) -> Array:
    """`means` are those over processes of the sums of g, and their derivative is in that of g and of x."""
    return kernels(g).batch_norm_grad(g, x, stats, means, None)
