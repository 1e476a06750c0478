"""One row per op: how to call it on random arguments. Every check of ops runs over this table.

A row is (function of tensors, maker of float64 arrays from a generator). Elementwise ops take theirs from the
op's own record: the interval it is tested in and the points it has no derivative at.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import minigan.ops  # noqa: F401  fills OPS
from minigan.kernels import geometry, sampling
from minigan.op import OPS, Op
from minigan.ops import (
    accumulate,
    channels,
    collective,
    conv,
    elementwise,
    linalg,
    order,
    pool,
    reduce,
    resample,
    samples,
    shape,
    synchronised,
)
from minigan.processes import ALONE, Group
from minigan.tensor import Tensor

Arrays = list[np.ndarray]


class Row(NamedTuple):
    fn: Callable
    make: Callable[[np.random.Generator], Arrays]
    differentiable: bool = True


def draw(op: Op, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random values in the op's domain, at least 0.05 away from each of its kinks."""
    low, high = op.domain
    x = np.asarray(rng.uniform(low, high, shape))
    for kink in op.kinks:
        near = np.abs(x - kink) < 0.05
        x = np.where(near, kink + np.where(x < kink, -0.1, 0.1), x)
    return x


def normal(*shapes):
    return lambda rng: [rng.standard_normal(s) for s in shapes]


def distinct(*shape):
    """Values that differ by at least 0.01, so that no finite difference crosses a tie."""
    return lambda rng: [rng.permutation(np.arange(float(np.prod(shape))) * 0.37 - 3).reshape(shape)]


def away_from(points, shape):
    """Values that are at least 0.05 away from these points."""

    def make(rng):
        x = rng.uniform(-2, 2, shape)
        for point in points:
            x = np.where(np.abs(x - point) < 0.05, point + 0.1, x)
        return [x]

    return make


def unusual(*shape):
    """Values among which there are infinities and NaN."""
    return lambda rng: [rng.choice([0.0, -1.5, np.inf, -np.inf, np.nan], shape)]


def apart(*shapes):
    """Two arrays whose broadcast elements never tie."""
    return lambda rng: [rng.standard_normal(shapes[0]), 5 + rng.standard_normal(shapes[1]) * rng.choice([-1, 1])]


UNARY = [
    *["negative", "absolute", "sign", "square", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p"],
    *["sin", "cos", "tanh", "sigmoid", "softplus", "relu"],
]
BINARY = ["add", "subtract", "multiply", "divide", "power"]
STEPS = {"floor": [-1.0, 0.0, 1.0], "ceil": [-1.0, 0.0, 1.0], "rint": [-1.5, -0.5, 0.5, 1.5]}  # and where they jump
COMPARISONS = ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"]

PLACES = Tensor(np.array([[0, 2, 2, 1], [1, -1, 0, 1]]))
MASK = Tensor(np.array([[True, False, True], [False, False, True]]))
S = geometry.convolution("conv2d", (2, 4, 6, 5), (6, 2, 3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2), 2)
W = geometry.pooling("max_pool2d", (2, 3, 5, 6), (2, 3), (1, 2))
TALL = sampling.resized(40, 35, "bilinear", False, None, True), sampling.filtered(1, (0.5, 2.0), 3, 2, (1, 4))
PICTURES = Tensor(np.random.default_rng(0).permutation(np.arange(180.0)).reshape(W.x))


def put(g, entry, into):
    """The adjoint of x[entry] for x of shape `into`, on g's device."""
    key = shape._index_entry(entry, g)
    return shape._put(g, shape.Index((key,), not isinstance(key, slice)), into)


def of_pooled(op, g):
    """op(g, images, their maxima), on g's device."""
    x = PICTURES.to(g.device)
    return op(g, x, pool._max_pool(x, W), W)


def batch_norm_grad(g, x, *w):
    """The gradient of x for the cotangent g, with the statistics of x and the sums of g that belong to it."""
    stats = channels._channel_stats(x, 0.1)
    return channels._batch_norm_grad(g, x, stats, channels._channel_sums(g, x, stats), *w)


def sync_grad(group: Group, g, x):
    """The gradient of x over processes for the cotangent g, with what belongs to it as in `batch_norm_grad`."""
    stats = synchronised._sync_stats(x, 0.1, group)
    means = collective._all_mean(synchronised._sync_sums(g, x, stats, group), group)
    return synchronised._sync_grad(g, x, stats, means, group)


def over(group: Group) -> dict[str, list[Row]]:
    """The rows of ops over processes, for one of the group."""
    sync = synchronised
    normed = lambda x, *wb: sync._sync_norm(x, sync._sync_stats(x, 0.1, group), group, *wb)
    images = (3, 2, 2, 3)
    return {
        "all_sum": [Row(lambda x: collective._all_sum(x, group), normal((3, 4)))],
        "all_mean": [Row(lambda x: collective._all_mean(x, group), normal((3, 4)))],
        "all_max": [Row(lambda x: collective._all_max(x, group) > 0.5, normal((3, 4)), differentiable=False)],
        "broadcast": [Row(lambda x: collective._broadcast(x, group, group.size - 1), normal((3, 4)))],
        "sum_to_root": [Row(lambda x: collective._to_root(x, group, group.size - 1), normal((3, 4)))],
        "all_gather": [Row(lambda x: collective._all_gather(x, group), normal((3, 4)))],
        "sync_stats": [
            Row(lambda x: sync._sync_stats(x, 0.1, group), normal(images)),
            Row(lambda x: sync._sync_stats(x, 0.1, group)[1], normal((5, 2))),
        ],
        "sync_norm": [
            Row(normed, normal(images)),
            Row(normed, normal((5, 2), (1, 2), (1, 2))),
            Row(normed, normal(images, (1, 2, 1, 1))),
        ],
        "sync_sums": [
            Row(lambda g, x: sync._sync_sums(g, x, sync._sync_stats(x, 0.1, group), group), normal(images, images))
        ],
        "sync_norm_grad": [Row(lambda g, x: sync_grad(group, g, x), normal(images, images))],
    }


def unary(name: str) -> Row:
    op = OPS[name]
    return Row(op, lambda rng: [draw(op, rng, (3, 4))])


def binary(name: str) -> Row:
    op = OPS[name]
    return Row(op, lambda rng: [draw(op, rng, (3, 4)), draw(op, rng, (4,))])


def with_constants(op: Op, *constants, shape=(3, 4)) -> Row:
    return Row(lambda x: op(x, *constants), lambda rng: [draw(op, rng, shape)])


TABLE: dict[str, list[Row]] = {
    **{name: [unary(name)] for name in UNARY},
    **{name: [binary(name)] for name in BINARY},
    **{name: [Row(OPS[name], normal((3, 4), (4,)), differentiable=False)] for name in COMPARISONS},
    **{name: [Row(OPS[name], away_from(jumps, (3, 4)))] for name, jumps in STEPS.items()},
    **{name: [Row(OPS[name], unusual(2, 5), differentiable=False)] for name in ("isnan", "isinf", "isfinite")},
    "maximum": [Row(elementwise.maximum, apart((3, 4), (4,)))],
    "minimum": [Row(elementwise.minimum, apart((3, 1), (1, 4)))],
    "clip": [with_constants(elementwise._clip, -0.5, 0.5), with_constants(elementwise._clip, None, 0.5)],
    "between": [Row(lambda x: elementwise._between(x, -0.5, None), normal((5,)), differentiable=False)],
    "where": [Row(lambda a, b: elementwise.where(MASK.to(a.device), a, b), normal((2, 3), (3,)))],
    "astype": [Row(lambda x: elementwise._astype(x, np.float64), normal((3,)))],
    "leaky_relu": [with_constants(elementwise._leaky_relu, slope) for slope in (0.0, 0.2, 1.5)],
    "leaky_relu_grad": [
        Row(
            lambda g, y: elementwise._leaky_relu_grad(g, y, 0.2),
            lambda rng: [rng.standard_normal((3, 4)), draw(OPS["leaky_relu_grad"], rng, (3, 4))],
        )
    ],
    "elu": [with_constants(elementwise._elu, alpha) for alpha in (1.0, 0.5)],
    "sum": [
        Row(lambda x: reduce.sum(x), normal((2, 3, 4))),
        Row(lambda x: reduce.sum(x, (0, -1), keepdims=True), normal((2, 3, 4))),
    ],
    "mean": [
        Row(lambda x: reduce.mean(x), normal((2, 3, 4))),
        *[
            Row(lambda x, f=f: reduce.mean_of(x, OPS[f], -0.5, 1), distinct(3, 5))
            for f in ("relu", "sigmoid", "softplus", "square")
        ],
    ],
    "mean_grad": [
        Row(
            lambda g, x, f=f: reduce._mean_grad(g, x, f, -0.5, 1.0),
            lambda rng: [np.array(rng.normal()), *distinct(3, 5)(rng)],
        )
        for f in ("identity", "relu", "sigmoid", "softplus", "square")
    ],
    "lengths": [
        Row(lambda x: reduce.lengths(x, 0.1), normal((3, 4))),
        Row(lambda x: reduce.lengths(x, 1e-12), normal((2, 3, 4, 2))),
    ],
    "max": [Row(lambda x: reduce.max(x, 1), distinct(3, 4)), Row(lambda x: reduce.max(x), distinct(3, 4))],
    "min": [Row(lambda x: reduce.min(x, (0, 2), keepdims=True), distinct(2, 3, 4))],
    **{
        name: [
            Row(lambda x, of=of: of(x > 0, 1), normal((3, 4)), differentiable=False),
            Row(lambda x, of=of: of(x, (0, 2), keepdims=True), normal((2, 3, 2)), differentiable=False),
        ]
        for name, of in (("any", reduce.any), ("all", reduce.all))
    },
    **{
        name: [
            Row(lambda x, of=of: of(x, 1), distinct(3, 4), differentiable=False),
            Row(lambda x, of=of: of(x, keepdims=True), distinct(3, 4), differentiable=False),
        ]
        for name, of in (("argmax", order.argmax), ("argmin", order.argmin))
    },
    "argsort": [
        Row(lambda x, down=down: order.argsort(x, 0, down), distinct(3, 4), differentiable=False)
        for down in (False, True)
    ],
    "take_along_axis": [
        Row(lambda x: order.take_along_axis(x, PLACES, 1), normal((2, 3))),
        Row(lambda x: order.sort(x, -1, descending=True), distinct(2, 3, 4)),
        Row(lambda x: order.median(x, (0, 2)), distinct(2, 3, 4)),
    ],
    "take_along_axis_adjoint": [
        Row(lambda g: order._put_along(g, PLACES.to(g.device), 1, (2, 3)), normal((2, 4))),
        Row(lambda x, v: order.scatter_add(x, PLACES, v, 1), normal((2, 3), (2, 4))),
    ],
    "cumsum": [
        Row(lambda x: accumulate.cumsum(x, 1), normal((2, 3, 4))),
        Row(lambda x: accumulate.cumsum(x), normal((2, 3))),
    ],
    "ties": [Row(lambda x: reduce._ties(x, reduce.max(x, 1, keepdims=True)), distinct(3, 4), differentiable=False)],
    "logsumexp": [
        Row(lambda x: reduce.logsumexp(x, 1), normal((3, 4))),
        Row(lambda x: reduce.logsumexp(x, (0, 2), keepdims=True), normal((2, 3, 4))),
    ],
    "softmax": [
        Row(lambda x: reduce.softmax(x), normal((2, 3, 4))),
        Row(lambda x: reduce.softmax(x, (0, 2)), normal((2, 3, 4))),
    ],
    "softmax_grad": [
        Row(lambda g, y: reduce._softmax_grad(g, y, (2,)), normal((2, 3, 4), (2, 3, 4))),
        Row(lambda g, y: reduce._softmax_grad(g, y, (0, 1)), normal((2, 3, 4), (2, 3, 4))),
    ],
    "reshape": [Row(lambda x: shape.reshape(x, 2, 3, 2, 1), normal((3, 4)))],
    "transpose": [Row(lambda x: shape.transpose(x, (2, 0, 1)), normal((2, 3, 4)))],
    "broadcast_to": [Row(lambda x: shape.broadcast_to(x, (2, 3, 4)), normal((3, 1)))],
    "to": [Row(lambda x: shape._to(x, "cpu", "cpu"), normal((3,)))],
    "concatenate": [
        Row(lambda a, b: shape.concatenate([a, b, a], 1), normal((2, 3), (2, 1))),
        Row(lambda a, b: shape.concatenate([a, b], 1), normal((2, 3, 2, 2), (2, 1, 2, 2))),
    ],
    "pad": [
        Row(lambda x: shape.pad(x, ((1, 0), (0, 2)), 3.0), normal((2, 3))),
        Row(lambda x: shape.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1))), normal((2, 3, 2, 2))),
    ],
    "pad_with_its_own": [
        Row(lambda x: shape.pad(x, ((1, 0), (0, 2)), mode="edge"), normal((2, 3))),
        Row(lambda x: shape.pad(x, ((0, 0), (0, 0), (2, 1), (0, 2)), mode="reflect"), normal((2, 3, 3, 4))),
    ],
    "fold": [
        Row(lambda g: shape._fold(g, ((1, 0), (0, 2)), "edge"), normal((3, 5))),
        Row(lambda g: shape._fold(g, ((0, 0), (1, 0), (2, 1), (0, 2)), "reflect"), normal((2, 3, 6, 5))),
    ],
    "flip": [Row(lambda x: shape.flip(x, (0, 2)), normal((2, 3, 4)))],
    "getitem": [
        Row(lambda x: x[1:, None, ..., ::2], normal((3, 4, 5))),
        Row(lambda x: x[np.array([0, 2, 0]), :, np.array([1, 1, 1])], normal((3, 4, 5))),
        Row(lambda x: x[np.array([True, False, True])], normal((3, 4))),
        Row(lambda x: x[-1, 2], normal((3, 4))),
    ],
    "getitem_adjoint": [
        Row(lambda g: put(g, np.array([0, 2, 0]), (3, 4)), normal((3, 4))),
        Row(lambda g: put(g, slice(1, None), (4, 1, 2, 2)), normal((3, 1, 2, 2))),
    ],
    "matmul": [
        Row(linalg.matmul, normal((3, 4), (4, 2))),
        Row(linalg.matmul, normal((2, 1, 3, 4), (5, 4, 2))),
        Row(linalg.matmul, normal((4,), (4, 2))),
        Row(linalg.matmul, normal((3, 4), (4,))),
        Row(linalg.matmul, normal((4,), (4,))),
    ],
    "linear": [
        Row(linalg.linear, normal((3, 4), (2, 4))),
        Row(linalg.linear, normal((3, 4), (2, 4), (2,))),
        Row(linalg.linear, normal((2, 3, 4), (2, 4), (2,))),
    ],
    "linear_weight": [
        Row(linalg._linear_weight, normal((3, 4), (3, 2))),
        Row(linalg._linear_weight, normal((2, 3, 4), (2, 3, 2))),
    ],
    "einsum": [
        Row(lambda a, b: linalg.einsum("bij,bjk->bik", a, b), normal((2, 3, 4), (2, 4, 2))),
        Row(lambda a, b, c: linalg.einsum("ia,jb,ab->ij", a, b, c), normal((2, 3), (4, 2), (3, 2))),
        Row(lambda a, b: linalg.einsum("nc,cd->n", a, b), normal((2, 3), (3, 4))),
    ],
    "conv": [
        Row(lambda x, w: conv._conv(x, w, S), normal(S.x, S.w)),
        Row(lambda x, w, b: conv._conv(x, w, S, b), normal(S.x, S.w, (6,))),
    ],
    "conv_input": [
        Row(lambda w, y: conv._conv_input(w, y, S), normal(S.w, S.y)),
        Row(lambda w, y, b: conv._conv_input(w, y, S, b), normal(S.w, S.y, (4,))),
    ],
    "conv_weight": [Row(lambda x, y: conv._conv_weight(x, y, S), normal(S.x, S.y))],
    "max_pool": [
        Row(lambda x: pool.max_pool2d(x, 2), distinct(2, 3, 4, 4)),
        Row(lambda x: pool.max_pool2d(x, (2, 3), (1, 2)), distinct(2, 2, 5, 6)),
    ],
    "max_pool_grad": [Row(lambda g: of_pooled(pool._max_pool_grad, g), normal(W.y))],
    "max_pool_take": [Row(lambda h: of_pooled(pool._max_pool_take, h), normal(W.x))],
    "channel_stats": [
        Row(lambda x: channels._channel_stats(x, 0.1), normal((3, 2, 2, 3))),
        Row(lambda x: channels.channel_norm(x, 0.1)[2], normal((5, 2))),
    ],
    "batch_norm": [
        Row(lambda x, w, b: channels.batch_norm(x, w, b, 0.1)[0], normal((3, 2, 2, 3), (2,), (2,))),
        Row(lambda x, w, b: channels.batch_norm(x, w * 0, b, 0.1)[0], normal((5, 2), (2,), (2,))),
        Row(lambda x: channels.channel_norm(x, 0.1)[0], normal((3, 2, 2, 3))),
        Row(lambda x: channels.channel_norm(x, 0.1)[0], normal((5, 2))),
        Row(lambda x, w: channels._batch_norm(x, channels._channel_stats(x, 0.1), w), normal((5, 2), (1, 2))),
    ],
    "channel_sums": [
        Row(lambda g, x: channels._channel_sums(g, x, channels._channel_stats(x, 0.1)), normal(*[(3, 2, 2, 3)] * 2))
    ],
    "batch_norm_grad": [
        Row(batch_norm_grad, normal((3, 2, 2, 3), (3, 2, 2, 3), (1, 2, 1, 1))),
        Row(batch_norm_grad, normal((5, 2), (5, 2))),
    ],
    "sample_moments": [
        Row(lambda x: samples._sample_moments(x, 2), normal((3, 2, 2, 3))),
        Row(lambda x: samples._sample_moments(x, 2), normal((3, 4, 2, 3))),
        Row(lambda x: samples.group_norm(x, 2, eps=0.1), normal((3, 4, 2, 3))),
        Row(lambda x: samples.group_norm(x, 1, eps=0.1), normal((3, 4))),
    ],
    "sample_affine": [
        Row(lambda x, w, b: samples.group_norm(x, 2, w, b, 0.1), normal((3, 2, 2, 3), (2,), (3, 2))),
        Row(samples._sample_affine, normal((3, 2, 2, 3), *[(3, 2, 1, 1)] * 3)),
        Row(samples._sample_affine, normal((3, 2, 4), *[(3, 2, 1)] * 2)),
    ],
    "sample_sums": [Row(samples._sample_sums, normal(*[(3, 2, 2, 3)] * 2, (3, 2, 1, 1)))],
    "scale_shift": [
        Row(channels.scale_shift, normal((3, 2, 2, 3), (2,), (2,))),
        Row(channels.scale_shift, normal((3, 2), (2,), (2,))),
    ],
    **over(ALONE),
    "channel_dot": [Row(channels._channel_dot, normal((3, 2, 2, 3), (3, 2, 2, 3)))],
    "pool_sum": [Row(lambda x: pool._pool_sum(x, W), normal(W.x))],
    "resample": [
        Row(lambda x: resample.interpolate(x, (20, 3), mode="bicubic"), normal((2, 3, 5, 6))),
        Row(lambda x: resample.upfirdn2d(x, [1.0, 3.0, 2.0], (2, 1), (1, 2), ((1, 2), (-1, 3))), normal((2, 3, 4, 5))),
        Row(lambda x: resample._resample(x, *TALL), normal((2, 1, 40, 1))),
    ],
    "pool_spread": [Row(lambda g: pool._pool_spread(g, W), normal(W.y))],
}

ROWS = [(name, k) for name, rows in TABLE.items() for k in range(len(rows))]
