"""FastGAN: players that learn from few images in little time, a discriminator that can give back what it sees."""

import itertools
from functools import partial
from typing import NamedTuple

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .players import Players, doubled, initialise

SIDES = 32, 64, 128, 256
SMALLEST = 4  # pixels of a side, where G begins
FEATURES = 8  # pixels of a side, where D ends
LARGEST = 4  # doublings of the number of maps
SKIPPED = 4  # doublings of the size that a skip connection leads over, where there are so many
FEWEST = 8  # maps of a decoder
_NORMS = "batch", "layer", None


def _doubled(inner: int, outer: int, twice: bool, noise: bool, rng: Stream | None) -> nn.Sequential:
    """Twice the size by repeated pixels; a gated 3x3 convolution, or two, each with noise if that is asked for."""
    layers: list[nn.Module] = [nn.UpsampleNearest(2)]
    for before in (inner, outer) if twice else (inner,):
        layers.append(nn.Conv2d(before, 2 * outer, 3, padding=1, bias=False, rng=rng))
        layers += [nn.NoiseInjection()] if noise else []
        layers += [nn.BatchNorm2d(2 * outer), nn.GLU(1)]
    return nn.Sequential(*layers)


class FastGenerator(nn.Module):
    """FastGAN's generator (Liu et al. 2021): gated convolutions, a few of them, and skips from small maps to large.

    `start` makes 4x4 maps of noise. Each of `doubled` doubles them and has one or, with noise in them, two gated
    convolutions, by turns. Maps of s x s pixels weigh the channels of those of 16 s x 16 s by `nn.SkipLayerExcitation`:
    4 those of 64, 8 of 128, 16 of 256; for 32 pixels 4 weigh 32. A 3x3 convolution and tanh make the image.
    """

    def __init__(self, side: int, z_dim: int, channels: int, width: int, *, rng: Stream | None = None) -> None:
        steps = _steps(side)
        maps = doubled(width, steps, LARGEST)[::-1]
        first = 2 * maps[0]
        self.start = nn.Sequential(
            nn.Unflatten(1, (z_dim, 1, 1)),
            nn.ConvTranspose2d(z_dim, first, SMALLEST, bias=False, rng=rng),
            nn.BatchNorm2d(first),
            nn.GLU(1),
        )
        pairs = enumerate(itertools.pairwise(maps))
        self.doubled = [_doubled(*pair, k % 2 == 0, k % 2 == 0, rng) for k, pair in pairs]
        self.over = min(SKIPPED, steps)
        ends = zip(maps, maps[self.over :], strict=False)
        self.skips = [nn.SkipLayerExcitation(low, high, rng=rng) for low, high in ends]
        self.to_image = nn.Sequential(nn.Conv2d(maps[-1], channels, 3, padding=1, rng=rng), nn.Tanh())

    @staticmethod
    def held(side: int, z_dim: int, channels: int, width: int) -> int:
        """How many numbers it holds, at most."""
        maps = doubled(width, side.bit_length() - 3, LARGEST)[::-1]
        start = 32 * maps[0] * (z_dim + 1)
        blocks = sum(2 * outer * (9 * (inner + outer) + 10) for inner, outer in itertools.pairwise(maps))
        skips = sum(high * (16 * low + high) for low, high in zip(maps, maps[SKIPPED - 1 :], strict=False))
        return start + blocks + skips + channels * (9 * maps[-1] + 1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, channels, side, side) of noise (N, z_dim)."""
        sizes = [self.start(as_tensor(z, "FastGenerator"))]
        for k, block in enumerate(self.doubled, 1 - self.over):
            x = block(sizes[-1])
            sizes.append(x if k < 0 else self.skips[k](sizes[k], x))
        return self.to_image(sizes[-1])


class Features(NamedTuple):
    """What FastGAN's discriminator reads from images: maps of 16x16 pixels and of 8x8."""

    large: Tensor
    small: Tensor


class HalvedTwice(nn.Module):
    """The mean of two ways to half the size: 4x4 and 3x3 convolutions, and a mean of 2x2 with a convolution 1x1."""

    def __init__(self, inner: int, outer: int, norm: str | None, *, rng: Stream | None = None) -> None:
        self.main = nn.Sequential(
            *_convolved(inner, outer, 4, norm, rng, stride=2, padding=1),
            *_convolved(outer, outer, 3, norm, rng, padding=1),
        )
        self.direct = nn.Sequential(nn.AvgPool2d(2), *_convolved(inner, outer, 1, norm, rng))

    def forward(self, x: Tensor) -> Tensor:
        """(N, outer, H / 2, W / 2)."""
        return (self.main(x) + self.direct(x)) * 0.5


def _convolved(
    inner: int, outer: int, window: int, norm: str | None, rng: Stream | None, **options: int
) -> list[nn.Module]:
    """A convolution, normalisation and leaky ReLU; without normalisation it has a bias."""
    layers: list[nn.Module] = [nn.Conv2d(inner, outer, window, bias=norm is None, rng=rng, **options)]
    if norm is not None:
        layers.append(nn.BatchNorm2d(outer) if norm == "batch" else nn.GroupNorm(1, outer))
    return [*layers, nn.LeakyReLU(0.2)]


class FastDiscriminator(nn.Module):
    """FastGAN's discriminator: (scores (N, outputs, 5, 5), `Features`) of images; each score is that of a part.

    A 4x4 convolution of stride 2 and `HalvedTwice` lead to 8x8 maps, a 1x1 and a 4x4 convolution to the scores. `whole`
    is to give back the image at half its size, made of `Features.small`, and `part` a quarter of it, made of that
    quarter of `Features.large`: what `Regularisers(reconstruction=...)` asks of them.
    """

    def __init__(
        self, side: int, channels: int, width: int, norm: str | None, outputs: int, *, rng: Stream | None = None
    ) -> None:
        steps = _steps(side) - 1
        maps = doubled(width, steps - 1, LARGEST)
        last = maps[-1]
        self.to_large = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1, rng=rng),
            nn.LeakyReLU(0.2),
            *(HalvedTwice(*pair, norm, rng=rng) for pair in itertools.pairwise(maps[:-1])),
        )
        self.to_small = HalvedTwice(maps[-2], last, norm, rng=rng)
        self.score = nn.Sequential(
            *_convolved(last, 2 * last, 1, norm, rng), nn.Conv2d(2 * last, outputs, 4, bias=False, rng=rng)
        )
        self.whole = _decoder(last, channels, steps - 1, rng)
        self.part = _decoder(maps[-2], channels, steps - 1, rng)

    def forward(self, x: Tensor) -> tuple[Tensor, Features]:
        """(scores (N, outputs, 5, 5), what else is read from images (N, channels, side, side))."""
        large = self.to_large(as_tensor(x, "FastDiscriminator"))
        small = self.to_small(large)
        return self.score(small), Features(large, small)


def _decoder(maps: int, channels: int, steps: int, rng: Stream | None) -> nn.Sequential:
    """Images of `maps` after so many doublings, which take a quarter of them first and half as many each time."""
    sizes = [maps, *(max(maps >> (2 + k), FEWEST) for k in range(steps))]
    layers = [_doubled(*pair, False, False, rng) for pair in itertools.pairwise(sizes)]
    return nn.Sequential(*layers, nn.Conv2d(sizes[-1], channels, 3, padding=1, rng=rng), nn.Tanh())


def _steps(side: int) -> int:
    """How often 4 pixels are doubled until there are `side`; ShapeError unless that is one of SIDES."""
    if side not in SIDES:
        raise ShapeError(f"fastgan: expected a side of {', '.join(map(str, SIDES))} pixels, got {side}")
    return side.bit_length() - SMALLEST.bit_length()


def fastgan(
    side: int = 64,
    z_dim: int = 256,
    *,
    channels: int = 3,
    width: int = 32,
    generator_width: int | None = None,
    norm: str | None = "batch",
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """FastGAN's players (Liu et al. 2021) for images of 32, 64, 128 or 256 pixels a side (paper: 256 to 1024).

    G is a `FastGenerator` with `generator_width` maps at the full size, by default half of `width`, and twice as many
    at each smaller one, up to 16 times (paper: 32 at 256, 1024 at 4). D is a `FastDiscriminator` with `width` maps
    after its first layer (paper: 32 of 256), `norm` "batch", "layer" or None. Weights are N(0, 0.02^2), biases zero.

    The paper's G makes every image a second time, with 128 pixels, for a small discriminator beside the first. Up to
    256 pixels that is the same image at its own size or at half of it, and is left out: there is one image and one map
    of scores. So is the spectral norm of the authors' program, which their paper does not name; any network can have
    it. The paper's loss is `hinge` with D's reconstructions, Adam 2e-4, (0.5, 0.999), augmented images. Noise is
    N(0, 1). ShapeError if a side or a name does not fit.
    """
    if norm not in _NORMS:
        raise ShapeError(f"fastgan: expected norm to be batch, layer or None, got {norm!r}")
    G = FastGenerator(side, z_dim, channels, generator_width or max(width // 2, 1), rng=rng)
    D = FastDiscriminator(side, channels, width, norm, outputs, rng=rng)
    initialise(G, D, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    return Players(G, D)
