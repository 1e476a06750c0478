"""A small classifier of 28x28 images: it reads what generators draw."""

from typing import NamedTuple

from .. import nn
from ..random import Stream

FEATURES = 128  # outputs of the body


class Classifier(NamedTuple):
    """A body that makes FEATURES features of an image, and a head that makes a logit for each class of them."""

    body: nn.Module
    head: nn.Module


def classifier28(channels: int = 1, classes: int = 10, *, rng: Stream | None = None) -> Classifier:
    """Convolutions 5x5 with 16 and 32 maps, ReLU and max-pooled each, then 128 ReLU units and the logits.

    Body: (N, channels, 28, 28) in [-1, 1] to (N, 128) >= 0; head: to (N, classes). LeNet-5's form (LeCun et al. 1998)
    with 80 202 parameters.
    """
    body = nn.Sequential(
        nn.Conv2d(channels, 16, 5, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(16, 32, 5, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 32, FEATURES, rng=rng),
        nn.ReLU(),
    )
    return Classifier(body, nn.Linear(FEATURES, classes, rng=rng))
