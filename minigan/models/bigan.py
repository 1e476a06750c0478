"""The players of a bidirectional GAN on images of 28x28 pixels."""

from functools import partial
from typing import NamedTuple

from .. import nn
from ..ops import concatenate
from ..random import Stream
from ..tensor import Tensor
from .players import initialise
from .ranges import FromUnit, ToUnit


class BidirectionalPlayers(NamedTuple):
    """A generator of samples from codes, an encoder of samples into codes, a discriminator of such pairs."""

    generator: nn.Module
    encoder: nn.Module
    discriminator: nn.Module


class PairDiscriminator(nn.Module):
    """A score for each pair of an image and a code: the code joins the image's features after their first layer."""

    def __init__(self, z_dim: int, hidden: int, *, rng: Stream | None = None) -> None:
        self.image = nn.Sequential(
            nn.Flatten(), ToUnit(), nn.Linear(784, hidden, bias=False, rng=rng), nn.LeakyReLU(0.2)
        )
        self.pair = nn.Sequential(
            nn.Linear(hidden + z_dim, hidden, bias=False, rng=rng),
            nn.BatchNorm1d(hidden, affine=False),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1, bias=False, rng=rng),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(N, 1) for images (N, 1, 28, 28) in [-1, 1] and codes (N, z_dim)."""
        return self.pair(concatenate([self.image(x), z], axis=1))


def bigan28(z_dim: int = 50, hidden: int = 1024, *, rng: Stream | None = None) -> BidirectionalPlayers:
    """The networks without convolutions with which Donahue et al. (2017) learn MNIST, two hidden layers each.

    G: z_dim-hidden-hidden-784, batch norm and ReLU, a sigmoid brought to [-1, 1]. E: 784-hidden-hidden-z_dim, leaky
    ReLU 0.2, batch norm before the second, tanh: codes lie where noise does, U(-1, 1). D: as E, for pairs. No biases,
    no scales; N(0, 0.02^2) weights, but zeros in D's last layer, so that it begins undecided. At the defaults G and E
    have 1 902 592 parameters each, D 1 903 616.
    """
    generator = nn.Sequential(
        nn.Linear(z_dim, hidden, bias=False, rng=rng),
        nn.BatchNorm1d(hidden, affine=False),
        nn.ReLU(),
        nn.Linear(hidden, hidden, bias=False, rng=rng),
        nn.BatchNorm1d(hidden, affine=False),
        nn.ReLU(),
        nn.Linear(hidden, 784, bias=False, rng=rng),
        nn.Sigmoid(),
        FromUnit(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    encoder = nn.Sequential(
        nn.Flatten(),
        ToUnit(),
        nn.Linear(784, hidden, bias=False, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden, bias=False, rng=rng),
        nn.BatchNorm1d(hidden, affine=False),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, z_dim, bias=False, rng=rng),
        nn.Tanh(),
    )
    discriminator = PairDiscriminator(z_dim, hidden, rng=rng)
    players = BidirectionalPlayers(generator, encoder, discriminator)
    initialise(*players, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    nn.init.zeros_(discriminator.parameters()[-1])
    return players
