"""Networks for images of 28x28 pixels: those of CS231n and of a course's lab."""

from typing import Any

from ..nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Unflatten,
    init,
)
from ..random import Stream
from .players import Players, glorot


def mlp28(z_dim: int = 96, *, rng: Stream | None = None) -> Players:
    """The fully connected GAN of CS231n (assignment 3, 2017) for 28x28 images.

    G: z_dim-1024-1024-784, ReLU, tanh; D: 784-256-256-1, leaky ReLU 0.01. Glorot-uniform weights, zero biases.
    D has 267 009 parameters; G has 1 858 320 for z_dim = 4. Noise is U(-1, 1).
    """
    generator = Sequential(
        Linear(z_dim, 1024, rng=rng),
        ReLU(),
        Linear(1024, 1024, rng=rng),
        ReLU(),
        Linear(1024, 784, rng=rng),
        Tanh(),
        Unflatten(1, (1, 28, 28)),
    )
    discriminator = Sequential(
        Flatten(),
        Linear(784, 256, rng=rng),
        LeakyReLU(0.01),
        Linear(256, 256, rng=rng),
        LeakyReLU(0.01),
        Linear(256, 1, rng=rng),
    )
    return glorot(generator, discriminator, rng)


def dcgan28(z_dim: int = 96, *, rng: Stream | None = None) -> Players:
    """The convolutional GAN of CS231n (assignment 3, 2017) for 28x28 images; G is InfoGAN's (Chen et al. 2016).

    Mind the order in G: dense or transposed convolution, ReLU, then batch norm. D has 1 102 721 parameters; G has
    6 595 521 for z_dim = 4, running statistics counted. Noise is U(-1, 1).
    """
    discriminator = Sequential(
        Conv2d(1, 32, 5, rng=rng),
        LeakyReLU(0.01),
        MaxPool2d(2, 2),
        Conv2d(32, 64, 5, rng=rng),
        LeakyReLU(0.01),
        MaxPool2d(2, 2),
        Flatten(),
        Linear(4 * 4 * 64, 4 * 4 * 64, rng=rng),
        LeakyReLU(0.01),
        Linear(4 * 4 * 64, 1, rng=rng),
    )
    return glorot(_infogan_generator(z_dim, rng), discriminator, rng)


def wgan_gp28(z_dim: int = 96, *, rng: Stream | None = None) -> Players:
    """The WGAN-GP of CS231n (assignment 3, 2017) for 28x28 images: dcgan28's generator, InfoGAN's critic.

    The critic has 3 411 649 parameters, running statistics counted. It contains a batch norm, as the document
    has it, although a gradient penalty is defined per sample.
    """
    critic = Sequential(
        Conv2d(1, 64, 4, 2, rng=rng),
        LeakyReLU(0.01),
        Conv2d(64, 128, 4, 2, rng=rng),
        LeakyReLU(0.01),
        BatchNorm2d(128, **_TENSORFLOW),
        Flatten(),
        Linear(128 * 5 * 5, 1024, rng=rng),
        LeakyReLU(0.01),
        Linear(1024, 1, rng=rng),
    )
    return glorot(_infogan_generator(z_dim, rng), critic, rng)


def lab28(z_dim: int = 128, *, output: type[Module] = Sigmoid, rng: Stream | None = None) -> Players:
    """The WGAN-GP of a course's MNIST lab for 28x28 images: strides of 2 with TensorFlow's SAME padding.

    G: z_dim, dense 896 as 2x2x224, then 5x5 transposed convolutions to 4x4x112, 7x7x56, 14x14x28 and 28x28x1, ReLU
    between; weights N(0, 0.01^2). D: 5x5 convolutions to 14x14x28, 7x7x56 and 4x4x112, leaky ReLU 0.2, dense 1. Biases
    begin at 0.01. D has 198 689 parameters, G 939 681 for z_dim = 128. Noise is N(0, 1). `output` is a sigmoid, images
    in [0, 1], as the document has it; with Tanh they are in [-1, 1], as minigan's data are.
    """
    up: dict[str, Any] = {"stride": 2, "padding": "same", "rng": rng}
    generator = Sequential(
        Linear(z_dim, 2 * 2 * 224, rng=rng),
        Unflatten(1, (224, 2, 2)),
        ConvTranspose2d(224, 112, 5, **up),
        ReLU(),
        ConvTranspose2d(112, 56, 5, **up, output_size=7),
        ReLU(),
        ConvTranspose2d(56, 28, 5, **up),
        ReLU(),
        ConvTranspose2d(28, 1, 5, **up),
        output(),
    )
    critic = Sequential(
        Conv2d(1, 28, 5, 2, "same", rng=rng),
        LeakyReLU(0.2),
        Conv2d(28, 56, 5, 2, "same", rng=rng),
        LeakyReLU(0.2),
        Conv2d(56, 112, 5, 2, "same", rng=rng),
        LeakyReLU(0.2),
        Flatten(),
        Linear(4 * 4 * 112, 1, rng=rng),
    )
    players = glorot(generator, critic, rng)
    for layer in [*generator.modules(), *critic.modules()]:
        if isinstance(layer, ConvTranspose2d):
            init.normal_(layer.weight, 0.0, 0.01, rng=rng)
        if isinstance(layer, Conv2d | ConvTranspose2d) and layer.bias is not None:
            init.constant_(layer.bias, 0.01)
    return players


_TENSORFLOW: dict[str, Any] = {
    "eps": 1e-3,
    "momentum": 0.01,
}  # tf.layers.batch_normalization's defaults, in PyTorch's convention


def _infogan_generator(z_dim: int, rng: Stream | None) -> Sequential:
    return Sequential(
        Linear(z_dim, 1024, rng=rng),
        ReLU(),
        BatchNorm1d(1024, **_TENSORFLOW),
        Linear(1024, 7 * 7 * 128, rng=rng),
        ReLU(),
        BatchNorm1d(7 * 7 * 128, **_TENSORFLOW),
        Unflatten(1, (128, 7, 7)),
        ConvTranspose2d(128, 64, 4, 2, 1, rng=rng),
        ReLU(),
        BatchNorm2d(64, **_TENSORFLOW),
        ConvTranspose2d(64, 1, 4, 2, 1, rng=rng),
        Tanh(),
    )
