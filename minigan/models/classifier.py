"""A small classifier of 28x28 images: it reads what generators draw."""

from typing import NamedTuple

from ..nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from ..random import Stream

FEATURES = 128  # outputs of the body


class Classifier(NamedTuple):
    """A body that makes FEATURES features of an image, and a head that makes a logit for each class of them."""

    body: Module
    head: Module


def classifier28(channels: int = 1, classes: int = 10, *, rng: Stream | None = None) -> Classifier:
    """Convolutions 5x5 with 16 and 32 maps, ReLU and max-pooled each, then 128 ReLU units and the logits.

    Body: (N, channels, 28, 28) in [-1, 1] to (N, 128) >= 0; head: to (N, classes). LeNet-5's form (LeCun et al. 1998)
    with 80 202 parameters.
    """
    body = Sequential(
        Conv2d(channels, 16, 5, rng=rng),
        ReLU(),
        MaxPool2d(2, 2),
        Conv2d(16, 32, 5, rng=rng),
        ReLU(),
        MaxPool2d(2, 2),
        Flatten(),
        Linear(4 * 4 * 32, FEATURES, rng=rng),
        ReLU(),
    )
    return Classifier(body, Linear(FEATURES, classes, rng=rng))
