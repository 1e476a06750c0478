"""What is run, and how large: on a GPU, and in a rehearsal without one."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from steps import workloads
from steps.workloads import LEAK, Layers, Workload, dcgan

from minigan.kernels.precision import PRECISIONS


class Variant(NamedTuple):
    """One way of taking the same step; its name is made of these words."""

    library: str
    how: str  # eager; captured (mg.capture); graph (torch.cuda.graph); compile (torch.compile)
    precision: str
    layout: str
    frozen: bool  # D's parameters out of the graph in G's turn, as minigan has them anyway


def variant(name: str) -> Variant:
    """The variant of this name: library, how, then any of tf32 or bf16, channels_last, frozen."""
    library, how, *words = name.split()
    precision = next((word for word in words if word in PRECISIONS), "fp32")
    return Variant(library, how, precision, "channels_last" if "channels_last" in words else "nchw", "frozen" in words)


VARIANTS = (  # in the order in which they are prepared: what the targets need comes first
    "minigan captured",
    "torch eager",
    "torch graph",
    "torch graph channels_last",
    "minigan eager",
    "minigan captured tf32",
    "torch graph channels_last tf32",
    "minigan captured bf16",
    "torch graph channels_last bf16",
    "torch eager channels_last tf32",
    "torch graph channels_last frozen",
    "minigan eager tf32",
)
COMPILED = "torch compile"  # prepared ahead, while nothing is timed
NEEDS = {"gan": ("real", "d_noise", "g_noise"), "gradient_penalty": ("real", "fake", "mix")}  # of a batch, by kind
TRUSTED = "torch eager"  # whose losses the others are held against

WORKLOADS = {
    w.name: w
    for w in (
        workloads.WORKLOADS["dcgan28"],
        workloads.WORKLOADS["wgan_gp"],
        dcgan(64, 64, 128),
        dcgan(128, 64, 64),
    )
}

_TINY_GENERATOR: Layers = [
    *[("linear", 5, 8), ("relu",), ("batch_norm1d", 8), ("linear", 8, 36), ("relu",), ("batch_norm1d", 36)],
    *[("unflatten", 1, (4, 3, 3)), ("conv_transpose", 4, 3, 4, 2, 1), ("relu",), ("batch_norm2d", 3)],
    *[("conv_transpose", 3, 1, 4, 2, 1), ("tanh",)],
]
_TINY_DISCRIMINATOR: Layers = [
    *[("conv", 1, 3, 3, 1, 0), LEAK, ("max_pool", 2), ("flatten",), ("linear", 75, 6), LEAK, ("linear", 6, 1)]
]
_TINY_CRITIC: Layers = [
    *[("conv", 1, 2, 4, 2, 1), ("leaky_relu", 0.2), ("conv", 2, 3, 4, 2, 1), ("leaky_relu", 0.2), ("flatten",)],
    *[("linear", 27, 6), ("leaky_relu", 0.2), ("linear", 6, 1)],
]
_TINY = {
    "dcgan28": {"discriminator": _TINY_DISCRIMINATOR, "generator": _TINY_GENERATOR, "sample": (1, 12, 12), "z_dim": 5},
    "wgan_gp": {"discriminator": _TINY_CRITIC, "sample": (1, 12, 12)},
}


def workload(name: str, rehearse: bool) -> Workload:
    """The workload of this name, in a rehearsal one of the same layers and next to no size."""
    if not rehearse:
        return WORKLOADS[name]
    if name in _TINY:
        return replace(WORKLOADS[name], batch=4, **_TINY[name])
    return replace(dcgan(16, 2, 4), name=name)


@dataclass(frozen=True)
class Plan:
    """Sizes and counts."""

    side: int = 8192  # of the square matrices whose product is the ceiling of arithmetic
    copied: int = 1 << 30  # bytes of the array whose copy is the ceiling of bandwidth
    launches: int = 2000  # of each kind, to learn what one costs
    table_step: int = 1  # every which row of the op table is checked
    wide_channels: int = 130  # of the convolution that is compared in float32: more than one tile
    soak_rounds: int = 2000
    smoke_rounds: int = 40
    soak_batch: int = 128
    losses: int = 6  # steps that are compared before any is timed; captures have happened by then
    rounds: int = 5  # in which the variants take turns
    block: float = 0.3  # seconds of one variant's turn
    images: int = 60_000  # of the main job's data set
    summed: tuple[int, ...] = (1, 1 << 10, 1 << 16, 1 << 20, 1 << 23)  # elements of arrays that all add up
    sums: int = 200  # of each
    shared_rounds: int = 200  # that several processes play together
    kernel: float = 0.01  # seconds for which a layer's kernel is repeated, three times
    elements: int = 1 << 26  # of the arrays that memory-bound kernels pass over
    tests: tuple[str, ...] = ("tests/test_gpu.py",)  # files for pytest
    backend: str = "inductor"  # of torch.compile


GPU = Plan()
REHEARSAL = Plan(
    side=16,
    copied=1 << 12,
    launches=10,
    table_step=16,
    wide_channels=5,
    soak_rounds=6,
    smoke_rounds=6,
    soak_batch=2,
    rounds=2,
    block=0.01,
    images=8,
    summed=(1, 64),
    sums=20,
    shared_rounds=2,
    kernel=0.001,
    elements=1 << 12,
    backend="eager",  # the tracing without the compiler
)
