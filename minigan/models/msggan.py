"""MSG-GAN's players: the generator shows an image of each size, and the discriminator looks at all of them at once."""

import itertools

from .. import nn, ops
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .players import Players, doubled
from .progan import LARGEST, SLOPE, SizedGenerator, convolution, head, sizes
from .pyramid import from_rows


class MultiScaleGenerator(SizedGenerator):
    """A generator whose maps of each size become an image of that size."""

    def forward(self, z: Tensor) -> Tensor:
        """Images of full size (N, channels, side, side) of noise (N, z_dim)."""
        return self.images(z)[-1]

    def images(self, z: Tensor) -> list[Tensor]:
        """Those of all sizes, the smallest first."""
        x, found = as_tensor(z, "MultiScaleGenerator"), []
        for block, to_image in zip(self.blocks, self.to_image, strict=True):
            x = block(x)
            found.append(to_image(x))
        return found


class PyramidDiscriminator(nn.Module):
    """Blocks that halve maps, to which the image of each size is added as more channels.

    `sides` are the sizes of its images, the smallest first, `channels` theirs.
    """

    def __init__(self, side: int, channels: int, width: int, outputs: int = 1, *, rng: Stream | None = None) -> None:
        self.sides, self.channels = sizes("PyramidDiscriminator", side), channels
        maps = doubled(width, len(self.sides) - 1, LARGEST)[::-1]
        first = nn.equalized(nn.Conv2d(channels, maps[-1], 1, rng=rng), rng=rng)
        self.from_image = nn.Sequential(first, nn.LeakyReLU(SLOPE))
        self.blocks = [head(maps[0], self.sides[0], outputs, rng, seen=channels)]
        for k, (after, before) in enumerate(itertools.pairwise(maps), 2):
            seen = channels if k < len(maps) else 0
            layers = [*convolution(before + seen, before, rng), *convolution(before, after, rng)]
            self.blocks.append(nn.Sequential(*layers, nn.AvgPool2d(2)))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, outputs) of images of all sizes in rows (N, F), as `pyramid.as_rows` lays them out."""
        *smaller, image = from_rows(as_tensor(x, "PyramidDiscriminator"), self.channels, self.sides)
        h = self.from_image(image)
        for block, image in zip(reversed(self.blocks[1:]), reversed(smaller), strict=True):
            h = ops.concatenate([block(h), image], 1)
        return self.blocks[0](h)


def msggan(
    side: int = 32,
    z_dim: int = 128,
    *,
    channels: int = 3,
    width: int = 32,
    generator_width: int | None = None,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """MSG-GAN's players (Karnewar and Wang 2020, MSG-ProGAN) for images of side x side pixels, 4 to 7 times 2, 4, ...

    They are those of `progan` without growth, for a `gan.MultiScaleGame`: gradients reach G at each size. The image of
    each smaller size is put beside D's maps as it is (their phi_simple). D sees how much samples differ at the smallest
    size alone; theirs at each. Their loss is `wasserstein` with a gradient penalty, RMSProp 0.003. ShapeError if the
    side does not fit.
    """
    G = MultiScaleGenerator(side, z_dim, channels, generator_width or width, rng=rng)
    return Players(G, PyramidDiscriminator(side, channels, width, outputs, rng=rng))
