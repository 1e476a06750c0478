"""Networks that make images of images, and the discriminators of patches that they play against."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

from .. import nn, ops, processes, random
from ..errors import ShapeError
from ..nn.checks import integer
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .labels import TwoHeads, one_hot

NORMS: dict[str | None, Callable[[int], list[nn.Module]]] = {
    "batch": lambda channels: [nn.BatchNorm2d(channels)],
    "instance": lambda channels: [nn.InstanceNorm2d(channels)],
    None: lambda channels: [],
}


class UNetTranslator(nn.Module):
    """Images (N, out, H, W) of images (N, in, H, W), whose sides are multiples of 2^steps (Isola et al. 2017).

    An encoder of 4x4 convolutions of stride 2 halves the image `steps` times, from `width` maps on, twice as many
    after each up to eight times `width`; a decoder doubles the smallest maps again, and joins to those of each size the
    encoder's. Leaky ReLU 0.2 before the encoder's convolutions, ReLU before the decoder's; a norm after each but
    the first, the smallest and the last, which is followed by tanh. The first three doublings after the smallest
    drop half of what they make, in samples too: with `dropout` above 0 that is the translator's noise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        steps: int,
        width: int = 64,
        norm: str | None = "batch",
        dropout: float = 0.5,
        *,
        rng: Stream | None = None,
    ) -> None:
        integer("UNetTranslator: steps", steps, 2)
        self.steps = steps
        bias = _needs_bias("UNetTranslator", norm)
        maps = [width << min(k, 3) for k in range(steps)]
        self.encoder: list[nn.Module] = [nn.Conv2d(in_channels, maps[0], 4, 2, 1, rng=rng)]
        for k in range(1, steps):
            smallest = k == steps - 1
            conv = nn.Conv2d(maps[k - 1], maps[k], 4, 2, 1, bias=bias or smallest, rng=rng)
            self.encoder.append(nn.Sequential(nn.LeakyReLU(0.2), conv, *([] if smallest else NORMS[norm](maps[k]))))
        self.decoder: list[nn.Module] = []
        for k in reversed(range(1, steps)):
            joined = maps[k] if k == steps - 1 else 2 * maps[k]
            up = nn.ConvTranspose2d(joined, maps[k - 1], 4, 2, 1, bias=bias, rng=rng)
            drops = [nn.Dropout(dropout, always=True)] if dropout and 1 <= steps - 1 - k <= 3 else []
            self.decoder.append(nn.Sequential(nn.ReLU(), up, *NORMS[norm](maps[k - 1]), *drops))
        last = nn.ConvTranspose2d(2 * maps[0], out_channels, 4, 2, 1, rng=rng)
        self.decoder.append(nn.Sequential(nn.ReLU(), last, nn.Tanh()))
        start_small(self, rng=rng)

    @staticmethod
    def held(in_channels: int, out_channels: int, steps: int, width: int = 64) -> float:
        """How many numbers its weights are, at most."""
        most = width * 2 ** min(steps - 1, 3)  # maps
        return 16 * (width * (in_channels + 2 * out_channels) + 3 * steps * most * most)

    def forward(self, x: Tensor) -> Tensor:
        """(N, out, H, W) in [-1, 1]; ShapeError for a side that is no multiple of 2^steps."""
        x = as_tensor(x, "UNetTranslator")
        if x.ndim != 4 or any(side % (1 << self.steps) for side in x.shape[2:]):
            raise ShapeError(f"UNetTranslator: expected sides that {1 << self.steps} divides, got {x.shape}")
        found: list[Tensor] = []
        for block in self.encoder:
            found.append(block(found[-1] if found else x))
        h = found.pop()
        for k, block in enumerate(self.decoder):
            h = block(h if k == 0 else ops.concatenate([h, found.pop()], 1))
        return h


def halvings_within(side: int) -> int:
    """How often a side can be halved until 2 or 3 pixels are left, or an odd number of them: 4 of 32, 2 of 28."""
    steps = 0
    while side % 2 == 0 and side >= 4:
        side, steps = side // 2, steps + 1
    return steps


class ReflectedBlock(nn.Module):
    """x + two 3x3 convolutions of it, each of the image continued as in a mirror and followed by a norm; ReLU between.

    Johnson et al. 2016, as CycleGAN has it (Zhu et al. 2017).
    """

    def __init__(self, channels: int, norm: str | None = "instance", *, rng: Stream | None = None) -> None:
        bias = _needs_bias("ReflectedBlock", norm)
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias, rng=rng),
            *NORMS[norm](channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias, rng=rng),
            *NORMS[norm](channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """As many maps of the same size."""
        return x + self.layers(x)


def resnet_translator(
    in_channels: int,
    out_channels: int,
    *,
    width: int = 64,
    blocks: int = 9,
    halvings: int = 2,
    norm: str | None = "instance",
    border: Callable[[int], nn.Module] = nn.ReflectionPad2d,
    rng: Stream | None = None,
) -> nn.Sequential:
    """CycleGAN's generator (Zhu et al. 2017): images (N, out, H, W) of images (N, in, H, W) of any size.

    A 7x7 convolution to `width` maps, 3x3 ones of stride 2 that halve the image `halvings` times and double the maps,
    so many `ReflectedBlock`s (paper: 6 for 128 pixels, 9 from 256), transposed ones back, a 7x7 one and tanh; a
    norm and ReLU after each but the last. Sides are multiples of 2^halvings. ShapeError for a norm that is unknown.

    `border` continues the image beyond its edges. If it does so as in a mirror, a map of one number, as a class is told
    by, is a constant after the first convolution, which instance norm takes away; with zeros it is told by the edges.
    """
    bias = _needs_bias("resnet_translator", norm)
    layers: list[nn.Module] = [border(3), nn.Conv2d(in_channels, width, 7, bias=bias, rng=rng)]
    layers += [*NORMS[norm](width), nn.ReLU()]
    for k in range(halvings):
        maps = width << k
        layers += [nn.Conv2d(maps, 2 * maps, 3, 2, 1, bias=bias, rng=rng), *NORMS[norm](2 * maps), nn.ReLU()]
    layers += [ReflectedBlock(width << halvings, norm, rng=rng) for _ in range(blocks)]
    for k in reversed(range(halvings)):
        maps = width << k
        up = nn.ConvTranspose2d(2 * maps, maps, 3, 2, 1, output_padding=1, bias=bias, rng=rng)
        layers += [up, *NORMS[norm](maps), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7, rng=rng), nn.Tanh()]
    made = nn.Sequential(*layers)
    start_small(made, rng=rng)
    return made


def patch_discriminator(
    channels: int,
    *,
    width: int = 64,
    halvings: int = 3,
    norm: str | None = "batch",
    rng: Stream | None = None,
) -> nn.Sequential:
    """Scores (N, 1, h, w), one for each patch of images (N, channels, H, W): the PatchGAN of Isola et al. 2017.

    4x4 convolutions of stride 2, `halvings` of them, from `width` maps on, twice as many after each up to eight times,
    then two of stride 1; leaky ReLU 0.2 between, a norm but for the first and last. A score sees 16, 34, 70, 142 or
    286 pixels a side with 1, 2, 3, 4 or 5 halvings (`patch_size`); with none layers are 1x1, and it sees a pixel.
    """
    bias = _needs_bias("patch_discriminator", norm)
    integer("patch_discriminator: halvings", halvings, 0)
    if halvings == 0:
        first = nn.Conv2d(channels, width, 1, rng=rng)
        second = nn.Conv2d(width, 2 * width, 1, bias=bias, rng=rng)
        last = nn.Conv2d(2 * width, 1, 1, bias=bias, rng=rng)
        made = nn.Sequential(first, nn.LeakyReLU(0.2), second, *NORMS[norm](2 * width), nn.LeakyReLU(0.2), last)
        start_small(made, rng=rng)
        return made
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, rng=rng), nn.LeakyReLU(0.2)]
    maps = [width << min(k, 3) for k in range(halvings + 1)]
    for k in range(1, halvings + 1):
        stride = 2 if k < halvings else 1
        conv = nn.Conv2d(maps[k - 1], maps[k], 4, stride, 1, bias=bias, rng=rng)
        layers += [conv, *NORMS[norm](maps[k]), nn.LeakyReLU(0.2)]
    made = nn.Sequential(*layers, nn.Conv2d(maps[-1], 1, 4, 1, 1, rng=rng))
    start_small(made, rng=rng)
    return made


def patch_size(layers: nn.Sequential) -> int:
    """How many pixels a side of an image a score of these layers depends on: 70 with three halvings."""
    size, apart = 1, 1
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            size += (layer.weight.shape[2] - 1) * apart
            apart *= layer.options["stride"]
    return size


def start_small(network: nn.Module, *, rng: Stream | None = None, std: float = 0.02) -> None:
    """N(0, std^2) weights of convolutions, N(1, std^2) scales of batch norms, no biases, in place: pix2pix's start."""
    draw = partial(nn.init.normal_, rng=rng)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            draw(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
            draw(layer.weight, 1.0, std)


def _needs_bias(name: str, norm: str | None) -> bool:
    """Has a convolution before that norm a bias? Batch norm has its own. ShapeError for a norm that is unknown."""
    if norm not in NORMS:
        raise ShapeError(f"{name}: expected a norm among {', '.join(map(str, NORMS))}, got {norm!r}")
    return norm != "batch"


class WithNoise(nn.Module):
    """A translator that is told a code (N, z_dim) beside images: each number as a map of its own (Zhu et al. 2017b).

    Without one a code is drawn, N(0, 1), from the stream that a game or whoever makes samples has chosen.
    """

    def __init__(self, translator: nn.Module, z_dim: int) -> None:
        self.translator = translator
        self.z_dim = integer("WithNoise: z_dim", z_dim, 1)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """What the translator makes of (N, C + z_dim, H, W)."""
        x = as_tensor(x, "WithNoise")
        if z is None:
            z = Tensor(random.default().normal((len(x), self.z_dim), dtype=x.dtype, device=x.device))
        maps = ops.broadcast_to(ops.expand_dims(z, (2, 3)), (len(x), self.z_dim, *x.shape[2:]))
        return self.translator(ops.concatenate([x, maps], 1))


class PatchHeads(nn.Module):
    """Two dense layers for each of some layers of a translator: features of places as vectors of unit length.

    Park et al. 2020: after layers 0, 4, 8, 12 and 16 of theirs, the image itself among them; 256 places of each image.
    `layers` are how many layers of the translator come before, `widths` how many maps there are then.
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        dim: int = 256,
        patches: int = 256,
        *,
        rng: Stream | None = None,
    ) -> None:
        if len(layers) != len(widths) or list(layers) != sorted(layers) or not layers:
            raise ShapeError(f"PatchHeads: expected a width for each of some layers in order, got {layers}, {widths}")
        self.layers = list(layers)
        self.patches = integer("PatchHeads: patches", patches, 2)
        self.heads = [
            nn.Sequential(nn.Linear(width, dim, rng=rng), nn.ReLU(), nn.Linear(dim, dim, rng=rng)) for width in widths
        ]

    def features(self, translator: nn.Sequential, x: Tensor) -> list[Tensor]:
        """What the translator sees in images after each of these numbers of its layers, (N, C, h, w) each."""
        found, done = [], 0
        for count in self.layers:
            for layer in itertools.islice(translator, done, count):
                x = layer(x)
            done = count
            found.append(x)
        return found

    def places(self, features: Tensor, rng: Stream) -> Tensor:
        """int64 (P,): some of the places h w, drawn by chance, each at most once; the same ones for all images."""
        h, w = features.shape[2:]
        with processes.whole():
            drawn = Tensor(rng.uniform(h * w, device=features.device))
        return ops.argsort(drawn)[: self.patches]

    def vectors(self, k: int, features: Tensor, places: Tensor) -> Tensor:
        """(N, P, dim), each of length 1: what the k-th head makes of the features at these places."""
        n, c, h, w = features.shape
        chosen = ops.reshape(ops.transpose(features, (0, 2, 3, 1)), (n, h * w, c))[:, places]
        made = self.heads[k](ops.reshape(chosen, (-1, c)))
        made = made * ops.rsqrt(ops.sum(ops.square(made), 1, keepdims=True) + 1e-12)
        return ops.reshape(made, (n, -1, made.shape[1]))


def image_encoder(
    channels: int,
    outputs: int,
    *,
    width: int = 32,
    halvings: int = 3,
    norm: str | None = "batch",
    rng: Stream | None = None,
) -> nn.Sequential:
    """(N, outputs) of images (N, channels, H, W) of any size: 4x4 convolutions of stride 2, a mean, a linear layer.

    From `width` maps on, twice as many after each up to eight times; leaky ReLU 0.2, a norm but after the first.
    """
    bias = _needs_bias("image_encoder", norm)
    integer("image_encoder: halvings", halvings, 1)
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, rng=rng), nn.LeakyReLU(0.2)]
    maps = [width << min(k, 3) for k in range(halvings)]
    for before, after in itertools.pairwise(maps):
        conv = nn.Conv2d(before, after, 4, 2, 1, bias=bias, rng=rng)
        layers += [conv, *NORMS[norm](after), nn.LeakyReLU(0.2)]
    made = nn.Sequential(*layers, MeanOverPixels(), nn.Linear(maps[-1], outputs, rng=rng))
    start_small(made, rng=rng)
    return made


class WithClass(nn.Module):
    """A translator that is told a class beside images: a map of ones for it, of zeros for each other (StarGAN).

    Its first layers must not lose what is the same everywhere; see `border` of `resnet_translator`.
    """

    def __init__(self, translator: nn.Module, classes: int) -> None:
        self.translator = translator
        self.classes = integer("WithClass: classes", classes, 2)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """What the translator makes of (N, C + classes, H, W)."""
        x = as_tensor(x, "WithClass")
        told = ops.expand_dims(one_hot(labels, self.classes, str(x.dtype)), (2, 3))
        maps = ops.broadcast_to(told, (len(x), self.classes, *x.shape[2:]))
        return self.translator(ops.concatenate([x, maps], 1))


class Inpainting(nn.Module):
    """A translator that draws what is missing, and leaves all else as it is (Denton et al. 2016, CCGAN).

    It is given images with holes as `gan.translation.making.holes` makes them, (N, C + 1, H, W): 0 in a hole, and a
    last channel that is 1 there and -1 elsewhere.
    """

    def __init__(self, translator: nn.Module) -> None:
        self.translator = translator

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W): the images, with what the translator makes of x in their holes."""
        x = as_tensor(x, "Inpainting")
        missing = 0.5 + 0.5 * x[:, -1:]
        return x[:, :-1] + missing * (self.translator(x) - x[:, :-1])


def reading_discriminator(
    side: int, channels: int, classes: int, *, width: int = 64, halvings: int | None = None, rng: Stream | None = None
) -> TwoHeads:
    """StarGAN's discriminator (Choi et al. 2018): scores (N, 1, h, w) of patches, and logits (N, classes) of an image.

    4x4 convolutions of stride 2 and leaky ReLU 0.01, from `width` maps on, twice as many after each, until 2 or 3
    pixels are left or so often; a 3x3 one to scores, one over what is left to logits. No norm.
    """
    halvings = halvings_within(side) if halvings is None else integer("reading_discriminator: halvings", halvings, 1)
    rest = side >> halvings
    layers: list[nn.Module] = []
    for k in range(halvings):
        before = channels if k == 0 else width << (k - 1)
        layers += [nn.Conv2d(before, width << k, 4, 2, 1, rng=rng), nn.LeakyReLU(0.01)]
    last = width << (halvings - 1)
    score = nn.Conv2d(last, 1, 3, padding=1, bias=False, rng=rng)
    told = nn.Sequential(nn.Conv2d(last, classes, rest, bias=False, rng=rng), nn.Flatten())
    return TwoHeads(nn.Sequential(*layers), score, told)


class MeanOverPixels(nn.Module):
    """Each channel of an image, its mean: (N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C)."""
        return ops.mean(x, (2, 3))
