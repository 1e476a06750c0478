"""Every op that PyTorch has: forward, first and second gradients on random arguments."""

import numpy as np
import pytest
from op_table import draw
from parity import check, torch

import minigan as mg
from minigan.op import OPS

F = torch.nn.functional

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:torch")


def away_from_zero(*shapes):
    return lambda rng: [np.sign(x) * (np.abs(x) + 0.1) for x in (rng.standard_normal(s) for s in shapes)]


def normal(*shapes):
    return lambda rng: [rng.standard_normal(s) for s in shapes]


def positive(*shapes):
    return lambda rng: [rng.uniform(0.5, 2, s) for s in shapes]


def domain(name, *shapes):
    return lambda rng: [draw(OPS[name], rng, s) for s in shapes]


def batch_norm(x, w, b):
    return F.batch_norm(x, None, None, w, b, training=True)


PLACES = np.array([[0, 2, 2, 1], [1, 1, 0, 1]])
PAIRS = {
    "add": (mg.add, torch.add, normal((3, 4), (4,))),
    "subtract": (mg.subtract, torch.sub, normal((3, 1), (1, 4))),
    "multiply": (mg.multiply, torch.mul, normal((3, 4), (4,))),
    "divide": (mg.divide, torch.div, positive((3, 4), (4,))),
    "power": (mg.power, torch.pow, positive((3, 4), (4,))),
    "cube": (lambda x: x**3, lambda x: x**3, normal((3, 4))),
    "maximum": (mg.maximum, torch.maximum, normal((3, 4), (3, 4))),
    "minimum": (mg.minimum, torch.minimum, normal((3, 4), (4,))),
    "clip": (lambda x: mg.clip(x, -0.5, 0.5), lambda x: torch.clamp(x, -0.5, 0.5), normal((20,))),
    "where": (lambda x: mg.where(x > 0, x * x, -x), lambda x: torch.where(x > 0, x * x, -x), normal((9,))),
    **{
        name: (getattr(mg, name), getattr(torch, name), domain(name, (3, 4)))
        for name in ("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "sin", "cos", "tanh", "sigmoid")
    },
    "absolute": (mg.absolute, torch.abs, away_from_zero((9,))),
    "softplus": (mg.softplus, lambda x: F.softplus(x, threshold=1000), normal((9,))),
    "relu": (mg.relu, F.relu, away_from_zero((9,))),
    "leaky_relu": (lambda x: mg.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), away_from_zero((9,))),
    "elu": (mg.elu, F.elu, away_from_zero((9,))),
    "sum": (lambda x: mg.sum(x, (0, 2)), lambda x: x.sum((0, 2)), normal((2, 3, 4))),
    "mean": (lambda x: mg.mean(x, 1, keepdims=True), lambda x: x.mean(1, keepdim=True), normal((2, 3, 4))),
    "var": (lambda x: mg.var(x, 1, ddof=1), lambda x: x.var(1), normal((2, 3, 4))),
    "max": (lambda x: mg.max(x, (0, 1)), lambda x: torch.amax(x, (0, 1)), normal((2, 3, 4))),
    "min": (lambda x: mg.min(x, 2), lambda x: torch.amin(x, 2), normal((2, 3, 4))),
    "logsumexp": (lambda x: mg.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), normal((3, 4))),
    "softmax": (lambda x: mg.softmax(x, 1), lambda x: F.softmax(x, 1), normal((3, 4))),
    "log_softmax": (lambda x: mg.log_softmax(x, 1), lambda x: F.log_softmax(x, 1), normal((3, 4))),
    "reshape": (lambda x: mg.reshape(x, 2, 6, 1, 1), lambda x: x.reshape(2, 6, 1, 1), normal((3, 4))),
    "transpose": (lambda x: mg.transpose(x, (2, 0, 1)), lambda x: x.permute(2, 0, 1), normal((2, 3, 4))),
    "broadcast_to": (lambda x: mg.broadcast_to(x, (2, 3, 4)), lambda x: x.expand(2, 3, 4), normal((3, 1))),
    "concatenate": (lambda a, b: mg.concatenate([a, b], 1), lambda a, b: torch.cat([a, b], 1), normal((2, 3), (2, 1))),
    "stack": (lambda a, b: mg.stack([a, b], 1), lambda a, b: torch.stack([a, b], 1), normal((2, 3), (2, 3))),
    "split": (lambda x: mg.split(x, 2, 1)[1], lambda x: torch.chunk(x, 2, 1)[1], normal((2, 4))),
    "pad": (lambda x: mg.pad(x, ((1, 0), (0, 2)), 2.0), lambda x: F.pad(x, (0, 2, 1, 0), value=2.0), normal((2, 3))),
    **{
        f"pad {mode}": (
            lambda x, mode=mode: mg.pad(x, ((0, 0), (0, 0), (2, 1), (0, 3)), mode=mode),
            lambda x, torchs=torchs: F.pad(x, (0, 3, 2, 1), torchs),
            normal((2, 3, 3, 4)),
        )
        for mode, torchs in (("reflect", "reflect"), ("edge", "replicate"))
    },
    "cumsum": (lambda x: mg.cumsum(x, 1), lambda x: torch.cumsum(x, 1), normal((2, 3, 4))),
    "prod": (lambda x: mg.prod(x, 1), lambda x: torch.prod(x, 1), normal((2, 3, 4))),
    "std": (lambda x: mg.std(x, 1, ddof=1), lambda x: torch.std(x, 1), normal((2, 3, 4))),
    "norm": (lambda x: mg.norm(x, 3, 1), lambda x: torch.linalg.vector_norm(x, 3, 1), normal((2, 3, 4))),
    "sort": (lambda x: mg.sort(x, 1, True), lambda x: torch.sort(x, 1, True)[0], normal((3, 4))),
    "take_along_axis": (
        lambda x: mg.take_along_axis(x, PLACES, 1),
        lambda x: torch.gather(x, 1, torch.tensor(PLACES)),
        normal((2, 3)),
    ),
    "scatter_add": (
        lambda x, v: mg.scatter_add(x, PLACES, v, 1),
        lambda x, v: torch.scatter_add(x, 1, torch.tensor(PLACES), v),
        normal((2, 3), (2, 4)),
    ),
    "triu": (lambda x: mg.triu(x, 1), lambda x: torch.triu(x, 1), normal((3, 4))),
    "roll": (lambda x: mg.roll(x, 2, 1), lambda x: torch.roll(x, 2, 1), normal((3, 4))),
    "floor": (lambda x: mg.floor(x) * x, lambda x: torch.floor(x) * x, normal((9,))),
    "flip": (lambda x: mg.flip(x, 1), lambda x: torch.flip(x, (1,)), normal((2, 3))),
    "getitem": (lambda x: x[[0, 2, 0], 1:], lambda x: x[[0, 2, 0], 1:], normal((3, 4))),
    "matmul": (mg.matmul, torch.matmul, normal((2, 1, 3, 4), (5, 4, 2))),
    "linear": (mg.ops.linear, F.linear, normal((5, 3), (2, 3))),
    "einsum": (
        lambda a, b: mg.einsum("bij,bkj->bik", a, b),
        lambda a, b: torch.einsum("bij,bkj->bik", a, b),
        normal((2, 3, 4), (2, 5, 4)),
    ),
    "max_pool2d": (lambda x: mg.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2), normal((2, 3, 6, 4))),
    "max_pool2d overlapping": (
        lambda x: mg.max_pool2d(x, 3, 2),
        lambda x: F.max_pool2d(x, 3, 2),
        normal((2, 3, 7, 7)),
    ),
    "avg_pool2d": (lambda x: mg.avg_pool2d(x, 3, 1), lambda x: F.avg_pool2d(x, 3, 1), normal((2, 3, 6, 4))),
    "upsample_nearest": (
        lambda x: mg.upsample_nearest(x, 2),
        lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
        normal((2, 3, 3, 4)),
    ),
    "interpolate": (
        lambda x: mg.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        normal((2, 3, 3, 4)),
    ),
    "pixel_shuffle": (lambda x: mg.pixel_shuffle(x, 2), lambda x: F.pixel_shuffle(x, 2), normal((2, 8, 3, 2))),
    "binary_cross_entropy_with_logits": (
        lambda x: mg.binary_cross_entropy_with_logits(x, 0.9),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.full_like(x, 0.9)),
        normal((5, 1)),
    ),
    "cross_entropy": (
        lambda x: mg.cross_entropy(x, mg.tensor([0, 2, 1])),
        lambda x: F.cross_entropy(x, torch.tensor([0, 2, 1])),
        normal((3, 4)),
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PAIRS)
def test_op(name, dtype, rng):
    ours, theirs, make = PAIRS[name]
    check(ours, theirs, make(rng), dtype, rng)


CONVOLUTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
    {"groups": 2, "padding": 1},
    {"padding": "same", "dilation": 2},
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_conv2d(options, dtype, rng):
    groups = options.get("groups", 1)
    arrays = [rng.standard_normal(s) for s in ((2, 4, 8, 7), (6, 4 // groups, 3, 3), (6,))]
    check(lambda *a: mg.conv2d(*a, **options), lambda *a: F.conv2d(*a, **options), arrays, dtype, rng)


TRANSPOSED = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (1, 2), "output_padding": 1, "dilation": 2},
    {"stride": 3, "groups": 2},
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", TRANSPOSED)
def test_conv_transpose2d(options, dtype, rng):
    groups = options.get("groups", 1)
    arrays = [rng.standard_normal(s) for s in ((2, 4, 3, 4), (4, 6 // groups, 3, 4), (6,))]
    check(
        lambda *a: mg.conv_transpose2d(*a, **options), lambda *a: F.conv_transpose2d(*a, **options), arrays, dtype, rng
    )
