"""The networks of spectral normalisation's experiments: a discriminator of seven convolutions, and its generator."""

from functools import partial

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .players import Players, initialise


def sndcgan(
    side: int = 32,
    z_dim: int = 128,
    *,
    channels: int = 3,
    width: int = 64,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """The standard CNN of Miyato et al. 2018, table 3, for images of side x side pixels, a multiple of 8 (paper: 32).

    G: z to (side/8)^2 x 8 width by a linear layer, then 4x4 transposed convolutions of stride 2 to 4, 2 and 1 width,
    batch norm and ReLU after each, a 3x3 convolution and tanh. D: 3x3 convolutions of stride 1 and 4x4 of stride 2 in
    turns through width, 2 width and 4 width, one more 3x3 to 8 width, leaky ReLU 0.1 after each, then a linear layer.
    At the defaults G has 3 812 355 parameters, D 2 935 873. Noise is N(0, 1).

    D's layers wait for `nn.spectral_norm`. Its bound is on a layer's weights as a matrix; the convolution itself may
    stretch an image by more, up to 3 times for a 3x3 kernel, so that seven layers may bend what four of stride 2 leave
    nearly straight. N(0, 0.02^2) weights, zero biases. D gives `outputs` scores of each image.
    ShapeError if the side does not fit.
    """
    if side < 8 or side % 8:
        raise ShapeError(f"sndcgan: expected a side divisible by 8, got {side}")
    rest = side // 8
    up: list[nn.Module] = [nn.Linear(z_dim, 8 * width * rest * rest, rng=rng), nn.Unflatten(1, (8 * width, rest, rest))]
    for i, o in ((8, 4), (4, 2), (2, 1)):
        up += [nn.ConvTranspose2d(i * width, o * width, 4, 2, 1, rng=rng), nn.BatchNorm2d(o * width), nn.ReLU()]
    down: list[nn.Module] = []
    before = channels
    for maps in (width, 2 * width, 4 * width):
        down += [nn.Conv2d(before, maps, 3, 1, 1, rng=rng), nn.LeakyReLU(0.1), nn.Conv2d(maps, maps, 4, 2, 1, rng=rng)]
        down += [nn.LeakyReLU(0.1)]
        before = maps
    down += [nn.Conv2d(before, 8 * width, 3, 1, 1, rng=rng), nn.LeakyReLU(0.1), nn.Flatten()]
    players = Players(
        nn.Sequential(*up, nn.Conv2d(width, channels, 3, 1, 1, rng=rng), nn.Tanh()),
        nn.Sequential(*down, nn.Linear(8 * width * rest * rest, outputs, rng=rng)),
    )
    initialise(*players, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    return players
