"""What is timed: networks as lists of layers, batches, and numbers that every library starts from.

Nothing here belongs to a library: in_minigan.py, in_torch.py and in_jax.py build what is described.
"""

import itertools
import math
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Layers = list[tuple[Any, ...]]

CLASSES = {  # what both minigan.nn and torch.nn call them
    "linear": "Linear",
    "conv": "Conv2d",
    "conv_transpose": "ConvTranspose2d",
    "batch_norm1d": "BatchNorm1d",
    "batch_norm2d": "BatchNorm2d",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "tanh": "Tanh",
    "max_pool": "MaxPool2d",
    "avg_pool": "AvgPool2d",
    "flatten": "Flatten",
    "unflatten": "Unflatten",
}


@dataclass(frozen=True)
class Workload:
    """One step that is repeated. `kind` is gan (D's turn, then G's), gradient_penalty, r1 or sample."""

    name: str
    title: str
    kind: str
    batch: int
    sample: tuple[int, ...]  # shape of one real sample
    discriminator: Layers
    generator: Layers
    z_dim: int = 0
    lr: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    images: int = 0  # how many a sampling step makes


def network(nn: Any, layers: Layers, residual: Any, mean_pixel: Any) -> Any:
    """The network of these layers in `nn`, given its own classes for what neither library has."""

    def make(name: str, *options: Any) -> Any:
        if name == "residual":
            return residual(*(network(nn, part, residual, mean_pixel) for part in options))
        return mean_pixel() if name == "mean_pixel" else getattr(nn, CLASSES[name])(*options)

    return nn.Sequential(*(make(*layer) for layer in layers))


def linear(*sizes: int, activation: tuple[Any, ...]) -> Layers:
    """Fully connected layers of these sizes, `activation` between them."""
    layers = [layer for i, o in itertools.pairwise(sizes) for layer in (("linear", i, o), activation)]
    return layers[:-1]


def dcgan_generator(z_dim: int, width: int, side: int, channels: int) -> Layers:
    """Radford et al. 2016: noise to side/16 pixels, then four transposed convolutions of stride 2."""
    maps = [8 * width, 4 * width, 2 * width, width]
    layers: Layers = [("unflatten", 1, (z_dim, 1, 1)), ("conv_transpose", z_dim, maps[0], side // 16, 1, 0)]
    for i, o in zip(maps, [*maps[1:], channels], strict=True):
        layers += [("batch_norm2d", i), ("relu",), ("conv_transpose", i, o, 4, 2, 1)]
    return [*layers, ("tanh",)]


def dcgan_discriminator(width: int, side: int, channels: int) -> Layers:
    """Radford et al. 2016: four convolutions of stride 2, then one over what is left."""
    maps = [width, 2 * width, 4 * width, 8 * width]
    layers: Layers = [("conv", channels, width, 4, 2, 1), ("leaky_relu", 0.2)]
    for i, o in itertools.pairwise(maps):
        layers += [("conv", i, o, 4, 2, 1), ("batch_norm2d", o), ("leaky_relu", 0.2)]
    return [*layers, ("conv", maps[-1], 1, side // 16, 1, 0), ("flatten",)]


def resnet_critic(width: int) -> Layers:
    """Gulrajani et al. 2017, CIFAR-10: four residual blocks, the first two halve the image; mean pixel; linear."""
    relu, half = ("relu",), ("avg_pool", 2)

    def conv(i: int, k: int = 3) -> tuple[Any, ...]:
        return ("conv", i, width, k, 1, k // 2)

    first = ("residual", [conv(3), relu, conv(width), half], [half, conv(3, 1)])
    second = ("residual", [relu, conv(width), relu, conv(width), half], [conv(width, 1), half])
    same = ("residual", [relu, conv(width), relu, conv(width)], [])
    return [first, second, same, same, relu, ("mean_pixel",), ("linear", width, 1)]


LEAK = ("leaky_relu", 0.01)

CS231N_GENERATOR: Layers = [
    *[("linear", 96, 1024), ("relu",), ("batch_norm1d", 1024)],
    *[("linear", 1024, 6272), ("relu",), ("batch_norm1d", 6272), ("unflatten", 1, (128, 7, 7))],
    *[("conv_transpose", 128, 64, 4, 2, 1), ("relu",), ("batch_norm2d", 64)],
    *[("conv_transpose", 64, 1, 4, 2, 1), ("tanh",)],
]
CS231N_DISCRIMINATOR: Layers = [
    *[("conv", 1, 32, 5, 1, 0), LEAK, ("max_pool", 2), ("conv", 32, 64, 5, 1, 0), LEAK, ("max_pool", 2)],
    *[("flatten",), ("linear", 1024, 1024), LEAK, ("linear", 1024, 1)],
]
WGAN_GP_CRITIC: Layers = [
    *[("conv", 1, 64, 4, 2, 1), ("leaky_relu", 0.2), ("conv", 64, 128, 4, 2, 1), ("leaky_relu", 0.2)],
    *[("flatten",), ("linear", 6272, 1024), ("leaky_relu", 0.2), ("linear", 1024, 1)],
]


def dcgan(side: int, width: int, batch: int) -> Workload:
    """The DCGAN of Radford et al. on colour images of side x side pixels."""
    return Workload(
        name=f"dcgan{side}",
        title=f"DCGAN {side}x{side}x3, width {width}, batch {batch}",
        kind="gan",
        batch=batch,
        sample=(3, side, side),
        discriminator=dcgan_discriminator(width, side, 3),
        generator=dcgan_generator(100, width, side, 3),
        z_dim=100,
        lr=2e-4,
    )


_DCGAN28 = Workload(
    name="dcgan28",
    title="DCGAN of CS231n, batch 128",
    kind="gan",
    batch=128,
    sample=(1, 28, 28),
    discriminator=CS231N_DISCRIMINATOR,
    generator=CS231N_GENERATOR,
    z_dim=96,
)

WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            name="mlp28",
            title="MLP GAN of CS231n, batch 128",
            kind="gan",
            batch=128,
            sample=(784,),
            discriminator=linear(784, 256, 256, 1, activation=LEAK),
            generator=[*linear(96, 1024, 1024, 784, activation=("relu",)), ("tanh",)],
            z_dim=96,
        ),
        _DCGAN28,
        Workload(
            name="wgan_gp",
            title="WGAN-GP critic step, conv64-conv128-1024-1, batch 64",
            kind="gradient_penalty",
            batch=64,
            sample=(1, 28, 28),
            discriminator=WGAN_GP_CRITIC,
            generator=[],
            lr=1e-4,
            betas=(0.0, 0.9),
        ),
        dcgan(64, 64, 64),
        Workload(
            name="toy2d",
            title="2-D GAN 2-16-16, batch 256",
            kind="gan",
            batch=256,
            sample=(2,),
            discriminator=linear(2, 16, 16, 1, activation=LEAK),
            generator=linear(2, 16, 16, 2, activation=LEAK),
            z_dim=2,
        ),
        dcgan(96, 64, 32),
        Workload(
            name="resnet_r1",
            title="ResNet critic step with R1, 32x32, width 128, batch 64",
            kind="r1",
            batch=64,
            sample=(3, 32, 32),
            discriminator=resnet_critic(128),
            generator=[],
            lr=1e-4,
            betas=(0.0, 0.9),
        ),
        replace(
            _DCGAN28, name="sampling", title="10 000 images from that DCGAN", kind="sample", batch=200, images=10_000
        ),
    )
}


def workload(name: str) -> Workload:
    """The workload of this name; "dcgan:SIDE:WIDTH:BATCH" is a DCGAN of any size."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    family, *sizes = name.split(":")
    if family != "dcgan" or len(sizes) != 3:
        raise ValueError(f"unknown workload {name!r}; known are {', '.join(WORKLOADS)} and dcgan:SIDE:WIDTH:BATCH")
    return dcgan(*map(int, sizes))


def initial_weight(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """What the parameter of this name starts from: N(0, 1 / fan_in), or None for the library's own (ones, zeros)."""
    if len(shape) < 2:
        return np.zeros(shape, "float32") if name.endswith("bias") else None
    rng = np.random.default_rng(zlib.crc32(f"{name} {shape}".encode()))
    return (rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))).astype("float32")


def inputs(work: Workload, count: int = 4) -> list[dict[str, np.ndarray]]:
    """`count` batches of what a step reads: real and fake samples, noise for each turn, where to mix them."""
    rng = np.random.default_rng(231)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape).astype("float32")

    return [
        {
            "real": uniform(work.batch, *work.sample),
            "fake": uniform(work.batch, *work.sample),
            "d_noise": uniform(work.batch, work.z_dim),
            "g_noise": uniform(work.batch, work.z_dim),
            "mix": abs(uniform(work.batch, *(1 for _ in work.sample))),
        }
        for _ in range(count)
    ]
