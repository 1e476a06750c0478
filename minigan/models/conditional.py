"""Networks that are told the class, or tell it.

`of_classes` makes them of any two networks without labels. The others are for images of 28x28 pixels. They share one
form: G from 7x7 maps by two transposed convolutions 4x4 of stride 2, D back by two convolutions; what
differs is where the label comes in. Each is `width` maps wide next to the image and twice as wide at 7x7. Noise is
U(-1, 1); weights are Glorot-uniform, biases zero.
"""

from typing import Any

from .. import nn
from ..errors import ShapeError
from ..ops import broadcast_to, concatenate, reshape, sum
from ..random import Stream
from ..tensor import Tensor, mapped
from .labels import TwoHeads, one_hot
from .players import Players, glorot


class OneHotGenerator(nn.Module):
    """G(z, y): a one-hot label is appended to the noise (N, z_dim) of a network that makes images of both."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        self.network = network
        self.classes = classes

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """What the network makes of both."""
        return self.network(self.told(z, labels))

    def told(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, z_dim + classes): the noise and behind it the one-hot labels, which the network is given."""
        return concatenate([z, one_hot(labels, self.classes, z.dtype.name)], 1)


class OneHotDiscriminator(nn.Module):
    """D(x, y): the one-hot label becomes `classes` more channels of the image, each all 0 or all 1."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        self.network = network
        self.classes = classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Scores (N, 1)."""
        n, _, height, width = x.shape
        planes = reshape(one_hot(labels, self.classes, x.dtype.name), (n, self.classes, 1, 1))
        return self.network(concatenate([x, broadcast_to(planes, (n, self.classes, height, width))], 1))


class ClasswiseDiscriminator(nn.Module):
    """D(x, y): of the `classes` scores (N, classes) that a network gives each sample, the one of its label.

    Mescheder et al. 2018, in their code for ImageNet; Liu et al. 2019 ("Few-shot unsupervised image-to-image
    translation") call it a binary question for each class.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        self.network = network
        self.classes = classes

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        """Scores (N, 1), or (N, 1, H, W) of a map for each class; two, if the network gives two; what else it reads."""
        answer = self.network(x)
        if isinstance(answer, tuple) and isinstance(answer[1], tuple):  # maps, which belong to no class
            return self._of_class(answer[0], labels), answer[1]
        return mapped(answer, lambda scores: self._of_class(scores, labels))

    def _of_class(self, scores: Tensor, labels: Tensor) -> Tensor:
        if scores.shape[:2] != (len(labels), self.classes):
            raise ShapeError(
                f"ClasswiseDiscriminator: expected {self.classes} scores for each of {len(labels)} labels, "
                f"got {scores.shape}"
            )
        told = one_hot(labels, self.classes, scores.dtype.name)
        return sum(scores * reshape(told, told.shape + (1,) * (scores.ndim - 2)), 1, keepdims=True)


def of_classes(players: Players, classes: int) -> Players:
    """G(z, y) and D(x, y) of two networks that know no labels: the players of a `gan.ConditionalGame`.

    The generator takes noise that is longer by `classes` than what is drawn at random, the discriminator gives so many
    scores: `dcgan28(z_dim + classes, outputs=classes)`, say.
    """
    return Players(OneHotGenerator(players.generator, classes), ClasswiseDiscriminator(players.discriminator, classes))


class ConditionalNormGenerator(nn.Module):
    """G(z, y): the label chooses scale and shift of each batch norm, and enters nowhere else."""

    def __init__(self, z_dim: int, classes: int, width: int, *, rng: Stream | None = None) -> None:
        self.dense = nn.Sequential(nn.Linear(z_dim, 7 * 7 * 2 * width, rng=rng), nn.Unflatten(1, (2 * width, 7, 7)))
        self.norm1 = nn.ConditionalBatchNorm2d(2 * width, classes)
        self.up1 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * width, width, 4, 2, 1, rng=rng))
        self.norm2 = nn.ConditionalBatchNorm2d(width, classes)
        self.up2 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(width, 1, 4, 2, 1, rng=rng), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (N, 1, 28, 28) in [-1, 1]."""
        return self.up2(self.norm2(self.up1(self.norm1(self.dense(z), labels)), labels))


class ProjectionDiscriminator(nn.Module):
    """D(x, y) = score(h(x)) + <e_y, h(x)>: features h (N, F) of a body, e an embedding of the classes in F dimensions.

    Miyato and Koyama 2018, equation 3.
    """

    def __init__(self, body: nn.Module, score: nn.Module, embedding: nn.Module) -> None:
        self.body = body
        self.score = score
        self.embedding = embedding

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Scores (N, 1)."""
        features = self.body(x)
        if labels.shape != (len(x),):
            raise ShapeError(f"ProjectionDiscriminator: expected one label for each of {x.shape}, got {labels.shape}")
        return self.score(features) + sum(self.embedding(labels) * features, 1, keepdims=True)


class _SumOfPixels(nn.Module):
    """(N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return sum(x, (2, 3))


def cgan28(z_dim: int = 100, classes: int = 10, *, width: int = 32, rng: Stream | None = None) -> Players:
    """A conditional GAN (Mirza and Osindero 2014): both players get the label as a one-hot, D as planes of the image.

    G has 381 601 parameters at the defaults, D 41 633.
    """
    network = nn.Sequential(_down(1 + classes, width, rng), nn.Linear(7 * 7 * 2 * width, 1, rng=rng))
    discriminator = OneHotDiscriminator(network, classes)
    return glorot(OneHotGenerator(_up(z_dim + classes, width, rng), classes), discriminator, rng)


def acgan28(z_dim: int = 100, classes: int = 10, *, width: int = 32, rng: Stream | None = None) -> Players:
    """A GAN with an auxiliary classifier (Odena et al. 2017): G(z, y) gets the label, D(x) gives (scores, logits).

    G is cgan28's; D has 67 883 parameters at the defaults.
    """
    features = 7 * 7 * 2 * width
    discriminator = TwoHeads(
        _down(1, width, rng), nn.Linear(features, 1, rng=rng), nn.Linear(features, classes, rng=rng)
    )
    return glorot(OneHotGenerator(_up(z_dim + classes, width, rng), classes), discriminator, rng)


def projection28(z_dim: int = 100, classes: int = 10, *, width: int = 32, rng: Stream | None = None) -> Players:
    """A projection discriminator and a generator with conditional batch norm (Miyato and Koyama 2018).

    D has a third convolution, to 4 width maps of 3x3, whose pixels are added up, and spectral norm on every weight.
    G has 351 969 parameters at the defaults, D 165 985.
    """
    body = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.1),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.1),
        _SumOfPixels(),
    )
    embedding = nn.Embedding(classes, 4 * width, rng=rng)
    nn.init.xavier_uniform_(embedding.weight, rng=rng)
    discriminator = ProjectionDiscriminator(body, nn.Linear(4 * width, 1, rng=rng), embedding)
    players = glorot(ConditionalNormGenerator(z_dim, classes, width, rng=rng), discriminator, rng)
    for layer in list(discriminator.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.spectral_norm(layer, rng=rng)
    return players


def _up(inputs: int, width: int, rng: Stream | None) -> nn.Sequential:
    """(N, inputs) to images (N, 1, 28, 28)."""
    return nn.Sequential(
        nn.Linear(inputs, 7 * 7 * 2 * width, rng=rng),
        nn.Unflatten(1, (2 * width, 7, 7)),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, rng=rng),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )


def _down(channels: int, width: int, rng: Stream | None) -> nn.Sequential:
    """Images (N, channels, 28, 28) to features (N, 7 * 7 * 2 * width)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
    )
