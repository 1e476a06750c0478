"""LAPGAN's players: a generator and a discriminator for each level of a Laplacian pyramid (Denton et al. 2015)."""

from collections.abc import Sequence

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .players import Players, glorot
from .pyramid import from_rows

LEVELS = 3  # the paper's 8, 16 and 32 pixels
SLOPE = 0.2


def levels(network: str, side: int) -> list[int]:
    """The sides of the images of a pyramid that ends with `side`; ShapeError if that cannot be halved so often."""
    if side < 1 << LEVELS or side % (1 << (LEVELS - 1)):
        raise ShapeError(f"{network}: expected a side of 8, 12, 16, ... pixels, got {side}")
    return [side >> k for k in reversed(range(LEVELS))]


class LaplacianGenerator(nn.Module):
    """A network that makes small images of noise, and for each larger size one that adds detail to the image, doubled.

    What it adds it makes of the image and of more noise: each level has a third of the `z_dim` numbers to itself.
    """

    def __init__(self, side: int, z_dim: int, channels: int, width: int, *, rng: Stream | None = None) -> None:
        first, *larger = levels("LaplacianGenerator", side)
        if z_dim % LEVELS or z_dim < 1:
            raise ShapeError(f"LaplacianGenerator: expected noise for {LEVELS} levels, a multiple of that, got {z_dim}")
        self.share = z_dim // LEVELS
        units = 8 * width
        self.coarsest = nn.Sequential(
            nn.Linear(self.share, units, rng=rng),
            nn.ReLU(),
            nn.Linear(units, units, rng=rng),
            nn.ReLU(),
            nn.Linear(units, channels * first * first, rng=rng),
            nn.Unflatten(1, (channels, first, first)),
            nn.Tanh(),
        )
        self.planes = [
            nn.Sequential(nn.Linear(self.share, size * size, rng=rng), nn.Unflatten(1, (1, size, size)))
            for size in larger
        ]
        self.bands = [
            nn.Sequential(
                nn.Conv2d(channels + 1, width, 5, padding=2, rng=rng),
                nn.ReLU(),
                nn.Conv2d(width, width, 5, padding=2, rng=rng),
                nn.ReLU(),
                nn.Conv2d(width, channels, 5, padding=2, rng=rng),
            )
            for _ in larger
        ]
        self.double = nn.UpsampleNearest(2)

    @staticmethod
    def held(side: int, z_dim: int, channels: int, width: int) -> float:
        """How many numbers it holds."""
        units, share = 8 * width, z_dim / LEVELS
        coarsest = units * (share + 1) + units * (units + 1) + channels * (side >> 2) ** 2 * (units + 1)
        bands = 25 * width * (channels + 1 + width + channels) + 2 * width + channels
        return coarsest + (share + 1) * (side**2 + (side >> 1) ** 2) + 2 * bands

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, channels, side, side) of noise (N, z_dim), from coarse to fine."""
        z = as_tensor(z, "LaplacianGenerator")
        image = self.coarsest(self.of_level(z, 0))
        for level in range(1, LEVELS):
            image = self.refined(self.double(image), z, level)
        return image

    def images(self, z: Tensor, lows: Sequence[Tensor]) -> list[Tensor]:
        """An image of each size, the smallest first, the larger ones made of `lows`, images with only coarse detail."""
        z = as_tensor(z, "LaplacianGenerator")
        found = [self.refined(low, z, level) for level, low in enumerate(lows, 1)]
        return [self.coarsest(self.of_level(z, 0)), *found]

    def refined(self, low: Tensor, z: Tensor, level: int) -> Tensor:
        """An image with only coarse detail and the detail that this level makes of it."""
        plane = self.planes[level - 1](self.of_level(z, level))
        return low + self.bands[level - 1](ops.concatenate([low, plane], 1))

    def of_level(self, z: Tensor, level: int) -> Tensor:
        """That level's part of the noise."""
        return z[:, level * self.share : (level + 1) * self.share]


class LaplacianDiscriminator(nn.Module):
    """A discriminator for each size, the larger ones told what coarse detail there is; `sides` are the sizes."""

    def __init__(self, side: int, channels: int, width: int, *, rng: Stream | None = None) -> None:
        self.sides, self.channels = levels("LaplacianDiscriminator", side), channels
        first, *larger = self.sides
        units = 8 * width
        self.coarsest = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * first * first, units, rng=rng),
            nn.LeakyReLU(SLOPE),
            nn.Linear(units, units, rng=rng),
            nn.LeakyReLU(SLOPE),
            nn.Linear(units, 1, rng=rng),
        )
        self.finer = [
            nn.Sequential(
                nn.Conv2d(2 * channels, width, 5, stride=2, padding=2, rng=rng),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(width, 2 * width, 5, stride=2, padding=2, rng=rng),
                nn.LeakyReLU(SLOPE),
                nn.Flatten(),
                nn.Linear(2 * width * (-(-size // 4)) ** 2, 1, rng=rng),
            )
            for size in larger
        ]
        self.double = nn.UpsampleNearest(2)

    def lows(self, images: Sequence[Tensor]) -> list[Tensor]:
        """What the larger images are told of: for each the one before, doubled."""
        return [self.double(image) for image in images[:-1]]

    def forward(self, x: Tensor, lows: Sequence[Tensor]) -> Tensor:
        """Scores (N, 3), one of each size, of images of all sizes in rows (N, F), as `pyramid.as_rows` lays them out.

        `lows` are what each but the smallest should be a detailed version of.
        """
        first, *larger = from_rows(as_tensor(x, "LaplacianDiscriminator"), self.channels, self.sides)
        told = zip(self.finer, larger, lows, strict=True)
        return ops.concatenate(
            [self.coarsest(first), *(finer(ops.concatenate([image, low], 1)) for finer, image, low in told)], 1
        )


def lapgan(
    side: int = 32,
    z_dim: int = 192,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """LAPGAN's players (Denton et al. 2015) for images of side x side pixels, 8, 12, 16, ..., for a `LaplacianGame`.

    Their pyramid has three sizes, 8, 16 and 32 say; halving takes the mean of blocks, and doubling repeats each pixel.
    The smallest image is made by two dense layers of 8 width units, and judged by two such; the detail of each larger
    one by three 5x5 convolutions with `width` maps, of the image that has none and a plane of noise, and judged by two
    such and a dense layer, which see the image with its detail beside the one without (paper: the former). Weights
    are Glorot-uniform. Noise is N(0, 1), a third of it for each size. ShapeError if a number does not fit.
    """
    if outputs != 1:
        raise ShapeError(f"lapgan: its discriminators have one score each, got outputs={outputs}")
    G = LaplacianGenerator(side, z_dim, channels, generator_width or width, rng=rng)
    return glorot(G, LaplacianDiscriminator(side, channels, width, rng=rng), rng)
