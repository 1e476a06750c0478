"""Networks for images of 28x28 pixels: those of CS231n, of a course's lab, and the first GAN's."""

from functools import partial
from typing import Any

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .maxout import Maxout
from .players import Players, glorot, initialise
from .ranges import FromUnit, ToUnit


def mlp28(z_dim: int = 96, *, pack: int = 1, outputs: int = 1, rng: Stream | None = None) -> Players:
    """The fully connected GAN of CS231n (assignment 3, 2017) for 28x28 images.

    G: z_dim-1024-1024-784, ReLU, tanh; D: 784-256-256-1, leaky ReLU 0.01. Glorot-uniform weights, zero biases.
    D has 267 009 parameters; G has 1 858 320 for z_dim = 4. Noise is U(-1, 1). D sees `pack` images at once, and gives
    `outputs` scores of each.
    """
    generator = nn.Sequential(
        nn.Linear(z_dim, 1024, rng=rng),
        nn.ReLU(),
        nn.Linear(1024, 1024, rng=rng),
        nn.ReLU(),
        nn.Linear(1024, 784, rng=rng),
        nn.Tanh(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784 * pack, 256, rng=rng),
        nn.LeakyReLU(0.01),
        nn.Linear(256, 256, rng=rng),
        nn.LeakyReLU(0.01),
        nn.Linear(256, outputs, rng=rng),
    )
    return glorot(generator, discriminator, rng)


def dcgan28(
    z_dim: int = 96, *, generator_width: int = 64, pack: int = 1, outputs: int = 1, rng: Stream | None = None
) -> Players:
    """The convolutional GAN of CS231n (assignment 3, 2017) for 28x28 images; G is InfoGAN's (Chen et al. 2016).

    Mind the order in G: dense or transposed convolution, ReLU, then batch norm. D has 1 102 721 parameters; G has
    6 595 521 for z_dim = 4, running statistics counted. Noise is U(-1, 1). D sees `pack` images at once, and gives
    `outputs` scores of each.

    `generator_width` is that of the maps next to the image, and other layers follow: with 32, half of the document's in
    each, G has 1 706 465 parameters for z_dim = 96, a quarter of the document's.
    """
    discriminator = nn.Sequential(
        nn.Conv2d(pack, 32, 5, rng=rng),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 5, rng=rng),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 64, 4 * 4 * 64, rng=rng),
        nn.LeakyReLU(0.01),
        nn.Linear(4 * 4 * 64, outputs, rng=rng),
    )
    return glorot(_infogan_generator(z_dim, generator_width, rng), discriminator, rng)


def wgan_gp28(
    z_dim: int = 96,
    *,
    norm: str | None = "batch",
    padding: int = 0,
    generator_width: int = 64,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """The WGAN-GP of CS231n (assignment 3, 2017) for 28x28 images: dcgan28's generator, InfoGAN's critic.

    The critic has 3 411 649 parameters, running statistics counted. It contains a batch norm, as the document has it,
    although a gradient penalty is defined per sample; `norm=None` leaves it out. Its two convolutions take 28 pixels
    to 13 and 13 to 5, which leaves the last of 13, and so the last two rows and columns of an image, unseen: a
    generator paints there what it likes. `padding=1` around the image takes 28 to 14 and 14 to 6. The preset does both.
    The critic gives `outputs` scores of each image.
    """
    if norm not in ("batch", None):
        raise ShapeError(f"wgan_gp28: expected norm 'batch' or None, got {norm!r}")
    side = ((28 + 2 * padding - 4) // 2 + 1 - 4) // 2 + 1
    critic = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, padding, rng=rng),
        nn.LeakyReLU(0.01),
        nn.Conv2d(64, 128, 4, 2, rng=rng),
        nn.LeakyReLU(0.01),
        *([nn.BatchNorm2d(128, **_TENSORFLOW)] if norm else []),
        nn.Flatten(),
        nn.Linear(128 * side * side, 1024, rng=rng),
        nn.LeakyReLU(0.01),
        nn.Linear(1024, outputs, rng=rng),
    )
    return glorot(_infogan_generator(z_dim, generator_width, rng), critic, rng)


def lab28(
    z_dim: int = 128, *, output: type[nn.Module] = nn.Sigmoid, outputs: int = 1, rng: Stream | None = None
) -> Players:
    """The WGAN-GP of a course's MNIST lab for 28x28 images: strides of 2 with TensorFlow's SAME padding.

    G: z_dim, dense 896 as 2x2x224, then 5x5 transposed convolutions to 4x4x112, 7x7x56, 14x14x28 and 28x28x1, ReLU
    between; weights N(0, 0.01^2). D: 5x5 convolutions to 14x14x28, 7x7x56 and 4x4x112, leaky ReLU 0.2, dense 1. Biases
    begin at 0.01. D has 198 689 parameters, G 939 681 for z_dim = 128. Noise is N(0, 1). `output` is a sigmoid, images
    in [0, 1], as the document has it; with Tanh they are in [-1, 1], as minigan's data are. D
    gives `outputs` scores of each image.
    """
    up: dict[str, Any] = {"stride": 2, "padding": "same", "rng": rng}
    generator = nn.Sequential(
        nn.Linear(z_dim, 2 * 2 * 224, rng=rng),
        nn.Unflatten(1, (224, 2, 2)),
        nn.ConvTranspose2d(224, 112, 5, **up),
        nn.ReLU(),
        nn.ConvTranspose2d(112, 56, 5, **up, output_size=7),
        nn.ReLU(),
        nn.ConvTranspose2d(56, 28, 5, **up),
        nn.ReLU(),
        nn.ConvTranspose2d(28, 1, 5, **up),
        output(),
    )
    critic = nn.Sequential(
        nn.Conv2d(1, 28, 5, 2, "same", rng=rng),
        nn.LeakyReLU(0.2),
        nn.Conv2d(28, 56, 5, 2, "same", rng=rng),
        nn.LeakyReLU(0.2),
        nn.Conv2d(56, 112, 5, 2, "same", rng=rng),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 112, outputs, rng=rng),
    )
    players = glorot(generator, critic, rng)
    for layer in [*generator.modules(), *critic.modules()]:
        if isinstance(layer, nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.01, rng=rng)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
            nn.init.constant_(layer.bias, 0.01)
    return players


def goodfellow28(z_dim: int = 100, *, outputs: int = 1, rng: Stream | None = None) -> Players:
    """The networks of Goodfellow et al. 2014 for MNIST, as in their code (github.com/goodfeli/adversarial).

    G: z_dim-1200-1200-784, ReLU, a sigmoid brought to [-1, 1]. D: pixels in [0, 1], two layers of 240 maxout units of 5
    pieces, dropout 0.2 before the first and 0.5 before each further layer. Weights U(-0.05, 0.05) in G and
    U(-0.005, 0.005) in D, zero biases. G has 2 503 984 parameters, D 1 231 441 for z_dim = 100. Noise is uniform with a
    variance of 1, U(-sqrt(3), sqrt(3)).
    D gives `outputs` scores of each image.
    """
    generator = nn.Sequential(
        nn.Linear(z_dim, 1200, rng=rng),
        nn.ReLU(),
        nn.Linear(1200, 1200, rng=rng),
        nn.ReLU(),
        nn.Linear(1200, 784, rng=rng),
        nn.Sigmoid(),
        FromUnit(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        ToUnit(),
        nn.Dropout(0.2),
        Maxout(784, 240, 5, rng=rng),
        nn.Dropout(0.5),
        Maxout(240, 240, 5, rng=rng),
        nn.Dropout(0.5),
        nn.Linear(240, outputs, rng=rng),
    )
    for player, bound in ((generator, 0.05), (discriminator, 0.005)):
        initialise(player, weights=partial(nn.init.uniform_, low=-bound, high=bound, rng=rng))
    return Players(generator, discriminator)


_TENSORFLOW: dict[str, Any] = {
    "eps": 1e-3,
    "momentum": 0.01,
}  # tf.layers.batch_normalization's defaults, in PyTorch's convention


def _infogan_generator(z_dim: int, width: int, rng: Stream | None) -> nn.Sequential:
    """Dense layers of 16 and 98 width, then 2 width maps of 7x7, width of 14x14, and the image."""
    return nn.Sequential(
        nn.Linear(z_dim, 16 * width, rng=rng),
        nn.ReLU(),
        nn.BatchNorm1d(16 * width, **_TENSORFLOW),
        nn.Linear(16 * width, 7 * 7 * 2 * width, rng=rng),
        nn.ReLU(),
        nn.BatchNorm1d(7 * 7 * 2 * width, **_TENSORFLOW),
        nn.Unflatten(1, (2 * width, 7, 7)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, rng=rng),
        nn.ReLU(),
        nn.BatchNorm2d(width, **_TENSORFLOW),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )
