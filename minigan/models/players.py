"""What every network of two players shares: the pair, and TensorFlow's starting weights."""

from typing import NamedTuple

from ..nn import Conv2d, ConvTranspose2d, Linear, Module, init
from ..random import Stream


class Players(NamedTuple):
    """A generator and the discriminator (or critic) it plays against."""

    generator: Module
    discriminator: Module


def glorot(generator: Module, discriminator: Module, rng: Stream | None) -> Players:
    """TensorFlow's default initialisation: Glorot-uniform weights, zero biases."""
    for layer in [*generator.modules(), *discriminator.modules()]:
        if isinstance(layer, Linear | Conv2d | ConvTranspose2d):
            init.xavier_uniform_(layer.weight, rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
    return Players(generator, discriminator)
