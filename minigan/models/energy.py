"""Autoencoders that discriminate: the energy of a sample is how far its reconstruction is from it."""

from collections.abc import Callable

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor
from .players import Players, glorot

Distance = Callable[[Tensor, Tensor], Tensor]


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """|x - y| of each sample, (N,): EBGAN's energy. 1e-12 is added below the root."""
    return ops.sqrt(ops.sum(ops.square(x - y), tuple(range(1, x.ndim))) + 1e-12)


def mean_absolute(x: Tensor, y: Tensor) -> Tensor:
    """The mean of |x - y| over each sample's elements, (N,): BEGAN's energy."""
    return ops.mean(ops.absolute(x - y), tuple(range(1, x.ndim)))


class Autoencoder(nn.Module):
    """A discriminator whose score is an energy: distance(x, decoder(encoder(x))), (N,), low where x is reconstructed.

    `encoder` gives codes (N, code), `decoder` samples.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, distance: Distance) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.distance = distance

    def reconstruct(self, x: Tensor) -> Tensor:
        """Of x's shape: what the code keeps of it."""
        return self.decoder(self.encoder(x))

    def forward(self, x: Tensor) -> Tensor:
        """The energy of each sample, (N,)."""
        return self.distance(x, self.reconstruct(x))


def ebgan28(z_dim: int = 62, code: int = 32, *, rng: Stream | None = None) -> Players:
    """A small EBGAN for 28x28 images: two transposed convolutions against an autoencoder with one on each side.

    G: dense to 7x7x128, 4x4 transposed convolutions of stride 2 to 64 maps and to the image, batch norm and ReLU
    between, tanh. D: 4x4 convolution of stride 2 to 64 maps, leaky ReLU 0.2, dense to the code; dense back, ReLU, 4x4
    transposed convolution, tanh, no batch norm: an energy is one sample's. It is the Euclidean distance of Zhao et al.
    2017. Glorot-uniform weights, zero biases. Noise is U(-1, 1).
    """
    generator = nn.Sequential(
        nn.Linear(z_dim, 128 * 7 * 7, rng=rng),
        nn.Unflatten(1, (128, 7, 7)),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, rng=rng),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1, rng=rng), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * 14 * 14, code, rng=rng)
    )
    decoder = nn.Sequential(
        nn.Linear(code, 64 * 14 * 14, rng=rng),
        nn.Unflatten(1, (64, 14, 14)),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )
    return glorot(generator, Autoencoder(encoder, decoder, euclidean), rng)


def began(
    side: int = 28, z_dim: int = 64, *, channels: int = 1, width: int = 32, depth: int = 1, rng: Stream | None = None
) -> Players:
    """Networks after Berthelot et al. 2017 for images of side x side pixels, a multiple of 4.

    Decoder: dense to width maps of side/4; `depth` 3x3 convolutions with ELU, there and at side/2, each followed by
    nearest upsampling; a 3x3 convolution to the image, tanh. Encoder: a 3x3 convolution of stride 2 to width maps,
    `depth` convolutions at side/2, one of stride 2 to 2 width maps, `depth` at side/4, dense to z_dim. The generator is
    a decoder of its own; the energy is the mean absolute error. The paper's networks are deeper (depth 2, width 64 or
    128), convolve at full size too, where most of the time would go, and have no tanh, with which digits on black are
    reconstructed sooner: after 150 steps to 0.11 instead of 0.20. Glorot-uniform weights, zero biases. Noise is
    U(-1, 1). ShapeError if the side does not fit.
    """
    if side < 4 or side % 4:
        raise ShapeError(f"began: expected a side divisible by 4, got {side}")
    small = side // 4

    def convolved(maps: int) -> list[nn.Module]:
        return [layer for _ in range(depth) for layer in (nn.Conv2d(maps, maps, 3, padding=1, rng=rng), nn.ELU())]

    def halved(maps: int, to: int) -> list[nn.Module]:
        return [nn.Conv2d(maps, to, 3, 2, 1, rng=rng), nn.ELU(), *convolved(to)]

    def decoder() -> nn.Module:
        start = [nn.Linear(z_dim, width * small * small, rng=rng), nn.Unflatten(1, (width, small, small))]
        up = [layer for _ in range(2) for layer in (*convolved(width), nn.UpsampleNearest(2))]
        return nn.Sequential(*start, *up, nn.Conv2d(width, channels, 3, padding=1, rng=rng), nn.Tanh())

    end = [nn.Flatten(), nn.Linear(2 * width * small * small, z_dim, rng=rng)]
    encoder = nn.Sequential(*halved(channels, width), *halved(width, 2 * width), *end)
    return glorot(decoder(), Autoencoder(encoder, decoder(), mean_absolute), rng)
