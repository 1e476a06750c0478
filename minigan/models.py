"""The players of documents and papers, by name: each function returns a pair (generator, discriminator).

Networks follow their source to the letter: layers, their order, leak, initialiser. What a preset changes for
better samples is said in the preset (see examples/), not here.
"""

from typing import Any, NamedTuple

from .nn import (
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
    Tanh,
    Unflatten,
    init,
)
from .random import Stream


class Players(NamedTuple):
    """A generator and the discriminator (or critic) it plays against."""

    generator: Module
    discriminator: Module


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
    return _glorot(generator, discriminator, rng)


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
    return _glorot(_infogan_generator(z_dim, rng), discriminator, rng)


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
    return _glorot(_infogan_generator(z_dim, rng), critic, rng)


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


def _glorot(generator: Sequential, discriminator: Sequential, rng: Stream | None) -> Players:
    """TensorFlow's default initialisation: Glorot-uniform weights, zero biases."""
    for layer in [*generator.modules(), *discriminator.modules()]:
        if isinstance(layer, Linear | Conv2d | ConvTranspose2d):
            init.xavier_uniform_(layer.weight, rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
    return Players(generator, discriminator)
