"""CoGAN's networks: two generators that begin alike, two discriminators that end alike."""

from functools import partial
from typing import NamedTuple

from .. import nn
from ..random import Stream
from .players import halvings, initialise


class CoupledPlayers(NamedTuple):
    """Generators of targets and of sources of the same noise, and a discriminator of each."""

    generator: nn.Sequential
    source_generator: nn.Sequential
    discriminator: nn.Sequential
    source_discriminator: nn.Sequential


def coupled(
    side: int,
    z_dim: int = 100,
    *,
    channels: int = 1,
    source_channels: int | None = None,
    width: int = 32,
    rng: Stream | None = None,
) -> CoupledPlayers:
    """CoGAN's players (Liu and Tuzel 2016) for two domains of side x side pixels, 4 to 7 times a power of 2.

    Generators share all but their last layer, discriminators all but their first, as for the paper's digits. G: linear
    to the smallest maps, 4x4 transposed convolutions of stride 2 to `width` maps, batch norm and ReLU between; then its
    own 3x3 convolution and tanh. D: its own 4x4 convolution of stride 2 to `width` maps, then shared ones, twice as
    many maps after each, leaky ReLU 0.2 between, and a linear layer to a score (N, 1). N(0, 0.02^2) weights of
    generators, those of He et al. 2015 in discriminators, as nothing there is normalised.
    """
    steps = halvings("coupled", side)
    maps = [width << k for k in range(steps)]
    most, rest = maps[-1], side >> steps
    both: list[nn.Module] = [nn.Linear(z_dim, most * rest * rest, rng=rng), nn.Unflatten(1, (most, rest, rest))]
    both += [nn.BatchNorm2d(most), nn.ReLU()]
    for k in reversed(range(steps)):
        both += [nn.ConvTranspose2d(maps[k], maps[max(k - 1, 0)], 4, 2, 1, rng=rng)]
        both += [nn.BatchNorm2d(maps[max(k - 1, 0)]), nn.ReLU()]
    drawing = nn.Sequential(*both)
    judging: list[nn.Module] = []
    for k in range(1, steps):
        judging += [nn.Conv2d(maps[k - 1], maps[k], 4, 2, 1, rng=rng), nn.LeakyReLU(0.2)]
    scoring = nn.Sequential(*judging, nn.Flatten(), nn.Linear(most * rest * rest, 1, rng=rng))
    domains = channels, channels if source_channels is None else source_channels
    generators = [nn.Sequential(drawing, nn.Conv2d(width, c, 3, 1, 1, rng=rng), nn.Tanh()) for c in domains]
    critics = [nn.Sequential(nn.Conv2d(c, width, 4, 2, 1, rng=rng), nn.LeakyReLU(0.2), scoring) for c in domains]
    initialise(*generators, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    initialise(*critics, weights=partial(nn.init.kaiming_normal_, a=0.2, rng=rng))
    return CoupledPlayers(*generators, *critics)
