"""Small classifiers of images: they read what generators draw."""

from itertools import pairwise
from typing import NamedTuple

from .. import nn
from ..errors import ShapeError
from ..random import Stream

FEATURES = 128  # outputs of the body


class Classifier(NamedTuple):
    """A body that makes features of an image, and a head that makes a logit for each class of them."""

    body: nn.Sequential
    head: nn.Module


def classifier28(
    channels: int = 1, classes: int = 10, *, features: int = FEATURES, rng: Stream | None = None
) -> Classifier:
    """Convolutions 5x5 with 16 and 32 maps, ReLU and max-pooled each, then ReLU units, the features, and the logits.

    Body: (N, channels, 28, 28) in [-1, 1] to (N, features) >= 0; head: to (N, classes). LeNet-5's form (LeCun et al.
    1998) with 80 202 parameters at the defaults.
    """
    body = nn.Sequential(
        nn.Conv2d(channels, 16, 5, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(16, 32, 5, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 32, features, rng=rng),
        nn.ReLU(),
    )
    return Classifier(body, nn.Linear(features, classes, rng=rng))


def picture_classifier(
    side: int = 32,
    channels: int = 3,
    classes: int = 10,
    *,
    maps: int = 128,
    features: int = 64,
    rng: Stream | None = None,
) -> Classifier:
    """Stages of a 3x3 convolution, batch norm, ReLU and max-pooling until at most 7 pixels a side are left.

    Body: (N, channels, side, side) in [-1, 1] to (N, features) >= 0 by a layer of ReLU units; head: to (N, classes).
    The last stage has `maps` maps, each before it half as many, so that all cost alike: the form of VGG (Simonyan and
    Zisserman 2015). ShapeError for a side below 8, or maps that cannot be halved so often.
    """
    sides = [side]
    while sides[-1] > 7:
        sides.append(sides[-1] // 2)
    stages = len(sides) - 1
    if not stages or maps % 2 ** (stages - 1):
        raise ShapeError(
            f"picture_classifier: expected a side from 8, and maps that can be halved once for each of its stages but "
            f"one, got {side} and {maps}"
        )
    widths = [channels, *(maps >> k for k in reversed(range(stages)))]
    layers: list[nn.Module] = []
    for i, o in pairwise(widths):
        layers += [nn.Conv2d(i, o, 3, 1, 1, bias=False, rng=rng), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2, 2)]
    layers += [nn.Flatten(), nn.Linear(maps * sides[-1] ** 2, features, rng=rng), nn.ReLU()]
    return Classifier(nn.Sequential(*layers), nn.Linear(features, classes, rng=rng))
