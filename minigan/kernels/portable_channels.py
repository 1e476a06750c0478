"""Sums and normalisation over channels (axis 1), as they run on NumPy and on CuPy.

The statistics of channels are kept for broadcasting: (1, C, 1, ...) for x (N, C, ...), or (N, C, 1, ...) where each
sample has its own.
"""

from ..backend import Array, xp
from . import memory


def channel_stats(x: Array, eps: float) -> Array:
    """(2, 1, C, 1, ...): the mean of each channel, and r = 1 / sqrt(var + eps) with its biased variance."""
    axes = tuple(a for a in range(x.ndim) if a != 1)
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    centred *= centred
    return pair(mean, 1 / xp(x).sqrt(centred.mean(axis=axes, keepdims=True) + eps))


def pair(a: Array, b: Array) -> Array:
    """Two arrays of one shape as one with an axis more, the first: (2, ...)."""
    both = memory.maker(a).empty((2, *a.shape), dtype=a.dtype)
    both[0], both[1] = a, b
    return both


def batch_norm(x: Array, stats: Array, w: Array = None, b: Array = None) -> Array:
    """y w + b with y = (x - mean) r of the channels' `stats` (mean, r); w is 1 and b 0 where they are None."""
    mean, r = stats[0], stats[1]
    z = x - mean
    z *= r if w is None else r * w
    if b is not None:
        z += b
    return z


def channel_sums(g: Array, x: Array, stats: Array) -> Array:
    """(2, 1, C, 1, ...): the sums of g and of g y over each channel, y = (x - mean) r."""
    axes = tuple(a for a in range(g.ndim) if a != 1)
    along = batch_norm(x, stats)
    along *= g
    return pair(g.sum(axis=axes, keepdims=True), along.sum(axis=axes, keepdims=True))


def batch_norm_grad(g: Array, x: Array, stats: Array, sums: Array, w: Array = None) -> Array:
    """w r (g - (sums[0] + y sums[1]) / n), n values in each channel; w is 1 where it is None."""
    r, means = stats[1], sums * (x.shape[1] / x.size if x.size else 0.0)
    d = x - stats[0]
    d *= r * means[1]
    xp(g).subtract(g, d, out=d)
    d -= means[0]
    d *= r if w is None else r * w
    return d


def scale_shift(x: Array, w: Array, b: Array) -> Array:
    """x w + b."""
    z = x * w
    z += b
    return z


def track(
    running_mean: Array,
    running_var: Array,
    batches: Array,
    mean: Array,
    r: Array,
    count: int,
    momentum: float,
    eps: float,
) -> None:
    """Move running statistics (C,), in place, towards a batch's mean and r = 1 / sqrt(var + eps) over `count` values.

    `batches`, a 0-d array, grows by 1.
    """
    lib = xp(mean)
    var = lib.maximum(1 / (r * r) - eps, 0.0) * (count / (count - 1))
    for running, batch in ((running_mean, mean), (running_var, var)):
        running[...] = running * (1 - momentum) + batch.reshape(running.shape) * momentum
    batches += 1


def channel_dot(a: Array, b: Array) -> Array:
    """The sum of a b over each channel."""
    return (a * b).sum(axis=tuple(i for i in range(a.ndim) if i != 1), keepdims=True)


# --- of each sample by itself -------------------------------------------------------------------------------------


def sample_moments(x: Array, groups: int) -> Array:
    """(2, N, C, 1, ...): the mean of each channel's group in each sample, and its biased variance.

    The channels are cut into `groups` of equal size.
    """
    mean = _of_groups(x.mean(axis=_pixels(x), keepdims=True), groups)
    centred = _less(x, mean)
    centred *= centred
    return pair(mean, _of_groups(centred.mean(axis=_pixels(x), keepdims=True), groups))


def _of_groups(means: Array, groups: int) -> Array:
    """What is the mean of each channel (N, C, 1, ...) as the mean of its group."""
    n, channels = means.shape[:2]
    if groups == channels:
        return means
    each = means.reshape(n, groups, channels // groups)
    return xp(means).broadcast_to(each.mean(axis=2, keepdims=True), each.shape).reshape(means.shape)


def sample_affine(x: Array, mean: Array, scale: Array, shift: Array = None) -> Array:
    """(x - mean) scale + shift; shift is 0 where it is None."""
    z = _less(x, mean)
    z *= scale
    if shift is not None:
        z += shift
    return z


def sample_sums(g: Array, x: Array, mean: Array) -> Array:
    """(2, N, C, 1, ...): the sums of g and of g (x - mean) over each channel of each sample."""
    axes = _pixels(x)
    along = _less(x, mean)
    along *= g
    return pair(g.sum(axis=axes, keepdims=True), along.sum(axis=axes, keepdims=True))


def _pixels(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _less(x: Array, mean: Array) -> Array:
    """x - mean, laid out in memory as x is, where CuPy's results are in C order."""
    return xp(x).subtract(x, mean, out=memory.maker(x).empty_like(x))
