"""A judge of generated images: a classifier that minigan trains itself on the samples that a generator learnt from."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import data, ops
from ..data import Samples, held_out
from ..errors import DataError
from ..gan import Batch, Game, Losses, Turn
from ..models import Classifier, classifier28
from ..nn import in_chunks
from ..optim import Adam, Schedule, linear
from ..random import Stream
from ..tensor import Tensor

FEW = 800  # images that a judge in a hurry learns from


class Judge:
    """Reads images (N, channels, 28, 28): uint8, or float in [-1, 1] as generators make them."""

    def __init__(self, classifier: Classifier, *, test_accuracy: float | None = None) -> None:
        self.classifier = classifier
        self.test_accuracy = test_accuracy  # share of held-out images that it reads right, if that was measured

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The class of each image: int64 (N,)."""
        return self._logits(images).argmax(1)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """How likely each class is: float32 (N, classes), rows that add up to 1."""
        logits = self._logits(images)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the classifier makes of each image before it decides: float32 (N, 128), at least 0."""
        return self._in_chunks(images, self.classifier.body)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose class is their label; DataError unless there is one for each."""
        if labels.shape != images.shape[:1]:
            raise DataError(f"Judge: expected a label for each image, got {images.shape} and {labels.shape}")
        return float((self.predict(images) == labels).mean())

    def _logits(self, images: np.ndarray) -> np.ndarray:
        return self._in_chunks(images, lambda x: self.classifier.head(self.classifier.body(x)))

    def _in_chunks(self, images: np.ndarray, network: Callable[[Tensor], Tensor]) -> np.ndarray:
        if images.ndim != 4 or len(images) == 0:
            raise DataError(f"Judge: expected images (N, channels, 28, 28), at least one, got {images.shape}")
        if not np.isfinite(images).all():
            raise DataError("Judge: an image with a NaN or an infinity cannot be read")
        return in_chunks(network, images, self.classifier.head.parameters()[0].device)


class _Lessons(Game):
    """One player, who learns the labels."""

    labelled = True

    def __init__(self, classifier: Classifier, optimizer: Adam, *, seed: int, schedule: Schedule) -> None:
        self.classifier = classifier
        super().__init__(
            {"body": classifier.body, "head": classifier.head},
            {"classifier": optimizer},
            [Turn("lesson")],
            seed=seed,
            schedules=[schedule],
        )

    def lesson(self, batch: Batch) -> Losses:
        """A step down the cross entropy."""
        assert batch.labels is not None
        loss = ops.cross_entropy(self.classifier.head(self.classifier.body(batch.real)), batch.labels)
        self.optimizers["classifier"].minimize(loss)
        return {"loss": loss.detach()}


def fit_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    epochs: int = 1,
    batch_size: int = 64,
    lr: float = 2e-3,
    device: str = "cpu",
) -> Judge:
    """A Judge that learnt uint8 images (N, channels, 28, 28) and their int64 labels (N,), 0 .. at least 9.

    Adam, its rate falling from `lr` to 0 along a line. The same seed gives the same judge. One epoch of MNIST
    takes 20 seconds on two cores and reads 98.8% of the test set right.
    """
    if images.ndim != 4 or images.shape[2:] != (28, 28) or len(images) == 0:
        raise DataError(f"fit_classifier: expected images (N, channels, 28, 28), at least one, got {images.shape}")
    rng = Stream(seed, "classifier")
    classifier = classifier28(images.shape[1], max(10, int(labels.max()) + 1), rng=rng)
    for part in classifier:
        part.to(device)
    batches = data.Batches(images, min(batch_size, len(images)), labels=labels, seed=seed, device=device)
    steps = epochs * batches.per_epoch
    optimizer = Adam([*classifier.body.parameters(), *classifier.head.parameters()], lr)
    game = _Lessons(classifier, optimizer, seed=seed, schedule=Schedule(optimizer, linear(1.0, 0.0, steps)))
    for _ in range(steps):
        game.play(batches)
    return Judge(classifier)


def judge_of(samples: Samples, *, seed: int = 0, epochs: int = 1, few: bool = False, device: str = "cpu") -> Judge:
    """A Judge trained on `samples`, its `test_accuracy` measured on held-out ones; in a second on a few if `few`."""
    judge = _taught(samples, FEW if few else None, seed=seed, epochs=epochs, device=device)
    judge.test_accuracy = judge.accuracy(*held_out(samples, few=few))
    return judge


def quick_judge(samples: Samples, *, seed: int = 0, few: bool = False, device: str = "cpu") -> Judge:
    """A judge of 28x28 images that has seen 20 000 of the samples, those with a border (N, C, 32, 32) cropped.

    It reads 97% of MNIST's test set, and is there in seconds. DataError if the samples have no labels.
    """
    return _taught(samples, FEW if few else 20_000, centre, seed=seed, device=device)


def centre(images: np.ndarray, side: int = 28) -> np.ndarray:
    """The middle side x side pixels of images (N, C, H, W)."""
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    return images[:, :, top : top + side, left : left + side]


def _taught(samples: Samples, most: int | None, crop: Callable = np.asarray, **options: Any) -> Judge:
    """A judge that has seen the first of the samples."""
    labels = samples.needed_labels("so no judge can learn from them")
    return fit_classifier(crop(samples.drawn[:most]), labels[:most], **options)
