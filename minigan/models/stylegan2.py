"""StyleGAN2 for images of any size: noise becomes a style, and styles scale the weights of convolutions."""

import itertools
import math
from collections.abc import Sequence
from functools import partial

from .. import nn, ops, random
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..nn.modulated import FILTER
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from .players import Players, doubled, halvings

LARGEST = 3  # doublings of the number of maps


class ScaledLeakyReLU(nn.Module):
    """sqrt(2) leaky_relu(x + bias, 0.2), with a bias for each channel, axis 1: what keeps the variance."""

    def __init__(self, channels: int, lr_multiplier: float = 1.0) -> None:
        self.bias = nn.Parameter(zeros(channels))
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        bias = ops.reshape(self.bias * self.lr_multiplier, (-1,) + (1,) * (x.ndim - 2))
        return ops.leaky_relu(x + bias, 0.2) * math.sqrt(2)


def _dense(inner: int, outer: int, lr_multiplier: float, rng: Stream | None) -> list[nn.Module]:
    linear = nn.equalized(nn.Linear(inner, outer, bias=False, rng=rng), lr_multiplier, gain=1, rng=rng)
    return [linear, ScaledLeakyReLU(outer, lr_multiplier)]


class ActivatedConvolution(nn.Module):
    """gain leaky_relu(conv(x) + bias, 0.2): the convolution takes factor and bias, which saves two passes."""

    def __init__(
        self, inner: int, outer: int, window: int, rng: Stream | None, gain: float = math.sqrt(2), **options: int
    ) -> None:
        conv = nn.Conv2d(inner, outer, window, bias=False, rng=rng, **options)
        self.conv = nn.equalized(conv, gain=gain, rng=rng)
        self.bias = nn.Parameter(zeros(outer))
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """(N, outer, OH, OW) of x (N, inner, H, W)."""
        bias = self.bias * self.gain
        return ops.leaky_relu(ops.conv2d(x, self.conv.weight, bias, **self.conv.options), 0.2)


class StyledConvolution(nn.Module):
    """A modulated 3x3 convolution, noise, bias and leaky ReLU; with `up` 2 of twice the size."""

    def __init__(
        self,
        inner: int,
        outer: int,
        style_dim: int,
        up: int = 1,
        noiseless: bool = False,
        *,
        rng: Stream | None = None,
    ) -> None:
        self.conv = nn.ModulatedConv2d(inner, outer, 3, style_dim, up=up, rng=rng)
        nn.init.normal_(self.conv.weight, rng=rng)  # demodulation divides by its size
        nn.equalized(self.conv.affine, gain=1, bias=1, rng=rng)
        self.noise: nn.Module = nn.Sequential() if noiseless else nn.NoiseInjection()
        self.activation = ScaledLeakyReLU(outer)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, outer, H up, W up) of x (N, inner, H, W) and styles (N, style_dim)."""
        return self.activation(self.noise(self.conv(x, style)))


class ToImage(nn.Module):
    """A modulated 1x1 convolution to the channels of an image, and a bias."""

    def __init__(self, maps: int, channels: int, style_dim: int, *, rng: Stream | None = None) -> None:
        self.conv = nn.ModulatedConv2d(maps, channels, 1, style_dim, demodulate=False, rng=rng)
        nn.equalized(self.conv, gain=1, rng=rng)
        nn.equalized(self.conv.affine, gain=1, bias=1, rng=rng)
        self.bias = nn.Parameter(zeros((channels, 1, 1)))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, channels, H, W) of x (N, maps, H, W) and styles (N, style_dim)."""
        return self.conv(x, style) + self.bias


class StyleGenerator(nn.Module):
    """StyleGAN2's generator (Karras et al. 2020): `mapping` makes a style of noise, `synthesis` an image of styles.

    It begins with a learned picture of the smallest size; at each size one or two `StyledConvolution`s, and what
    `ToImage` makes of them is added to the image so far, doubled by the filter 1 3 3 1. In training each image has,
    with probability `mixing`, from a random layer on the style of a second noise (style mixing, Karras et al. 2019).
    `noiseless` leaves out the noise that is added behind each convolution, as StyleGAN3 does (Karras et al. 2021).
    """

    def __init__(
        self,
        side: int,
        z_dim: int,
        style_dim: int,
        channels: int,
        width: int,
        depth: int = 8,
        mixing: float = 0.9,
        noiseless: bool = False,
        *,
        rng: Stream | None = None,
    ) -> None:
        steps = halvings("StyleGenerator", side)
        maps = doubled(width, steps, LARGEST)[::-1]
        self.z_dim = z_dim
        dense = [_dense(z_dim if k == 0 else style_dim, style_dim, 0.01, rng) for k in range(depth)]
        self.mapping = nn.Sequential(nn.PixelNorm(), *(layer for layers in dense for layer in layers))
        self.picture = nn.Parameter(zeros((1, maps[0], side >> steps, side >> steps)))
        nn.init.normal_(self.picture, rng=rng)
        noiseless = nn.checks.flag("StyleGenerator: noiseless", noiseless)
        convolution = partial(StyledConvolution, style_dim=style_dim, noiseless=noiseless, rng=rng)
        self.convolutions = [convolution(maps[0], maps[0])]
        for before, after in itertools.pairwise(maps):
            self.convolutions += [convolution(before, after, up=2), convolution(after, after)]
        self.to_image = [ToImage(n, channels, style_dim, rng=rng) for n in maps]
        self.double = nn.Blur(up=2)
        self.mixing = nn.checks.number("StyleGenerator: mixing", mixing, least=0, most=1)

    @staticmethod
    def held(
        side: int, z_dim: int, style_dim: int, channels: int, width: int, depth: int = 8, noiseless: bool = False
    ) -> int:
        """How many numbers it holds."""
        steps = max(side.bit_length() - 3, 0)
        maps = doubled(width, steps, LARGEST)[::-1]
        pairs = [(maps[0], maps[0]), *(pair for sizes in itertools.pairwise(maps) for pair in (sizes, sizes[1:] * 2))]
        convolutions = sum(inner * (9 * outer + style_dim + 1) + outer + (not noiseless) for inner, outer in pairs)
        to_image = sum(n * (channels + style_dim + 1) + channels for n in maps)
        mapping = style_dim * (z_dim + 1 + (depth - 1) * (style_dim + 1)) if depth else 0
        return mapping + maps[0] * (side >> steps) ** 2 + convolutions + to_image

    @property
    def layers(self) -> int:
        """How many styles an image has: one for each convolution, and one for the last of `to_image`."""
        return len(self.convolutions) + 1

    def forward(self, z: Tensor) -> Tensor:
        """(N, channels, side, side) of noise (N, z_dim)."""
        z = as_tensor(z, "StyleGenerator")
        return self.synthesis(self.styles(z))

    def styles(self, z: Tensor) -> list[Tensor]:
        """The style (N, style_dim) of each layer: of two noises, in training, from some layer on that of another."""
        style = self.mapping(z)
        if not self.training or self.mixing == 0:
            return [style] * self.layers
        drawn = random.default()
        other = self.mapping(Tensor(drawn.normal(z.shape, dtype=z.dtype, device=z.device)))
        begins = made(
            _begins,
            drawn.uniform((len(z),), dtype=z.dtype, device=z.device),
            drawn.integers(self.layers - 1, (len(z),), z.device),
            self.mixing,
            self.layers,
        )
        return [style] + [
            ops.where(Tensor(made(_from_on, begins, layer)), other, style) for layer in range(1, self.layers)
        ]

    def synthesis(self, styles: Sequence[Tensor]) -> Tensor:
        """(N, channels, side, side) of a style (N, style_dim) for each of `layers`; ShapeError for another number."""
        if len(styles) != self.layers:
            raise ShapeError(f"StyleGenerator: expected {self.layers} styles, got {len(styles)}")
        x = ops.broadcast_to(self.picture, (len(styles[0]), *self.picture.shape[1:]))
        x = self.convolutions[0](x, styles[0])
        image = self.to_image[0](x, styles[1])
        for k, to_image in enumerate(self.to_image[1:]):
            for layer in (2 * k + 1, 2 * k + 2):
                x = self.convolutions[layer](x, styles[layer])
            image = self.double(image) + to_image(x, styles[2 * k + 3])
        return image

    def truncated(self, z: Tensor, psi: float, mean: Tensor) -> Tensor:
        """Images of z whose styles are mean + psi (style - mean): the nearer psi is to 0, the more usual (section 3).

        `mean` is `mean_style()`, of shape (1, style_dim).
        """
        style = self.mapping(as_tensor(z, "StyleGenerator"))
        return self.synthesis([mean + psi * (style - mean)] * self.layers)

    def mean_style(self, count: int = 4096) -> Tensor:
        """The mean style (1, style_dim) of so many noises, the same ones each time."""
        like = self.picture
        z = Stream(0, "mean style").normal((count, self.z_dim), dtype=like.dtype, device=like.device)
        return ops.mean(self.mapping(Tensor(z)), 0, keepdims=True)


def _begins(u: Array, layers: Array, mixing: float, never: int) -> Array:
    """(N, 1): from which layer on an image has the other style, 1 or more; `never` with probability 1 - mixing."""
    return xp(u).where(u < mixing, layers + 1, never)[:, None]


def _from_on(begins: Array, layer: int) -> Array:
    return begins <= layer


class ResidualHalf(nn.Module):
    """(conv2(conv1(x)) + skip(x)) / sqrt(2), of half the size: 3x3 convolutions, and a 1x1 one behind a filter.

    The factor is that of the weights: of conv2's activation, whose own is sqrt(2), nothing is left.
    """

    def __init__(self, inner: int, outer: int, *, rng: Stream | None = None) -> None:
        self.conv1 = ActivatedConvolution(inner, inner, 3, rng, padding=1)
        self.conv2 = ActivatedConvolution(inner, outer, 3, rng, gain=1.0, stride=2)
        conv = nn.Conv2d(inner, outer, 1, bias=False, rng=rng)
        self.skip = nn.Sequential(nn.Blur(down=2), nn.equalized(conv, gain=math.sqrt(0.5), rng=rng))

    def forward(self, x: Tensor) -> Tensor:
        """(N, outer, H / 2, W / 2)."""
        return self.conv2(ops.upfirdn2d(self.conv1(x), FILTER, padding=2)) + self.skip(x)


def stylegan2(
    side: int = 32,
    z_dim: int = 128,
    *,
    channels: int = 3,
    width: int = 32,
    generator_width: int | None = None,
    style_dim: int | None = None,
    depth: int = 4,
    mixing: float = 0.9,
    noiseless: bool = False,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """StyleGAN2's players (Karras et al. 2020, config F) for images of side x side pixels, 4 to 7 times 2, 4, 8, ...

    G is a `StyleGenerator` with a mapping network of `depth` layers (paper: 8; 2 for CIFAR-10 in Karras et al. 2020b)
    to styles of `style_dim` numbers, by default z_dim (paper: 512). D: a 1x1 convolution of the image, a `ResidualHalf`
    for each halving, how much the samples of a group of 4 differ, a 3x3 convolution, two dense layers. Maps are width
    at the full size and twice as many with each halving, up to 8 times (paper: 32 of 1024 pixels, up to 512). Learning
    rates are equalised; nothing limits images to [-1, 1]. In its first thousand steps G makes dots of the noise between
    layers, which `noiseless` leaves out. The paper's loss is `nonsaturating` with R1 in every 16th round and path
    lengths in every 4th, Adam 0.002, (0, 0.99), averaged weights. Noise is N(0, 1). ShapeError if the side does not
    fit.
    """
    steps = halvings("stylegan2", side)
    rest = side >> steps
    style_dim = style_dim or z_dim
    G = StyleGenerator(side, z_dim, style_dim, channels, generator_width or width, depth, mixing, noiseless, rng=rng)
    maps = doubled(width, steps, LARGEST)
    last = maps[-1]
    D = nn.Sequential(
        ActivatedConvolution(channels, width, 1, rng),
        *(ResidualHalf(before, after, rng=rng) for before, after in itertools.pairwise(maps)),
        nn.MinibatchStdDev(),
        ActivatedConvolution(last + 1, last, 3, rng, padding=1),
        nn.Flatten(),
        *_dense(last * rest * rest, last, 1.0, rng),
        nn.equalized(nn.Linear(last, outputs, rng=rng), gain=1, rng=rng),
    )
    return Players(G, D)
