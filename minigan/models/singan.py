"""SinGAN: a pyramid of generators that have seen a single picture, and a critic of patches for each."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from .. import nn, ops
from ..errors import ShapeError
from ..nn.checks import integer
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from .players import initialise

BLOCKS = 5  # convolutions of a player, whose scores so are those of patches of 11x11 pixels
DOUBLED = 4  # scales after which players have twice as many maps
SEEN = 2 * BLOCKS + 1
Size = tuple[int, int]


class PyramidPlayers(NamedTuple):
    """The generators of all scales, and their critics."""

    generator: "Pyramid"
    discriminator: "PatchCritics"


def scale_sides(side: int, factor: float = 0.75, smallest: int = 20) -> list[int]:
    """The sides of a pyramid from coarse to fine, each `factor` of the next, none below `smallest`; `side` is last.

    ShapeError unless 0 < factor < 1 and 11 <= smallest <= side, as a critic's patch has 11 pixels.
    """
    if not (0 < factor < 1 and SEEN <= smallest <= side):
        raise ShapeError(
            f"scale_sides: expected 0 < factor < 1 and {SEEN} <= smallest <= side, got {factor}, {smallest} and {side}"
        )
    sides = [side]
    while (smaller := round(side * factor ** len(sides))) >= smallest and smaller < sides[0]:
        sides.insert(0, smaller)
    return sides


def _maps(width: int, k: int) -> int:
    """How many maps the players of the k-th scale have."""
    return width << k // DOUBLED


def _convolutions(inner: int, maps: int, outer: int, rng: Stream | None) -> list[nn.Module]:
    """Five of 3x3 without a border, batch norm and leaky ReLU behind all but the last."""
    layers: list[nn.Module] = []
    for k in range(BLOCKS - 1):
        layers += [nn.Conv2d(maps if k else inner, maps, 3, bias=False, rng=rng), nn.BatchNorm2d(maps)]
        layers.append(nn.LeakyReLU(0.2))
    return [*layers, nn.Conv2d(maps, outer, 3, rng=rng)]


class Pyramid(nn.Module):
    """SinGAN's generators (Shaham et al. 2019), coarse to fine: G(z) is an image of the largest of `sides`.

    The coarsest makes an image of noise alone. Each of the others adds to the image so far, made larger, what five 3x3
    convolutions and tanh make of it and of noise times its `amplitude` (equation 3). They are fully convolutional: of
    more noise they make larger images. Noise is N(0, 1); z (N, dim) has that of all scales, one behind the other.

    A scale whose amplitude is still 0 has not begun to learn, and adds nothing. `fixed` (1, channels, h, w) is the
    noise of the coarsest scale of which, with no other, the picture itself is to come out.
    """

    def __init__(self, sides: Sequence[int], channels: int = 3, width: int = 32, *, rng: Stream | None = None) -> None:
        self.sides = [integer("Pyramid: a side", side, SEEN) for side in sides]
        if not self.sides or self.sides != sorted(self.sides):
            raise ShapeError(f"Pyramid: expected sides from coarse to fine, got {sides}")
        self.channels = integer("Pyramid: channels", channels, 1)
        integer("Pyramid: width", width, 1)
        self.scales = [
            nn.Sequential(nn.ZeroPad2d(BLOCKS), *_convolutions(channels, _maps(width, k), channels, rng), nn.Tanh())
            for k in range(len(self.sides))
        ]
        self.amplitude = nn.Buffer(zeros(len(self.sides)))
        self.fixed = nn.Buffer(zeros((1, channels, self.sides[0], self.sides[0])))
        nn.init.normal_(self.fixed, rng=rng)

    @staticmethod
    def held(sides: Sequence[int], channels: int = 3, width: int = 32) -> int:
        """How many numbers it holds."""
        maps = [_maps(width, k) for k in range(len(sides))]
        scales = sum(n * (9 * (2 * channels + 3 * n) + 4 * 5) + channels for n in maps)
        return scales + len(sides) + channels * sides[0] ** 2 if sides else 0

    @property
    def dim(self) -> int:
        """How many numbers the noise of an image has."""
        return self.channels * sum(side * side for side in self.sides)

    def sizes(self, height: int, width: int) -> list[Size]:
        """The sizes of all scales of an image of another size than the picture's."""
        side = self.sides[-1]
        return [(max(round(s * height / side), 1), max(round(s * width / side), 1)) for s in self.sides]

    def forward(self, z: Tensor) -> Tensor:
        """(N, channels, side, side) of noise z (N, dim), by the scales that have begun to learn."""
        return self.drawn(self.split(as_tensor(z, "Pyramid")))

    def split(self, z: Tensor) -> list[Tensor]:
        """The noise of each scale, (N, channels, h, w), of z (N, dim); ShapeError if it has another number."""
        if z.ndim != 2 or z.shape[1] != self.dim:
            raise ShapeError(f"Pyramid: expected noise (N, {self.dim}), got {z.shape}")
        noises, first = [], 0
        for side in self.sides:
            last = first + self.channels * side * side
            noises.append(ops.reshape(z[:, first:last], (len(z), self.channels, side, side)))
            first = last
        return noises

    def noise(self, n: int, height: int, width: int, rng: Stream) -> list[Tensor]:
        """Noise (n, channels, h, w) of each scale, for images of that size."""
        like = self.fixed
        return [
            Tensor(rng.normal((n, self.channels, *size), dtype=like.dtype, device=like.device))
            for size in self.sizes(height, width)
        ]

    def drawn(self, noises: Sequence[Tensor]) -> Tensor:
        """The images (N, channels, H, W) made of a noise for each scale, whose sizes are theirs."""
        x = self.made(0, None, noises[0])
        for k, noise in enumerate(noises[1:], 1):
            x = larger(x, noise.shape[2:])
            x = ops.where(self.amplitude[k] > 0, self.made(k, x, noise), x)
        return x

    def made(self, k: int, before: Tensor | None, noise: Tensor | None) -> Tensor:
        """What the k-th scale makes of the image before it, already of its size, and of noise, or of none."""
        if before is None:
            return self.scales[k](noise)
        told = before if noise is None else before + self.amplitude[k] * noise
        return before + self.scales[k](told)

    def reconstruction(self, scales: int) -> Tensor:
        """(1, channels, h, w): what that many scales make of the noise that is to become the picture."""
        x = self.made(0, None, self.fixed)
        for k in range(1, scales):
            x = self.made(k, larger(x, (self.sides[k], self.sides[k])), None)
        return x


def larger(x: Tensor, size: Sequence[int]) -> Tensor:
    """Images in the size (h, w) of the next scale."""
    return ops.interpolate(x, (size[0], size[1]), mode="bilinear")


def smaller(x: Tensor, side: int) -> Tensor:
    """Pictures in the size of a coarser scale."""
    return x if x.shape[2] == side else ops.interpolate(x, side, mode="bicubic", antialias=True)


class PatchCritics(nn.Module):
    """A critic for each scale: five 3x3 convolutions to a map of scores, each that of a patch of 11x11 pixels."""

    def __init__(self, scales: int, channels: int = 3, width: int = 32, *, rng: Stream | None = None) -> None:
        self.scales = [nn.Sequential(*_convolutions(channels, _maps(width, k), 1, rng)) for k in range(scales)]

    def forward(self, x: Tensor, k: int = -1) -> Tensor:
        """Scores (N, 1, H - 10, W - 10) of images (N, channels, H, W) by the k-th critic."""
        return self.scales[k](x)


def singan(
    side: int = 64,
    *,
    channels: int = 3,
    width: int = 32,
    factor: float = 0.75,
    smallest: int = 20,
    rng: Stream | None = None,
) -> PyramidPlayers:
    """SinGAN's players (Shaham et al. 2019) for a picture of side x side pixels (paper: up to 250, smallest 25).

    The sides of the scales are those of `scale_sides`. Players have `width` maps, from the fifth scale on twice as
    many, from the ninth on four times. Weights are N(0, 0.02^2), biases 0.
    """
    sides = scale_sides(side, factor, smallest)
    players = PyramidPlayers(
        Pyramid(sides, channels, width, rng=rng), PatchCritics(len(sides), channels, width, rng=rng)
    )
    initialise(*players, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    return players
