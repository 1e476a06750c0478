"""Translators by way of a code: an encoder says what an image shows, a decoder draws that in a domain (UNIT, MUNIT)."""

import itertools

from .. import nn, ops, random
from ..errors import ShapeError
from ..nn.checks import integer
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .translators import ReflectedBlock, start_small

STYLE_LAYERS = 2  # between a style and the layers that it steers


def content_encoder(
    channels: int, *, width: int = 64, blocks: int = 4, halvings: int = 2, rng: Stream | None = None
) -> nn.Sequential:
    """(N, width 2^halvings, h, w) of images (N, channels, H, W): MUNIT's (Huang et al. 2018), where each thing is.

    A 7x7 convolution to `width` maps, 4x4 ones of stride 2 that halve the image and double the maps, so many
    `ReflectedBlock`s; the image continued as in a mirror, instance norm and ReLU after each convolution.
    """
    integer("content_encoder: halvings", halvings, 1)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, rng=rng)]
    layers += [nn.InstanceNorm2d(width), nn.ReLU()]
    for k in range(halvings):
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(width << k, 2 * width << k, 4, 2, rng=rng)]
        layers += [nn.InstanceNorm2d(2 * width << k), nn.ReLU()]
    layers += [ReflectedBlock(width << halvings, rng=rng) for _ in range(blocks)]
    made = nn.Sequential(*layers)
    start_small(made, rng=rng)
    return made


def content_decoder(
    channels: int, *, width: int = 64, blocks: int = 4, halvings: int = 2, rng: Stream | None = None
) -> nn.Sequential:
    """Images (N, channels, H, W) in [-1, 1] of what `content_encoder` makes of some: UNIT's in MUNIT's program.

    So many `ReflectedBlock`s, 5x5 convolutions of maps that were doubled in size, layer norm and ReLU after each, a
    7x7 one and tanh.
    """
    layers: list[nn.Module] = [ReflectedBlock(width << halvings, rng=rng) for _ in range(blocks)]
    made = nn.Sequential(*layers, *_enlarging(channels, width, halvings, rng))
    start_small(made, rng=rng)
    return made


def _enlarging(channels: int, width: int, halvings: int, rng: Stream | None) -> list[nn.Module]:
    """From width 2^halvings maps to an image, twice as large so often."""
    layers: list[nn.Module] = []
    for k in reversed(range(halvings)):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.ReflectionPad2d(2),
            nn.Conv2d(2 * width << k, width << k, 5, rng=rng),
        ]
        layers += [nn.GroupNorm(1, width << k), nn.ReLU()]
    return [*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7, rng=rng), nn.Tanh()]


class SteeredBlock(nn.Module):
    """x + two 3x3 convolutions of it, each of the image continued as in a mirror, then normalised as a style says."""

    def __init__(self, channels: int, style_dim: int, *, rng: Stream | None = None) -> None:
        self.pad = nn.ReflectionPad2d(1)
        self.first, self.second = (nn.Conv2d(channels, channels, 3, rng=rng) for _ in range(2))
        self.first_norm, self.second_norm = (nn.AdaptiveInstanceNorm2d(channels, style_dim, rng=rng) for _ in range(2))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """As many maps of the same size; styles are (N, style_dim)."""
        h = ops.relu(self.first_norm(self.first(self.pad(x)), style))
        return x + self.second_norm(self.second(self.pad(h)), style)


class StyledDecoder(nn.Module):
    """MUNIT's decoder (Huang et al. 2018): images of what `content_encoder` makes of some, and of styles.

    Two linear layers of `features` numbers with ReLU make of a style (N, style_dim) what steers the norms of so many
    `SteeredBlock`s; what follows is `content_decoder`'s.
    """

    def __init__(
        self,
        channels: int,
        style_dim: int,
        width: int = 64,
        blocks: int = 4,
        halvings: int = 2,
        features: int = 256,
        *,
        rng: Stream | None = None,
    ) -> None:
        sizes = [integer("StyledDecoder: style_dim", style_dim, 1), *[features] * STYLE_LAYERS]
        read: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            read += [nn.Linear(before, after, rng=rng), nn.ReLU()]
        self.style = nn.Sequential(*read)
        self.blocks = [SteeredBlock(width << halvings, features, rng=rng) for _ in range(blocks)]
        self.enlarging = nn.Sequential(*_enlarging(channels, width, halvings, rng))
        start_small(self, rng=rng)

    @staticmethod
    def held(
        channels: int, style_dim: int, width: int = 64, blocks: int = 4, halvings: int = 2, features: int = 256
    ) -> float:
        """How many numbers its weights are, at most."""
        maps = width * 2.0**halvings
        block = 2 * (9 * maps + 2 * features + 3) * maps
        return features * (style_dim + features + 2) + blocks * block + 26 * maps**2 + 50 * (channels + 1) * maps

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """(N, channels, H, W) in [-1, 1]."""
        told = self.style(as_tensor(style, "StyledDecoder"))
        for block in self.blocks:
            content = block(content, told)
        return self.enlarging(content)


class StyledTranslator(nn.Module):
    """A content encoder of one domain and a `StyledDecoder` of another: images (N, C, H, W) and styles (N, style_dim).

    Without a style one is drawn, N(0, 1), from the stream that a game or whoever makes samples has chosen.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, style_dim: int) -> None:
        self.encoder, self.decoder = encoder, decoder
        self.style_dim = integer("StyledTranslator: style_dim", style_dim, 1)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """What the decoder makes of what the encoder finds."""
        x = as_tensor(x, "StyledTranslator")
        if style is None:
            style = Tensor(random.default().normal((len(x), self.style_dim), dtype=x.dtype, device=x.device))
        return self.decoder(self.encoder(x), style)


def unit_translators(
    source_channels: int,
    target_channels: int,
    *,
    width: int = 64,
    blocks: int = 4,
    halvings: int = 2,
    shared: int = 1,
    rng: Stream | None = None,
) -> tuple[nn.Sequential, nn.Sequential]:
    """UNIT's two translators (Liu et al. 2017), to the target and to the source: an encoder and a decoder each.

    Encoders end, and decoders begin, with the same `shared` blocks of `blocks`, so that what both domains show has one
    code. ShapeError for more shared blocks than there are.
    """
    if not 0 <= integer("unit_translators: shared", shared) <= integer("unit_translators: blocks", blocks):
        raise ShapeError(f"unit_translators: expected 0 to {blocks} shared blocks, as many as there are, got {shared}")
    encoders, decoders = (
        [
            own(c, width=width, blocks=blocks - shared, halvings=halvings, rng=rng)
            for c in (source_channels, target_channels)
        ]
        for own in (content_encoder, content_decoder)
    )
    last, first = ([ReflectedBlock(width << halvings, rng=rng) for _ in range(shared)] for _ in range(2))
    for block in (*last, *first):
        start_small(block, rng=rng)
    reads = [nn.Sequential(*encoder, *last) for encoder in encoders]
    makes = [nn.Sequential(*first, *decoder) for decoder in decoders]
    return nn.Sequential(reads[0], makes[1]), nn.Sequential(reads[1], makes[0])
