"""Games with labels: both players are told the class, or the discriminator has to tell it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..errors import ShapeError, brief
from ..kernels.calls import made
from ..nn import Module
from ..nn.checks import not_negative
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, tensor
from .game import Batch, Losses, State
from .objectives import Critic, Sampler
from .score import ScoreGame


class ConditionalGame(ScoreGame):
    """A score game of players who are both told the class: G(z, y) and D(x, y) (Mirza and Osindero 2014).

    In each turn the generator is asked for the labels of the real batch, so that D compares samples of the same
    classes, and a penalty between a real one and a fake knows the label of both. Losses, penalties and schedules are
    those of a ScoreGame, and so are `sight` and `moves` but for what is UNSUITED, and path lengths (ShapeError). A
    projection discriminator (Miyato and Koyama 2018) is a D of this game. `classes` is their number. With `counts`, how
    often each is in the data, samples have classes in that proportion; else 0, 1, ... in turn.
    """

    labelled = True
    one_by_one = True
    classes: int

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        classes: int,
        counts: Sequence[int] | np.ndarray | None = None,
        **parts: Any,
    ) -> None:
        self.classes = classes
        self.counts: Tensor | None = None
        super().__init__(generator, discriminator, **parts)
        if counts is not None:
            check_counts(type(self).__name__, counts, classes)
            self.counts = tensor(np.asarray(counts, np.int64)).to(self.step.device)

    @property
    def state(self) -> State:
        """Every tensor of the game by name, sharing memory with it."""
        return super().state | ({} if self.counts is None else {"counts": self.counts})

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """Both players, told the labels of the batch."""
        labels = self.labels(batch)
        return lambda z: self.generator(z, labels), lambda x: self.discriminator(x, labels)

    def inputs(self, n: int, stream: str, at: int) -> tuple[Tensor, ...]:
        """Noise (n, dim) and classes (n,), which are in the data's proportion, or in turn."""
        if self.counts is None:
            labels = np.arange(n) % self.classes
        else:
            labels = classes_drawn(self.counts.numpy(), n, self.stream(f"classes of {stream}").at(at))
        return *super().inputs(n, stream, at), tensor(labels)

    def count(self, labels: np.ndarray) -> None:
        """Have samples in the proportion of these labels (N,) from now on; ShapeError for one that is no class."""
        counts = np.bincount(labels, minlength=self.classes)
        check_counts(type(self).__name__, counts, self.classes)
        self.counts = tensor(counts.astype(np.int64)).to(self.step.device)

    def labels(self, batch: Batch) -> Tensor:
        """The labels of the batch; ShapeError if it came without."""
        if batch.labels is None:
            raise ShapeError(f"{type(self).__name__}: a batch {batch.real.shape} came without labels, and needs them")
        return batch.labels


class AuxiliaryGame(ConditionalGame):
    """G(z, y) is told the class, D(x) tells it: D's scores come with logits of the classes (Odena et al. 2017).

    D: its loss plus class_weight * (CE(real) + CE(fake)); G: its loss plus class_weight * CE(fake), CE the cross
    entropy of the logits with the labels. In the log, `right_real` and `right_fake` are the shares that D reads right.
    """

    def __init__(
        self, generator: Module, discriminator: Module, *, classes: int, class_weight: float = 1.0, **parts: Any
    ) -> None:
        not_negative("AuxiliaryGame", class_weight=class_weight)
        self.class_weight = class_weight
        super().__init__(generator, discriminator, classes=classes, **parts)

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """The generator, told the labels; the discriminator, who is not."""
        labels = self.labels(batch)
        return lambda z: self.generator(z, labels), self.discriminator

    def asked(self, batch: Batch, z: Tensor) -> Tensor:
        """The labels: real samples and fakes have the same."""
        return self.labels(batch)

    def of_readings(self, asked: Tensor, fake: Tensor, real: Tensor | None = None) -> tuple[Tensor, Losses]:
        """The cross entropies of logits with the labels."""
        error = ops.cross_entropy(fake, asked)
        if real is None:
            return self.class_weight * error, {}
        error = ops.cross_entropy(real, asked) + error
        shown = {"right_real": share_right(real, asked), "right_fake": share_right(fake, asked)}
        return self.class_weight * error, shown


def classes_drawn(counts: np.ndarray | Sequence[float], n: int, rng: Stream) -> np.ndarray:
    """n classes in the proportion of `counts` (classes,), each drawn for itself: int64 (n,)."""
    ends = np.cumsum(counts, dtype=np.float64)
    drawn = np.searchsorted(ends, ends[-1] * rng.uniform((n,), dtype="float64", device="cpu"), side="right")
    return np.minimum(drawn, np.flatnonzero(counts)[-1])  # where the product was rounded up to the end


def check_counts(name: str, counts: Sequence[float] | np.ndarray, classes: int) -> None:
    """ShapeError unless there is a number >= 0 for each class, and one above 0."""
    found = np.asarray(counts, np.float64)
    if found.shape != (classes,) or not (np.isfinite(found).all() and found.min() >= 0 and found.max() > 0):
        raise ShapeError(
            f"{name}: expected how often each of {classes} classes is there, numbers >= 0, got {brief(counts, 200)}"
        )


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows (N, classes) whose largest logit is at the label (N,): a 0-d tensor, a constant."""
    with no_grad():
        return ops.mean(ops.equal(Tensor(made(_largest, logits.data)), labels).astype(logits.dtype))


def _largest(logits: Array) -> Array:
    """Where each row is largest."""
    return logits.argmax(1)
