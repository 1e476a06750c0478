"""How a judge learns: from labels, or, where nobody gave any, from telling which way up a picture is."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, ops
from ..data import Samples, held_out
from ..errors import DataError
from ..gan import Batch, Game, Losses, Turn
from ..metrics import frechet_distance
from ..models import Classifier
from ..optim import Adam, Schedule, linear
from ..random import Stream
from . import whitening
from .reader import Form, Judge, centre, form28, form_of

FEW = 800  # images that a judge in a hurry learns from
TURNS = 4  # ways up of a picture
FEWEST = 100  # images from which anything can be learnt, and a tenth of them held out


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


def fit(
    form: Form,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    epochs: int = 1,
    batch_size: int = 64,
    lr: float = 2e-3,
    device: str = "cpu",
    told: Callable[[int], None] = lambda epoch: None,
    **augment: Any,
) -> Judge:
    """A Judge of this form that learnt uint8 images (N, C, H, W) and their int64 labels (N,).

    Adam, its rate falling from `lr` to 0 along a line; `flip` and `crop` are those of `data.Batches`. The same seed
    gives the same judge. `told` is called with the number of each epoch that is done.
    """
    classifier = form.build(Stream(seed, "classifier"))
    for part in classifier:
        part.to(device)
    size = min(batch_size, len(images))
    batches = data.Batches(images, size, labels=labels, seed=seed, device=device, **augment)
    steps = epochs * batches.per_epoch
    parameters = [*classifier.body.parameters(), *classifier.head.parameters()]
    optimizer = Adam(parameters, lr)
    game = _Lessons(classifier, optimizer, seed=seed, schedule=Schedule(optimizer, linear(1.0, 0.0, steps)))
    for step in range(steps):
        game.play(batches)
        if (step + 1) % batches.per_epoch == 0:
            told((step + 1) // batches.per_epoch)
    about: dict[str, Any] = {"taught": "labels", "images": len(images), "seed": seed, "epochs": epochs}
    about["parameters"] = sum(p.size for p in parameters)
    return Judge(classifier, form, **about, date=datetime.date.today().isoformat())


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
    """A Judge that learnt uint8 images (N, channels, 28, 28) and their int64 labels (N,), 0 .. at least 9: see `fit`.

    One epoch of MNIST takes 5 to 20 seconds on two cores and reads 98.8% of the test set right.
    """
    if images.ndim != 4 or images.shape[2:] != (28, 28) or len(images) == 0:
        raise DataError(f"fit_classifier: expected images (N, channels, 28, 28), at least one, got {images.shape}")
    form = form28(images.shape[1], max(10, int(labels.max()) + 1))
    return fit(form, images, labels, seed=seed, epochs=epochs, batch_size=batch_size, lr=lr, device=device)


def fit_turned(pictures: np.ndarray, *, seed: int = 0, epochs: int = 5, device: str = "cpu", **how: Any) -> Judge:
    """A Judge that learnt to tell by which of four quarter turns a picture is turned, of uint8 ones (N, C, H, H).

    To tell that, a network has to know what pictures of this kind show, and nobody need have labelled them (Gidaris et
    al. 2018). It has no classes, and features of all its stages, whitened by these pictures (`Judge.whiten`): the last
    layer alone keeps what four turns need, of faces 87 % of its variance in two directions. Of 20 made damages of faces
    they see 17, the last layer 13, random features 15 (`benches/judge_cases.py`). Pictures are mirrored at random;
    `how` goes to `fit`. Of 2 000 faces, more than a few epochs are learnt by heart. DataError for fewer than fifty, or
    if all are the same.
    """
    if len(pictures) < whitening.FEWEST:
        raise DataError(f"fit_turned: expected {whitening.FEWEST} pictures or more, got {len(pictures)}")
    form = form_of(pictures.shape[1:], TURNS, maps=64)
    judge = fit(form, *turned(pictures), seed=seed, epochs=epochs, device=device, flip=True, **how)
    judge.whiten(pictures)
    judge.about |= {"taught": "rotations", "images": len(pictures)}
    return judge


def turned(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square pictures (N, C, H, H) by 0, 1, 2 and 3 quarter turns (4 N, C, H, H), and how many those are: int64."""
    ways = [np.rot90(pictures, k, (2, 3)) for k in range(TURNS)]
    return np.concatenate(ways), np.arange(TURNS).repeat(len(pictures))


def learn(samples: Samples, *, seed: int = 0, epochs: int | None = None, flip: bool = False, **how: Any) -> Judge:
    """A Judge of whatever these images are: of their classes if they have labels, else of how they are turned.

    Its `accuracy` is measured on images it has not seen: the test set of a data set that has a name, else a tenth of
    the samples. So is `floor`, the Frechet distance of as many images that it has learnt from to those. Images are
    moved at random by up to a fourteenth of their side, and mirrored if `flip` or if they have no labels; `how` goes
    to `fit`. There are 10 epochs with labels, 5 without. DataError for points, images that are not square, or fewer
    than FEWEST.
    """
    images = samples.drawn
    if images.ndim != 4 or len(images) < FEWEST:
        raise DataError(f"a judge learns from {FEWEST} images (N, C, H, W) or more, got {images.shape}")
    labels, told = samples.labels, None
    if samples.name in data.DATASETS:
        unseen, told = held_out(samples, shape=images.shape[1:])
    else:
        order = Stream(seed, "unseen").permutation(len(images))
        apart, rest = np.split(order, [len(images) // 10])
        unseen, images = images[apart], images[rest]
        if labels is not None:
            told, labels = labels[apart], labels[rest]
    how = {"seed": seed, "epochs": epochs or (5 if labels is None else 10), "crop": images.shape[2] // 14, **how}
    if labels is None:
        judge = fit_turned(images, **how)
        ways, turns = turned(unseen)
        accuracy = float((judge.logits(ways).argmax(1) == turns).mean())
    else:
        assert told is not None
        judge = fit(form_of(images.shape[1:], int(labels.max()) + 1, maps=64), images, labels, flip=flip, **how)
        accuracy = judge.accuracy(unseen, told)
    count = min(len(images), len(unseen))
    floor = frechet_distance(judge.features(images[:count]), judge.features(unseen[:count]))
    judge.about |= {"data": Path(samples.name).name, "accuracy": accuracy, "tested": len(unseen), "floor": floor}
    return judge


def judge_of(samples: Samples, *, seed: int = 0, epochs: int = 1, few: bool = False, device: str = "cpu") -> Judge:
    """A Judge trained on `samples`, its `test_accuracy` measured on held-out ones; in a second on a few if `few`."""
    judge = _taught(samples, FEW if few else None, seed=seed, epochs=epochs, device=device)
    judge.about["accuracy"] = judge.accuracy(*held_out(samples, few=few))
    return judge


def quick_judge(samples: Samples, *, seed: int = 0, few: bool = False, device: str = "cpu") -> Judge:
    """A judge of 28x28 images that has seen 20 000 of the samples, those with a border (N, C, 32, 32) cropped.

    It reads 97% of MNIST's test set, and is there in seconds. DataError if the samples have no labels.
    """
    return _taught(samples, FEW if few else 20_000, centre, seed=seed, device=device)


def _taught(samples: Samples, most: int | None, crop: Callable = np.asarray, **options: Any) -> Judge:
    """A judge that has seen the first of the samples."""
    labels = samples.needed_labels("so no judge can learn from them")
    return fit_classifier(crop(samples.drawn[:most]), labels[:most], **options)
