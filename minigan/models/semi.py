"""The players that learn to read from a few labels and many images (Salimans et al. 2016), for 28x28 pixels."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from .. import nn, random
from ..ops import mean, sqrt, square
from ..random import Stream
from ..recording import no_grad
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

    G: z ~ U(0, 1)^z_dim, 500-500 units of softplus behind batch norm without scales, 784 sigmoids brought to [-1, 1],
    its last layer weight-normalised, of lengths 1 at first. Classifier: `units` of ReLU and a logit for each class,
    Gaussian noise of deviation 0.3 on the pixels in [0, 1] and 0.5 on each layer's input, all layers
    weight-normalised. Only the last one's lengths are parameters: the others are buffers, or the network would outgrow
    its noise. `scale_to_data` sets them. At the defaults G has 694 568 parameters, the classifier 1 538 770 and 2 250
    lengths.
    """
    last: Any = nn.Linear(500, 784, rng=rng)
    nn.init.xavier_uniform_(last.weight, rng=rng)
    nn.init.zeros_(last.bias)
    nn.init.ones_(nn.weight_norm(last).weight_g)
    generator = nn.Sequential(
        *_hidden(z_dim, rng),
        *_hidden(500, rng),
        last,
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


def _hidden(inputs: int, rng: Stream | None) -> list[nn.Module]:
    """500 units of softplus behind a batch norm that has shifts but no scales."""
    norm: Any = nn.BatchNorm1d(500)
    norm.weight = nn.Buffer(norm.weight)
    return [nn.Linear(inputs, 500, bias=False, rng=rng), norm, nn.Softplus()]


def _normalised(i: int, o: int, rng: Stream | None) -> nn.Linear:
    layer = nn.Linear(i, o, rng=rng)
    initialise(layer, weights=partial(nn.init.normal_, std=0.1, rng=rng))
    return nn.weight_norm(layer)


def scale_to_data(classifier: nn.Sequential, images: Tensor, *, rng: Stream | None = None) -> None:
    """Set lengths and biases, layer by layer, so that over `images` each unit has mean 0 and deviation 1.

    Before its activation (Salimans and Kingma 2016, section 3), with the layers' noise, drawn from `rng`: it is a good
    part of what a layer is given, and without it all units would be too large in training.
    """
    x = images
    layers: Iterator[Any] = (module for module in classifier.modules() if not isinstance(module, nn.Sequential))
    with random.using(rng or random.default()), no_grad():
        for layer in layers:
            if hasattr(layer, "weight_g"):
                y = layer(x)
                centre = mean(y, 0)
                by = 1 / sqrt(mean(square(y - centre), 0) + 1e-8)
                layer.weight_g.copy_(layer.weight_g * by.reshape(-1, 1), by="scale_to_data")
                layer.bias.copy_((layer.bias - centre) * by, by="scale_to_data")
            x = layer(x)
