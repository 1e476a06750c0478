"""What networks of players share: the pair, and how they start."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .. import nn
from ..errors import ShapeError
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


def halvings(network: str, side: int) -> int:
    """How often `side` pixels are halved until 4 to 7 are left; ShapeError unless that is whole, and once or more."""
    steps = max(side.bit_length() - 3, 0)
    if steps == 0 or side % (1 << steps):
        raise ShapeError(f"{network}: expected a side of 4, 5, 6 or 7 times 2, 4, 8, ... pixels, got {side}")
    return steps


def doubled(width: int, steps: int, times: int) -> list[int]:
    """How many maps there are at the full size, `width`, and after each halving: twice as many, so often at most."""
    return [width << min(k, times) for k in range(steps + 1)]


def initialise(*networks: nn.Module, weights: Callable[[Tensor], Any]) -> None:
    """Give each dense and convolutional layer weights by `weights(w)`, in place, and biases of zero."""
    for layer in [module for network in networks for module in network.modules()]:
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weights(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
