"""What networks of players share: the pair, and how they start."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .. import nn
from ..random import Stream
from ..tensor import Tensor


class Players(NamedTuple):
    """A generator and the discriminator (or critic) it plays against."""

    generator: nn.Module
    discriminator: nn.Module


def glorot(generator: nn.Module, discriminator: nn.Module, rng: Stream | None) -> Players:
    """TensorFlow's default initialisation: Glorot-uniform weights, zero biases."""
    initialise(generator, discriminator, weights=partial(nn.init.xavier_uniform_, rng=rng))
    return Players(generator, discriminator)


def initialise(*networks: nn.Module, weights: Callable[[Tensor], Any]) -> None:
    """Give each dense and convolutional layer weights by `weights(w)`, in place, and biases of zero."""
    for layer in [module for network in networks for module in network.modules()]:
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weights(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
