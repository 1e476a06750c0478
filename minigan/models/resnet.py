"""The residual networks of WGAN-GP and SNGAN for images of any size, with SAGAN's attention if that is asked for."""

import math
from collections.abc import Sequence
from functools import partial

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor
from .players import Players, halvings, initialise

_NORMS = "batch", "layer", None
LARGE = 49  # pixels from which on a network narrows from one size to the next


class SumOverPixels(nn.Module):
    """Each channel of an image added up: (N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C)."""
        return ops.sum(x, (2, 3))


def resnet(
    side: int = 32,
    z_dim: int = 128,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    norm: str | None = None,
    generator_norm: str | None = "batch",
    attention: int = 0,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """Residual players for images of side x side pixels, 4, 5, 6 or 7 times 4, 8, 16, ... (papers: 32 to 128).

    Gulrajani et al. 2017 and Miyato et al. 2018. G: z by a linear layer to 4x4 (to 7x7 for 28), a `nn.ResidualBlock`
    for each doubling, normalisation, ReLU, a 3x3 convolution and tanh. D: a block for images and blocks that halve
    them, one or two that keep their size, ReLU, the sum over pixels, a linear layer. Up to 48 pixels each player has
    as many maps everywhere, G `generator_width` (by default as many as D) and D `width`, and D halves images twice;
    SNGAN has 256 and 128 there, WGAN-GP 128 and 128. Above it D has `width` maps at first and twice as many after each
    halving, up to 16 times, down to the smallest size, and G as many in reverse: SNGAN's 64.

    D's `norm` is None, as spectral norm or R1 want it, or "layer", as in WGAN-GP, or "batch"; G's "batch", "layer" or
    None. With `attention`, a size in pixels, both players have `nn.SelfAttention2d` where maps are of that size (Zhang
    et al. 2019: 32 of 128, with spectral norm in both players). Weights are Glorot-uniform, those of the blocks' 3x3
    convolutions sqrt(2) times as large; the last of D are as much smaller as it adds up pixels, so that scores begin
    small where spectral norm does not see to it. Noise is N(0, 1). ShapeError if a side, a size or a name does not fit.
    """
    if not {norm, generator_norm} <= {*_NORMS}:
        raise ShapeError(f"resnet: expected norms among batch, layer and None, got {norm!r} and {generator_norm!r}")
    steps = residual_steps("resnet", side, attention)
    rest = side >> steps
    maps = widths(side, width, steps)
    drawn = widths(side, generator_width or width, steps)

    start = drawn[steps - 1]
    up: list[nn.Module] = [nn.Linear(z_dim, start * rest * rest, rng=rng), nn.Unflatten(1, (start, rest, rest))]
    for k in reversed(range(steps)):
        before = drawn[min(k + 1, steps - 1)]
        up.append(nn.ResidualBlock(before, drawn[k], "up", norm=generator_norm, rng=rng))
        up += attending(side >> k, attention, drawn[k], rng)
    if generator_norm is not None:
        up.append(nn.BatchNorm2d(drawn[0]) if generator_norm == "batch" else nn.GroupNorm(1, drawn[0]))
    up += [nn.ReLU(), nn.Conv2d(drawn[0], channels, 3, padding=1, rng=rng), nn.Tanh()]

    kept, body = halving(side, channels, maps, norm=norm, attention=attention, rng=rng)
    score = nn.Linear(kept, outputs, rng=rng)
    down = [*body, score]

    players = Players(nn.Sequential(*up), nn.Sequential(*down))
    initialise(*players, weights=partial(nn.init.xavier_uniform_, rng=rng))
    for block in [layer for layer in (*up, *down) if isinstance(layer, nn.ResidualBlock)]:
        for conv in (block.conv1, block.conv2):
            nn.init.xavier_uniform_(conv.weight, gain=math.sqrt(2), rng=rng)
    nn.init.xavier_uniform_(score.weight, gain=1 / (side >> halved(side, steps)) ** 2, rng=rng)
    return players


def halving(
    side: int,
    channels: int,
    maps: Sequence[int],
    *,
    norm: str | None = None,
    attention: int = 0,
    wide: bool = False,
    rng: Stream | None = None,
) -> tuple[int, list[nn.Module]]:
    """(features F, layers that make (N, F) of images): the residual discriminator of `resnet` without its score.

    `maps` are how many there are after k halvings. A `wide` block has as many maps inside as it makes (BigGAN).
    """
    times = halved(side, len(maps) - 1)
    down: list[nn.Module] = [
        nn.ResidualBlock(channels, maps[0], "down", norm=norm, hidden_channels=maps[0], preactivation=False, rng=rng)
    ]
    for k in range(1, times):
        inside = maps[k] if wide else None
        block = nn.ResidualBlock(maps[k - 1], maps[k], "down", norm=norm, hidden_channels=inside, rng=rng)
        down += [*attending(side >> k, attention, maps[k - 1], rng), block]
    kept = maps[times - 1]
    down += attending(side >> times, attention, kept, rng)
    down += [nn.ResidualBlock(kept, kept, norm=norm, rng=rng) for _ in range(1 if side >= LARGE else 2)]
    return kept, [*down, nn.ReLU(), SumOverPixels()]


def widths(side: int, width: int, steps: int) -> list[int]:
    """How many maps the discriminator has after 0, 1, ... so many halvings."""
    return [width << min(k, 4) if side >= LARGE else width for k in range(steps + 1)]


def attending(size: int, attention: int, maps: int, rng: Stream | None) -> list[nn.Module]:
    """Self-attention, if `attention` asks for it where maps are of that size."""
    return [nn.SelfAttention2d(maps, rng=rng)] if size == attention else []


def residual_steps(network: str, side: int, attention: int) -> int:
    """How often the generator doubles its maps; ShapeError if the side, or the size of attention, does not fit."""
    steps = halvings(network, side)
    if steps < 2:
        raise ShapeError(f"{network}: expected a side of 16 pixels or more, got {side}")
    sizes = [side >> k for k in range(1, steps)]
    if attention and attention not in sizes:
        raise ShapeError(
            f"{network}: attention: expected one of the sizes {', '.join(map(str, sizes))}, got {attention}"
        )
    return steps


def halved(side: int, steps: int) -> int:
    """How often the discriminator halves images."""
    return steps if side >= LARGE else 2
