"""Games with labels: both players are told the class, or the discriminator has to tell it."""

from collections.abc import Callable
from typing import Any, cast

from .. import ops
from ..backend import xp
from ..errors import ShapeError
from ..nn import Module
from ..op import no_grad
from ..random import Stream
from ..tensor import Tensor
from .game import Batch, Losses
from .penalties import Critic
from .score import ScoreGame

ALONE = {"pack": 1, "unroll": 0, "replay": 0, "joint_batches": False}
"""Switches of ScoreGame that a game with labels or codes leaves as they are: they mix samples that were made for
different labels (packs, old fakes, real samples and fakes in one batch), or call the discriminator on samples alone."""


def refuse_mixing(name: str, options: dict[str, Any]) -> None:
    """ShapeError if one of the switches in ALONE is set."""
    given = {switch: options[switch] for switch, off in ALONE.items() if options.get(switch, off) != off}
    if given:
        raise ShapeError(f"{name}: each sample has a label or code of its own, which does not go with {given}")


class ConditionalGame(ScoreGame):
    """A score game of players who are both told the class: G(z, y) and D(x, y) (Mirza and Osindero 2014).

    In each turn the generator is asked for the labels of the real batch, so that D compares samples of the same
    classes, and a penalty between a real one and a fake knows the label of both. Losses, penalties and schedules are
    those of a ScoreGame, and so are its switches except those in ALONE (ShapeError). A projection discriminator
    (Miyato and Koyama 2018) is a D of this game. `classes` is their number.
    """

    labelled = True

    def __init__(self, generator: Module, discriminator: Module, *, classes: int, **options: Any) -> None:
        refuse_mixing(type(self).__name__, options)
        self.classes = classes
        super().__init__(generator, discriminator, **options)

    def informed(self, batch: Batch) -> tuple[Critic, Critic]:
        """Both players, told the labels of the batch."""
        labels = self._labels(batch)
        return lambda z: self.generator(z, labels), lambda x: self.discriminator(x, labels)

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """n samples of the classes 0, 1, ... in turn, for the same noise each time."""
        labels = Tensor(xp(self.step.data).arange(n) % self.classes)
        return self.generate(self.latent(n, self.stream(stream).at(at)), labels)

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise ShapeError(f"{type(self).__name__}: a batch {batch.real.shape} came without labels, and needs them")
        return batch.labels


class Reader:
    """A discriminator that gives (scores, reading), as a critic that gives scores; the readings are kept in order.

    `asked` is what the fakes were made for: what it should read from them.
    """

    def __init__(self, discriminator: Callable[[Tensor], tuple[Tensor, Tensor]], asked: Tensor | None = None) -> None:
        self.discriminator = discriminator
        self.asked = asked
        self.readings: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        """The scores of x."""
        scores, reading = self.discriminator(x)
        self.readings.append(reading)
        return scores


class AuxiliaryGame(ConditionalGame):
    """G(z, y) is told the class, D(x) tells it: D's scores come with logits of the classes (Odena et al. 2017).

    D: its loss plus class_weight * (CE(real) + CE(fake)); G: its loss plus class_weight * CE(fake), CE the cross
    entropy of the logits with the labels. In the log, `right_real` and `right_fake` are the shares that D reads right.
    """

    def __init__(
        self, generator: Module, discriminator: Module, *, classes: int, class_weight: float = 1.0, **options: Any
    ) -> None:
        self.class_weight = class_weight
        super().__init__(generator, discriminator, classes=classes, **options)

    def informed(self, batch: Batch) -> tuple[Critic, Critic]:
        """The generator, told the labels; the discriminator, who reads them."""
        labels = self._labels(batch)
        return lambda z: self.generator(z, labels), Reader(self.discriminator, labels)

    def _criticise(self, critic: Critic, real: Tensor, fake: Tensor, rng: Stream) -> tuple[Tensor, Losses]:
        loss, shown = super()._criticise(critic, real, fake, rng)
        reader = cast(Reader, critic)
        labels, of_real, of_fake = cast(Tensor, reader.asked), *reader.readings[:2]
        loss = loss + self.class_weight * (ops.cross_entropy(of_real, labels) + ops.cross_entropy(of_fake, labels))
        return loss, shown | {"right_real": share_right(of_real, labels), "right_fake": share_right(of_fake, labels)}

    def _generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, rng: Stream, critic_moves: bool) -> Tensor:
        reader = cast(Reader, critic)
        before = len(reader.readings)
        loss = super()._generator_loss(critic, real, fake, rng, critic_moves)
        return loss + self.class_weight * ops.cross_entropy(reader.readings[before], cast(Tensor, reader.asked))


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows (N, classes) whose largest logit is at the label (N,): a 0-d tensor, a constant."""
    with no_grad():
        return ops.mean(ops.equal(Tensor(logits.data.argmax(1)), labels).astype(logits.dtype))
