"""BigGAN's networks: residual blocks whose norms are told the class and a part of the noise, with self-attention."""

from functools import partial

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .conditional import ProjectionDiscriminator
from .players import Players, halvings, initialise
from .resnet import attending, halved, halving, residual_steps, widths


class BigGenerator(nn.Module):
    """BigGAN's generator (Brock et al. 2019): z in parts, the first for the smallest maps, one for each block's norms.

    The other parts have z_dim // (blocks + 1) numbers, the first what is left. With `classes` the norms of a block are
    told its part beside an embedding of the class, `shared_dim` numbers that all blocks share: G(z, y). Without, it is
    their part alone: G(z). Maps are those of `resnet`.
    """

    def __init__(
        self,
        side: int,
        z_dim: int,
        channels: int,
        width: int,
        classes: int = 0,
        shared_dim: int = 128,
        attention: int = 0,
        *,
        rng: Stream | None = None,
    ) -> None:
        steps = residual_steps("biggan", side, attention)
        self.part = z_dim // (steps + 1)
        if self.part < 1:
            raise ShapeError(f"biggan: z_dim: expected a number for each of {steps + 1} parts or more, got {z_dim}")
        self.z_dim = z_dim
        maps = widths(side, width, steps)
        self.start = maps[steps - 1], side >> steps, side >> steps
        self.shared = nn.Embedding(classes, shared_dim, rng=rng) if classes else None
        told = self.part + (shared_dim if classes else 0)
        first = z_dim - steps * self.part
        self.linear = nn.Linear(first, self.start[0] * self.start[1] * self.start[2], rng=rng)
        self.blocks: list[nn.ResidualBlock] = []
        self.attention: list[nn.Module] = []
        for k in reversed(range(steps)):
            before = maps[min(k + 1, steps - 1)]
            self.blocks.append(nn.ResidualBlock(before, maps[k], "up", norm="batch", style_dim=told, rng=rng))
            self.attention.append(nn.Sequential(*attending(side >> k, attention, maps[k], rng)))
        self.image = nn.Sequential(
            nn.BatchNorm2d(maps[0]), nn.ReLU(), nn.Conv2d(maps[0], channels, 3, padding=1, rng=rng), nn.Tanh()
        )

    @staticmethod
    def held(side: int, z_dim: int, channels: int, width: int, classes: int = 0, shared_dim: int = 128) -> int:
        """How many numbers it holds, without its attention."""
        steps = max(side.bit_length() - 3, 0)
        maps = widths(side, width, steps)
        part = z_dim // (steps + 1)
        told = part + (shared_dim if classes else 0) + 1
        blocks = [(maps[min(k + 1, steps - 1)], maps[k]) for k in range(steps)]
        convolutions = sum(outer * (10 * inner + 9 * outer + 3) + 2 * told * (inner + outer) for inner, outer in blocks)
        linear = maps[steps - 1] * (side >> steps) ** 2 * (z_dim - steps * part + 1)
        return linear + convolutions + classes * shared_dim + maps[0] * (9 * channels + 2) + channels

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, channels, side, side) in [-1, 1] of noise (N, z_dim), and of labels (N,) if it has classes."""
        z = as_tensor(z, "BigGenerator")
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ShapeError(f"BigGenerator: expected noise (N, {self.z_dim}), got {z.shape}")
        if (labels is None) != (self.shared is None):
            raise ShapeError(f"BigGenerator: expected {'no ' if self.shared is None else ''}labels beside z {z.shape}")
        asked = [] if self.shared is None else [self.shared(as_tensor(labels, "BigGenerator"))]
        at = self.z_dim - len(self.blocks) * self.part
        x = ops.reshape(self.linear(z[:, :at]), (len(z), *self.start))
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, ops.concatenate([*asked, z[:, at : at + self.part]], 1)))
            at += self.part
        return self.image(x)


def biggan(
    side: int = 32,
    z_dim: int = 120,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    classes: int = 0,
    shared_dim: int = 128,
    attention: int = 0,
    rng: Stream | None = None,
) -> Players:
    """BigGAN's players (Brock et al. 2019) for images of side x side pixels, 4, 5, 6 or 7 times 4, 8, 16, ...

    G is a `BigGenerator`. D has `resnet`'s blocks, each as many maps inside as it makes, and with `classes` gives the
    score of an image as one of its class, by projection (Miyato and Koyama 2018): these are G(z, y) and D(x, y) of a
    `gan.ConditionalGame`; without, G(z) and D(x). Maps and `attention`, a size in pixels, are as in `resnet`; the paper
    has width 96 and attention at 64 of 128 pixels. Weights are orthogonal at first, those of D's scores as much smaller
    as it adds up pixels, and wait for `nn.spectral_norm` in both players. The paper's loss is `hinge`, D moves twice,
    Adam 2e-4 for D and 5e-5 for G, (0, 0.999), averaged weights 0.9999, `Regularisers(orthogonal=1e-4)`. Noise is
    N(0, 1). ShapeError if a side or a size does not fit.
    """
    steps = halvings("biggan", side)
    G = BigGenerator(side, z_dim, channels, generator_width or width, classes, shared_dim, attention, rng=rng)
    features, down = halving(side, channels, widths(side, width, steps), attention=attention, wide=True, rng=rng)
    score = nn.Linear(features, 1, rng=rng)
    embedding = nn.Embedding(classes, features, rng=rng) if classes else None
    D: nn.Module = nn.Sequential(*down, score)
    if embedding is not None:
        D = ProjectionDiscriminator(nn.Sequential(*down), score, embedding)
    start_orthogonal(G, D, rng)
    shrink_scores(score, embedding, side >> halved(side, steps), rng)
    return Players(G, D)


def start_orthogonal(G: BigGenerator, D: nn.Module, rng: Stream | None) -> None:
    """Orthogonal weights, biases of zero, but of one for the gains of norms."""
    initialise(G, D, weights=partial(nn.init.orthogonal_, rng=rng))
    for layer in [*G.modules(), *D.modules()]:
        if isinstance(layer, nn.Embedding):
            nn.init.orthogonal_(layer.weight, rng=rng)
    for name, parameter in G.named_parameters():
        if name.endswith("gain.bias"):
            nn.init.ones_(parameter)


def shrink_scores(score: nn.Linear, embedding: nn.Embedding | None, size: int, rng: Stream | None) -> None:
    """Orthogonal weights that are as much smaller as features of size x size pixels are added up."""
    for layer in (score, embedding):
        if layer is not None:
            nn.init.orthogonal_(layer.weight, size**-2, rng=rng)
