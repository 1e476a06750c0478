"""Players of progressive growing: they begin with the smallest images, and layers for larger ones are faded in."""

import itertools
import math

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor, full
from .players import Players, doubled, halvings

LARGEST = 3  # doublings of the number of maps
SLOPE = 0.2


def sizes(network: str, side: int) -> list[int]:
    """The sides of images, each twice the one before, from 4 to 7 pixels up to `side`; ShapeError if it is none."""
    steps = halvings(network, side)
    return [side >> k for k in reversed(range(steps + 1))]


def convolution(inner: int, outer: int, rng: Stream | None) -> list[nn.Module]:
    """A 3x3 convolution and leaky ReLU."""
    return [nn.equalized(nn.Conv2d(inner, outer, 3, padding=1, rng=rng), rng=rng), nn.LeakyReLU(SLOPE)]


def faded(before: Tensor, after: Tensor, share: Tensor) -> Tensor:
    """(1 - share) before + share after, for a 0-d share: exactly one of them at 0 and at 1."""
    return (1 - share) * before + share * after


class SizedGenerator(nn.Module):
    """Blocks from noise to maps of each size, the smallest first, and a 1x1 convolution from each to an image."""

    def __init__(self, side: int, z_dim: int, channels: int, width: int, *, rng: Stream | None = None) -> None:
        sides = sizes(type(self).__name__, side)
        maps = doubled(width, len(sides) - 1, LARGEST)[::-1]
        first, rest = maps[0], sides[0]
        dense = nn.equalized(nn.Linear(z_dim, first * rest * rest, rng=rng), gain=math.sqrt(2) / 4, rng=rng)
        noise = [nn.PixelNorm(), dense, nn.Unflatten(1, (first, rest, rest)), nn.LeakyReLU(SLOPE), nn.PixelNorm()]
        self.blocks = [nn.Sequential(*noise, *convolution(first, first, rng), nn.PixelNorm())]
        for before, after in itertools.pairwise(maps):
            layers = [*convolution(before, after, rng), nn.PixelNorm(), *convolution(after, after, rng), nn.PixelNorm()]
            self.blocks.append(nn.Sequential(nn.UpsampleNearest(2), *layers))
        self.to_image = [nn.equalized(nn.Conv2d(n, channels, 1, rng=rng), gain=1, rng=rng) for n in maps]

    @staticmethod
    def held(side: int, z_dim: int, channels: int, width: int) -> int:
        """How many numbers it holds."""
        steps = max(side.bit_length() - 3, 0)
        maps = doubled(width, steps, LARGEST)[::-1]
        dense = maps[0] * (side >> steps) ** 2 * (z_dim + 1)
        pairs = [(maps[0], maps[0]), *(pair for sizes in itertools.pairwise(maps) for pair in (sizes, sizes[1:] * 2))]
        return dense + sum(outer * (9 * inner + 1) for inner, outer in pairs) + sum(channels * (n + 1) for n in maps)


class GrowingGenerator(SizedGenerator):
    """A generator that makes images of one size, which grows.

    `level`, a 0-d buffer, says how far it has grown: at k it makes images of the k-th size, counted from 0, and between
    k - 1 and k it fades that size in, from the one before with each pixel repeated.
    """

    def __init__(self, side: int, z_dim: int, channels: int, width: int, *, rng: Stream | None = None) -> None:
        super().__init__(side, z_dim, channels, width, rng=rng)
        self.double = nn.UpsampleNearest(2)
        self.level = nn.Buffer(full((), float(len(self.blocks) - 1)))

    def forward(self, z: Tensor, stage: int | None = None) -> Tensor:
        """Images (N, channels, S, S) of noise (N, z_dim), S the size of that stage, counted from 0.

        Without a stage, which then is what `level` says, each pixel is repeated until they are of full size.
        """
        z = as_tensor(z, "GrowingGenerator")
        last = len(self.blocks) - 1
        if stage is None:
            stage = math.ceil(self.level.item())
            image = self.forward(z, stage)
            for _ in range(last - stage):
                image = self.double(image)
            return image
        x = self.blocks[0](z)
        for block in self.blocks[1:stage]:
            x = block(x)
        if stage == 0:
            return self.to_image[0](x)
        before = self.double(self.to_image[stage - 1](x))
        return faded(before, self.to_image[stage](self.blocks[stage](x)), self.level - (stage - 1))


class GrowingDiscriminator(nn.Module):
    """The generator's mirror image: for each size a 1x1 convolution from images, and a block that halves its maps.

    Its stage is that of the images it is given. `level` is the generator's: between k - 1 and k the maps of that size
    are faded in, from those of the image at half its size.
    """

    def __init__(self, side: int, channels: int, width: int, outputs: int = 1, *, rng: Stream | None = None) -> None:
        self.sides = sizes("GrowingDiscriminator", side)
        maps = doubled(width, len(self.sides) - 1, LARGEST)[::-1]
        self.from_image = [
            nn.Sequential(nn.equalized(nn.Conv2d(channels, n, 1, rng=rng), rng=rng), nn.LeakyReLU(SLOPE)) for n in maps
        ]
        self.blocks = [head(maps[0], self.sides[0], outputs, rng)]
        for after, before in itertools.pairwise(maps):
            layers = [*convolution(before, before, rng), *convolution(before, after, rng)]
            self.blocks.append(nn.Sequential(*layers, nn.AvgPool2d(2)))
        self.half = nn.AvgPool2d(2)
        self.level = nn.Buffer(full((), float(len(self.sides) - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, outputs) of images (N, channels, S, S); ShapeError if S is none of its sizes."""
        x = as_tensor(x, "GrowingDiscriminator")
        if x.ndim != 4 or x.shape[2] not in self.sides:
            raise ShapeError(f"GrowingDiscriminator: expected images of {self.sides} pixels, got {x.shape}")
        stage = self.sides.index(x.shape[2])
        h = self.from_image[stage](x)
        if stage:
            before = self.from_image[stage - 1](self.half(x))
            h = faded(before, self.blocks[stage](h), self.level - (stage - 1))
        for block in reversed(self.blocks[1:stage]):
            h = block(h)
        return self.blocks[0](h)


def head(maps: int, rest: int, outputs: int, rng: Stream | None, seen: int = 0) -> nn.Sequential:
    """Scores of the smallest maps: how much the samples of a group of 4 differ, a convolution and two dense layers.

    The maps come with `seen` more channels.
    """
    return nn.Sequential(
        nn.MinibatchStdDev(),
        *convolution(maps + seen + 1, maps, rng),
        nn.Flatten(),
        nn.equalized(nn.Linear(maps * rest * rest, maps, rng=rng), rng=rng),
        nn.LeakyReLU(SLOPE),
        nn.equalized(nn.Linear(maps, outputs, rng=rng), gain=1, rng=rng),
    )


def progan(
    side: int = 32,
    z_dim: int = 128,
    *,
    channels: int = 3,
    width: int = 32,
    generator_width: int | None = None,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """ProGAN's players (Karras et al. 2018) for images of side x side pixels, 4 to 7 times 2, 4, 8, ...

    They are fully grown at first; a `gan.ProgressiveGame` has them begin with images of 4 to 7 pixels. Maps are `width`
    at the full size, G's `generator_width`, and twice as many with each halving, up to 8 times (paper: 16 of 1024
    pixels, up to 512). Learning rates are equalised, nothing limits images to [-1, 1], and G normalises each pixel and
    its noise, N(0, 1). The paper's loss is `wasserstein` with gradient penalty and a drift of 0.001, Adam 0.001,
    (0, 0.99), averaged weights. ShapeError if the side does not fit.
    """
    G = GrowingGenerator(side, z_dim, channels, generator_width or width, rng=rng)
    return Players(G, GrowingDiscriminator(side, channels, width, outputs, rng=rng))
