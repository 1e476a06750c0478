"""The variational autoencoder of Kingma and Welling for images of 28x28 pixels."""

from typing import NamedTuple

from .. import nn
from ..random import Stream
from .ranges import ToUnit


class CodingPlayers(NamedTuple):
    """An encoder of samples into what is known of their codes, and the decoder of codes."""

    encoder: nn.Module
    decoder: nn.Module


def vae28(z_dim: int = 20, hidden: int = 500, *, rng: Stream | None = None) -> CodingPlayers:
    """The network of Kingma and Welling (2014) for MNIST: one hidden layer each, here of ReLU instead of tanh.

    Encoder: images in [-1, 1], 784-hidden-2 z_dim, the mean of z and the logarithm of its variance. Decoder:
    z_dim-hidden-784, a logit for each pixel. PyTorch's starting weights. At the defaults the encoder has 412 540
    parameters, the decoder 403 284.
    """
    encoder = nn.Sequential(
        nn.Flatten(), ToUnit(), nn.Linear(784, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, 2 * z_dim, rng=rng)
    )
    decoder = nn.Sequential(
        nn.Linear(z_dim, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, 784, rng=rng), nn.Unflatten(1, (1, 28, 28))
    )
    return CodingPlayers(encoder, decoder)
