"""The players that learn to read from a few labels and many images (Salimans et al. 2016), for 28x28 pixels."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from .. import nn
from ..ops import mean, sqrt, square
from ..random import Stream
from ..tensor import Tensor
from .players import initialise
from .ranges import FromUnit, ToUnit


class ReadingPlayers(NamedTuple):
    """A generator, and a classifier of its samples: classifier[0] makes features of them, classifier[1] logits."""

    generator: nn.Module
    classifier: nn.Sequential


def semi28(
    z_dim: int = 100,
    units: tuple[int, ...] = (1000, 500, 250, 250, 250),
    *,
    classes: int = 10,
    rng: Stream | None = None,
) -> ReadingPlayers:
    """The networks of Salimans et al. (2016) for MNIST.

    G: z ~ U(0, 1)^z_dim, 500-500 units of softplus behind batch norm, 784 sigmoids brought to [-1, 1], its last layer
    weight-normalised. Classifier: `units` of ReLU and a logit for each class, Gaussian noise of deviation 0.3 on the
    pixels in [0, 1] and 0.5 on each layer's input, all layers weight-normalised. Only the last one's lengths are
    parameters: the others are buffers, or the network would outgrow its noise. `scale_to_data` sets them.
    At the defaults G has 696 568 parameters, the classifier 1 538 770 and 2 250 lengths.
    """
    generator = nn.Sequential(
        nn.Linear(z_dim, 500, rng=rng),
        nn.BatchNorm1d(500),
        nn.Softplus(),
        nn.Linear(500, 500, rng=rng),
        nn.BatchNorm1d(500),
        nn.Softplus(),
        nn.weight_norm(nn.Linear(500, 784, rng=rng)),
        nn.Sigmoid(),
        FromUnit(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    body: list[nn.Module] = [nn.Flatten(), ToUnit()]
    for k, (i, o) in enumerate(itertools.pairwise((784, *units))):
        layer: Any = _normalised(i, o, rng)
        layer.weight_g = nn.Buffer(layer.weight_g)
        body += [nn.GaussianNoise(0.5 if k else 0.3), layer, nn.ReLU()]
    head = nn.Sequential(nn.GaussianNoise(0.5), _normalised(units[-1], classes, rng))
    return ReadingPlayers(generator, nn.Sequential(nn.Sequential(*body), head))


def _normalised(i: int, o: int, rng: Stream | None) -> nn.Linear:
    layer = nn.Linear(i, o, rng=rng)
    initialise(layer, weights=partial(nn.init.normal_, std=0.1, rng=rng))
    return nn.weight_norm(layer)


def scale_to_data(classifier: nn.Sequential, images: Tensor) -> None:
    """Set lengths and biases, layer by layer, so that over `images` each unit has mean 0 and deviation 1.

    Before its activation, and without noise (Salimans and Kingma 2016, section 3).
    """
    x = images
    layers: Iterator[Any] = (module for module in classifier.modules() if not isinstance(module, nn.Sequential))
    with nn.evaluating(classifier):
        for layer in layers:
            if hasattr(layer, "weight_g"):
                y = layer(x)
                centre = mean(y, 0)
                by = 1 / sqrt(mean(square(y - centre), 0) + 1e-8)
                layer.weight_g.copy_(layer.weight_g * by.reshape(-1, 1), by="scale_to_data")
                layer.bias.copy_((layer.bias - centre) * by, by="scale_to_data")
            x = layer(x)
