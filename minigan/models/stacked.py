"""The small networks by which the modes of stacked MNIST are counted."""

import itertools
from functools import partial
from typing import Any

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .players import Players, initialise


def stacked28(
    z_dim: int = 256,
    *,
    channels: int = 3,
    width: int = 2,
    pack: int = 1,
    norm: str | None = "batch",
    generator_norm: str | None = "batch",
    rng: Stream | None = None,
) -> Players:
    """The networks of Metz et al. 2017 (unrolled GANs) and PacGAN's table 3 for stacked MNIST, 28x28 pixels.

    G: z_dim, dense 64 maps of 4x4, 3x3 transposed convolutions of stride 2 to 32 of 7x7, 16 of 14x14 and 8 of 28x28,
    batch norm and ReLU behind each, a 3x3 convolution to the channels, tanh. D, which sees `pack` images at once: 3x3
    convolutions of stride 2 to `width`, 2 width and 4 width maps, batch norm and leaky ReLU 0.3 behind each, dense 1:
    width 2 is a discriminator a quarter of G, 4 one of a half. TensorFlow's SAME padding, N(0, 0.02^2) weights, zero
    biases; a convolution before a norm has none. Noise is N(0, 1). At the defaults G has 286 795 parameters, D 571.

    For games whose D must score each sample by itself, `norm` is None: D has biases then and the weights of He et al.
    2015. `generator_norm=None` likewise (R3GAN, Huang et al. 2024). ShapeError if a norm is neither.
    """
    if not {norm, generator_norm} <= {"batch", None}:
        raise ShapeError(f"stacked28: expected norms 'batch' or None, got {norm!r} and {generator_norm!r}")
    same: dict[str, Any] = {"stride": 2, "padding": "same", "rng": rng}
    lift, shift = generator_norm is None, norm is None  # biases
    up: list[nn.Module] = [nn.Linear(z_dim, 64 * 4 * 4, bias=lift, rng=rng), nn.Unflatten(1, (64, 4, 4))]
    up += [*_normed(64, generator_norm), nn.ReLU()]
    for i, o, side in ((64, 32, 7), (32, 16, 14), (16, 8, 28)):
        up += [nn.ConvTranspose2d(i, o, 3, **same, output_size=side, bias=lift), *_normed(o, generator_norm), nn.ReLU()]
    up += [nn.Conv2d(8, channels, 3, padding="same", rng=rng), nn.Tanh()]
    down: list[nn.Module] = []
    for i, o in itertools.pairwise((pack * channels, width, 2 * width, 4 * width)):
        down += [nn.Conv2d(i, o, 3, **same, bias=shift), *_normed(o, norm), nn.LeakyReLU(0.3)]
    down += [nn.Flatten(), nn.Linear(4 * width * 4 * 4, 1, rng=rng)]
    players = Players(nn.Sequential(*up), nn.Sequential(*down))
    for player, bare in zip(players, (lift, shift), strict=True):
        start = nn.init.kaiming_normal_ if bare else partial(nn.init.normal_, std=0.02)
        initialise(player, weights=partial(start, rng=rng))
    return players


def _normed(maps: int, norm: str | None) -> list[nn.Module]:
    return [nn.BatchNorm2d(maps)] if norm else []
