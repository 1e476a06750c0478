"""The networks of R3GAN: residual blocks of grouped convolutions, without normalisation."""

import math
from functools import partial

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from .players import Players, doubled, halvings

FILTER = (1, 2, 1)  # of what changes the size
LARGEST = 2  # doublings of the number of maps


class LearnedBasis(nn.Module):
    """Maps (N, channels, side, side) of noise (N, z_dim): a picture for each channel, times a dense layer's number."""

    def __init__(self, z_dim: int, channels: int, side: int, *, rng: Stream | None = None) -> None:
        self.basis = nn.Parameter(zeros((channels, side, side)))
        nn.init.normal_(self.basis, rng=rng)
        self.linear = nn.Linear(z_dim, channels, bias=False, rng=rng)
        _scale(self.linear, rng)

    def forward(self, z: Tensor) -> Tensor:
        """(N, channels, side, side)."""
        factors = self.linear(as_tensor(z, "LearnedBasis"))
        return ops.reshape(factors, (*factors.shape, 1, 1)) * self.basis


def r3gan(
    side: int = 32,
    z_dim: int = 64,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    blocks: int = 2,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """R3GAN's players (Huang et al. 2024, config E) for images of side x side pixels, 4 to 7 times 2, 4, 8, ...

    G: a learned picture of the smallest size for each channel, times a number from z; at each size `blocks` of
    `nn.GroupedResidualBlock`; to the next a 1x1 convolution, where the number of maps changes, and a doubling with
    the filter 1 2 1; a 1x1 convolution to the image, which nothing limits to [-1, 1]. D is its mirror image, and ends
    in a sum over the smallest size with weights of its own for each channel, and a linear layer. There are `width` maps
    of the full size, a multiple of 8, twice as many of half, 4 times as many of all smaller ones. Only the blocks have
    biases, and weights as Fixup wants them; the others' are N(0, 1 / fan in). Noise is N(0, 1); the paper's loss is
    `relativistic` with the penalty `r1_r2`. ShapeError if the side or a width does not fit.
    """
    steps = halvings("r3gan", side)
    rest = side >> steps
    generator_width = generator_width or width
    for name, n in (("width", width), ("generator_width", generator_width)):
        if n % 8:
            raise ShapeError(
                f"r3gan: {name}: groups are of 16 of twice as many maps: expected a multiple of 8, got {n}"
            )
    maps, drawn = (doubled(w, steps, LARGEST) for w in (width, generator_width))
    block = partial(nn.GroupedResidualBlock, blocks=blocks * (steps + 1), rng=rng)

    def stage(n: int) -> list[nn.Module]:
        return [block(n) for _ in range(blocks)]

    def mixed(before: int, after: int) -> list[nn.Module]:
        return [] if before == after else [nn.Conv2d(before, after, 1, bias=False, rng=rng)]

    up: list[nn.Module] = [LearnedBasis(z_dim, drawn[steps], rest, rng=rng), *stage(drawn[steps])]
    for k in reversed(range(steps)):
        up += [*mixed(drawn[k + 1], drawn[k]), nn.Blur(FILTER, up=2), *stage(drawn[k])]
    up.append(nn.Conv2d(drawn[0], channels, 1, bias=False, rng=rng))
    down: list[nn.Module] = [nn.Conv2d(channels, maps[0], 1, bias=False, rng=rng)]
    for k in range(steps):
        down += [*stage(maps[k]), nn.Blur(FILTER, down=2), *mixed(maps[k], maps[k + 1])]
    n = maps[steps]
    down += [*stage(n), nn.Conv2d(n, n, rest, groups=n, bias=False, rng=rng), nn.Flatten()]
    down.append(nn.Linear(n, outputs, bias=False, rng=rng))
    for layer in (*up, *down):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _scale(layer, rng)
    return Players(nn.Sequential(*up), nn.Sequential(*down))


def _scale(layer: nn.Linear | nn.Conv2d, rng: Stream | None) -> None:
    """Weights N(0, 1 / fan in)."""
    nn.init.normal_(layer.weight, std=1 / math.sqrt(nn.init.fans(layer.weight)[0]), rng=rng)
