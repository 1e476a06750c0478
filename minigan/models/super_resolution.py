"""Networks that make larger images of small ones: SRResNet, ESRGAN's of residual dense blocks; and their critics."""

import math
from itertools import pairwise

from .. import nn, ops
from ..errors import ShapeError
from ..nn.checks import integer
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .players import halvings, initialise

DENSE, GROWTH, SCALED = 5, 32, 0.2  # convolutions of a dense block, maps that each adds, and its weight in a sum


class SRBlock(nn.Module):
    """x + two 3x3 convolutions of it, each followed by batch norm, PReLU between (Ledig et al. 2017)."""

    def __init__(self, channels: int, *, rng: Stream | None = None) -> None:
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False, rng=rng),
            nn.BatchNorm2d(channels),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False, rng=rng),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """As many maps of the same size."""
        return x + self.layers(x)


class DenseBlock(nn.Module):
    """Three times: x + 0.2 times five 3x3 convolutions, each of x and of what those before it made; and 0.2 of it all.

    The residual-in-residual dense block of Wang et al. 2018 (RRDB): each convolution but the last of the five adds
    `growth` maps, leaky ReLU 0.2 between, no norm.
    """

    def __init__(self, channels: int, growth: int = GROWTH, *, rng: Stream | None = None) -> None:
        self.parts = [
            [
                nn.Conv2d(channels + k * growth, growth if k < DENSE - 1 else channels, 3, padding=1, rng=rng)
                for k in range(DENSE)
            ]
            for _ in range(3)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """As many maps of the same size."""
        h = x
        for convolutions in self.parts:
            found = [h]
            for conv in convolutions[:-1]:
                found.append(ops.leaky_relu(conv(ops.concatenate(found, 1)), 0.2))
            h = h + SCALED * convolutions[-1](ops.concatenate(found, 1))
        return x + SCALED * h


class Enlarger(nn.Module):
    """Images (N, channels, factor H, factor W) in [-1, 1] of images (N, channels, H, W), by the layers of three parts.

    `first` makes maps, `body` maps of the same size that are added to these, `last` enlarges them.
    """

    def __init__(self, first: nn.Module, body: nn.Module, last: nn.Module) -> None:
        self.first, self.body, self.last = first, body, last

    def forward(self, x: Tensor) -> Tensor:
        """The larger images."""
        h = self.first(as_tensor(x, "Enlarger"))
        return self.last(h + self.body(h))


def srresnet(
    factor: int = 4, *, channels: int = 3, width: int = 64, blocks: int = 16, rng: Stream | None = None
) -> Enlarger:
    """SRResNet (Ledig et al. 2017): a 9x9 convolution and PReLU, so many `SRBlock`s, a 3x3 convolution, a norm.

    Then for each doubling a 3x3 convolution to four times the maps, `PixelShuffle` and PReLU, a 9x9 convolution and
    tanh. 1.5 million weights at the defaults. ShapeError unless factor is 2, 4, 8 or 16.
    """
    doublings = _doublings("srresnet", factor)
    first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4, rng=rng), nn.PReLU())
    conv = nn.Conv2d(width, width, 3, padding=1, bias=False, rng=rng)
    body = nn.Sequential(*(SRBlock(width, rng=rng) for _ in range(blocks)), conv, nn.BatchNorm2d(width))
    last: list[nn.Module] = []
    for _ in range(doublings):
        last += [nn.Conv2d(width, 4 * width, 3, padding=1, rng=rng), nn.PixelShuffle(2), nn.PReLU()]
    last += [nn.Conv2d(width, channels, 9, padding=4, rng=rng), nn.Tanh()]
    return Enlarger(first, body, nn.Sequential(*last))


def rrdbnet(
    factor: int = 4,
    *,
    channels: int = 3,
    width: int = 64,
    blocks: int = 23,
    growth: int = GROWTH,
    rng: Stream | None = None,
) -> Enlarger:
    """ESRGAN's generator (Wang et al. 2018): a 3x3 convolution, so many `DenseBlock`s and another, no norm.

    Then for each doubling each pixel repeated, a 3x3 convolution and leaky ReLU 0.2; two more 3x3 convolutions, and
    tanh, which the paper does not have. Weights are a tenth of He et al.'s, as the paper says. 16.7 million of them at
    the defaults. ShapeError unless factor is 2, 4, 8 or 16.
    """
    doublings = _doublings("rrdbnet", factor)
    dense = [DenseBlock(width, growth, rng=rng) for _ in range(blocks)]
    body = nn.Sequential(*dense, nn.Conv2d(width, width, 3, padding=1, rng=rng))
    last: list[nn.Module] = []
    for _ in range(doublings):
        last += [nn.UpsampleNearest(2), nn.Conv2d(width, width, 3, padding=1, rng=rng), nn.LeakyReLU(0.2)]
    last += [nn.Conv2d(width, width, 3, padding=1, rng=rng), nn.LeakyReLU(0.2)]
    last += [nn.Conv2d(width, channels, 3, padding=1, rng=rng), nn.Tanh()]
    made = Enlarger(nn.Conv2d(channels, width, 3, padding=1, rng=rng), body, nn.Sequential(*last))
    initialise(made, weights=lambda w: nn.init.kaiming_normal_(w, 0.2, rng=rng))
    for block in dense:
        for conv in (conv for part in block.parts for conv in part):
            conv.weight.copy_(0.1 * conv.weight.numpy())
    return made


def image_discriminator(
    side: int,
    *,
    channels: int = 3,
    width: int = 64,
    features: int = 1024,
    norm: bool = True,
    rng: Stream | None = None,
) -> nn.Sequential:
    """SRGAN's discriminator (Ledig et al. 2017): scores (N, 1) of images of side x side pixels.

    Pairs of 3x3 convolutions, the second of which halves the image, from `width` maps on, twice as many after each up
    to eight times, until 4 to 7 pixels a side are left; batch norm after all but the first unless `norm` is False;
    leaky ReLU 0.2; linear layers to `features` and to a score. ShapeError for a side that cannot be halved so.
    """
    steps = halvings("image_discriminator", side)
    layers: list[nn.Module] = []
    before = channels
    for k in range(steps):
        maps = width << min(k, 3)
        for stride in (1, 2):
            normed = norm and layers != []
            layers.append(nn.Conv2d(before, maps, 3, stride, 1, bias=not normed, rng=rng))
            layers += [nn.BatchNorm2d(maps)] if normed else []
            layers.append(nn.LeakyReLU(0.2))
            before = maps
    rest = before * (side >> steps) ** 2
    head = [nn.Flatten(), nn.Linear(rest, features, rng=rng), nn.LeakyReLU(0.2), nn.Linear(features, 1, rng=rng)]
    return nn.Sequential(*layers, *head)


class PixelDiscriminator(nn.Module):
    """Real-ESRGAN's discriminator (Wang et al. 2021): scores (N, 1, H, W) of the pixels of images (N, channels, H, W).

    A U-Net: a 3x3 convolution to `width` maps; three of 4x4 that halve the image, to twice as many each; then three
    times maps as large again, bilinearly, and a 3x3 convolution to half as many, to which those of that size before are
    added; two more 3x3 convolutions and one to a score. Leaky ReLU 0.2, spectral norm but at either end. 4.4 million
    weights at the defaults. ShapeError for sides that 8 does not divide.
    """

    def __init__(self, channels: int = 3, width: int = 64, *, rng: Stream | None = None) -> None:
        maps = [width << k for k in range(4)]
        self.first = nn.Conv2d(channels, width, 3, padding=1, rng=rng)
        self.down = [_bounded(nn.Conv2d(a, b, 4, 2, 1, bias=False, rng=rng), rng) for a, b in pairwise(maps)]
        self.up = [_bounded(_same(b, a, rng), rng) for a, b in reversed(list(pairwise(maps)))]
        self.last = [_bounded(_same(width, width, rng), rng) for _ in range(2)]
        self.score = nn.Conv2d(width, 1, 3, padding=1, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, 1, H, W)."""
        x = as_tensor(x, "PixelDiscriminator")
        if x.ndim != 4 or any(side % 8 for side in x.shape[2:]):
            raise ShapeError(f"PixelDiscriminator: expected images (N, C, H, W) of sides that 8 divides, got {x.shape}")
        h = ops.leaky_relu(self.first(x), 0.2)
        found: list[Tensor] = []
        for conv in self.down:
            found.append(h)
            h = ops.leaky_relu(conv(h), 0.2)
        for conv in self.up:
            h = ops.interpolate(h, scale_factor=2, mode="bilinear")
            h = ops.leaky_relu(conv(h), 0.2) + found.pop()
        for conv in self.last:
            h = ops.leaky_relu(conv(h), 0.2)
        return self.score(h)


def _same(before: int, after: int, rng: Stream | None) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False, rng=rng)


def _bounded(conv: nn.Conv2d, rng: Stream | None) -> nn.Conv2d:
    return nn.spectral_norm(conv, rng=rng)


def _doublings(name: str, factor: int) -> int:
    integer(f"{name}: factor", factor, 2)
    if factor not in (2, 4, 8, 16):
        raise ShapeError(f"{name}: expected a factor of 2, 4, 8 or 16, got {factor}")
    return int(math.log2(factor))
