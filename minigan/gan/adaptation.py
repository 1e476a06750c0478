"""Domain adaptation by features: a classifier that learns from images of one domain reads those of another.

It sees both by features that a discriminator cannot tell apart. `PixelDA` does it by images instead.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..nn import Module, Sequential, evaluating, in_chunks
from ..nn.checks import integer, not_negative
from ..optim import Optimizer
from ..tensor import Tensor, full
from .game import Batch, Game, Losses, Turn
from .latents import Latent, SourceImages
from .losses import Loss, nonsaturating
from .translation.base import scores_move


def labels_of(name: str, batch: Batch, sources: Tensor) -> Tensor:
    """The labels of the batch's sources; ShapeError, which begins with the game's name, if it came without."""
    if batch.labels is None:
        raise ShapeError(f"{name}: a batch of sources {sources.shape} came without labels")
    return batch.labels


def applied(networks: Sequence[Module], images: np.ndarray, device: str) -> np.ndarray:
    """What networks in evaluation mode make of uint8 or float images (N, C, H, W) in [-1, 1], one after the other."""

    def through(x: Tensor) -> Tensor:
        with evaluating(*networks):
            for network in networks:
                x = network(x)
            return x

    return in_chunks(through, images, device)


def rising(done: float, gamma: float = 10.0) -> float:
    """2 / (1 + exp(-gamma done)) - 1 of the share of a run that is done: from 0 to nearly 1 (Ganin et al. 2016)."""
    return 2 / (1 + math.exp(-gamma * done)) - 1


def reversed_gradient(x: Tensor, weight: Tensor | float) -> Tensor:
    """x, of which gradients are taken times -`weight` (Ganin et al. 2016): who minimises a loss of it raises it."""
    kept = x.detach()
    return kept - weight * (x - kept)


class Adaptation(Game):
    """Base of games of a classifier of features, which learns from sources with labels and from targets without.

    Batches have a `target`, a `source` and its `labels`; images of both are of one shape, and there are as many. No
    player makes images, so there are no samples.
    """

    labelled = True
    generates = False
    classifier: Module
    _shape: tuple[int, int, int] | None = None  # of an image

    def meet(self, values: Any) -> None:
        """See which shape images have."""
        if (source := getattr(values, "source", None)) is not None:
            self._shape = source.shape[1:]

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """What reads targets: logits (N, classes) of images, once it is known what these are (`meet`)."""
        if self._shape is None:
            return {}
        return {"classifier": (Sequential(self.extractors()[0], self.classifier), SourceImages(*self._shape))}

    def domains(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(sources, their labels, targets) of the batch; ShapeError if something of that is missing."""
        name, sources = type(self).__name__, getattr(batch.drawn, "source", None)
        if sources is None:
            raise ShapeError(f"{name}: expected batches with a target and a source, got a {type(batch.drawn).__name__}")
        return sources, labels_of(name, batch, sources), batch.real

    def extractors(self) -> tuple[Module, Module]:
        """What makes features of targets, and what makes those of sources, as the game stands."""
        raise NotImplementedError(f"{type(self).__name__} does not define extractors")

    def features(self, images: np.ndarray, *, as_sources: bool = False) -> np.ndarray:
        """Features (N, F) of images, uint8 or float in [-1, 1], (N, C, H, W): as of targets, or as of sources."""
        return applied((self.extractors()[as_sources],), images, self.step.device)

    def predict(self, images: np.ndarray, *, as_sources: bool = False) -> np.ndarray:
        """The class that the classifier reads in each image, int64 (N,), by the same features."""
        return applied((self.extractors()[as_sources], self.classifier), images, self.step.device).argmax(1)


class DANN(Adaptation):
    """Domain-adversarial training (Ganin et al. 2016): features F that say the class of an image and not its domain.

    C reads the class in features, D the domain: its scores are high for sources. From where they all stand,

        F minimises  CE(C(F(x)), labels) - weight L    for sources x
        C minimises  CE(C(F(x)), labels)
        D minimises  L, the loss of its scores of F(x) and of F(y) for targets y

    which is one step of one optimizer down CE + L, whose gradient is reversed between D and F. The weight is
    `adversarial` times `rising` of the share of the run that is done; until its length is told (`lasts`), as at its
    end. With `adversarial` 0 features are those of a classifier of sources, to compare with. F sees both domains in one
    batch, so that batch norm has the statistics of both.
    """

    def __init__(
        self,
        extractor: Module,
        classifier: Module,
        discriminator: Module,
        *,
        optimizer: Optimizer,
        loss: Loss = nonsaturating,
        adversarial: float = 1.0,
        **parts: Any,
    ) -> None:
        """`optimizer` moves all three players; `parts` are the seed and schedules of a Game."""
        not_negative("DANN", adversarial=adversarial)
        self.extractor, self.classifier, self.discriminator = extractor, classifier, discriminator
        self.loss, self.adversarial = loss, adversarial
        self._length = 0  # of the run, 0 if that is not known
        players = {"extractor": extractor, "classifier": classifier, "discriminator": discriminator}
        super().__init__(players, {"players": optimizer}, [Turn("players_turn")], **parts)
        dtype = str(extractor.parameters()[0].dtype)
        self._weight = full((), 0.0, dtype, self.step.device)  # where replayed turns read it

    def extractors(self) -> tuple[Module, Module]:
        """F, and F."""
        return self.extractor, self.extractor

    def lasts(self, rounds: int) -> None:
        """The run has so many rounds, over which the weight rises from now on."""
        super().lasts(rounds)
        self._length = rounds

    def weight(self) -> float:
        """How much the domain counts for F in the next round."""
        return self.adversarial * rising(min(self.rounds / self._length, 1.0) if self._length else 1.0)

    def play(self, batches: Any) -> Losses:
        """One round of the schedule, with the weight that is its."""
        self._weight.data.fill(self.weight())
        self._weight.written("DANN.play")
        return super().play(batches)

    def players_turn(self, batch: Batch) -> Losses:
        """All move at once."""
        x, labels, y = self.domains(batch)
        seen = self.extractor(ops.concatenate([x, y]))
        told = ops.cross_entropy(self.classifier(seen[: len(x)]), labels)
        real, fake = ops.split(self.discriminator(reversed_gradient(seen, self._weight)), 2)
        d_loss = self.loss.discriminator(real, fake)
        self.optimizers["players"].minimize(told + d_loss)
        shown = {"d_loss": d_loss.detach(), "d_real": self.loss.shown(real), "d_fake": self.loss.shown(fake)}
        return {**shown, "task": told.detach()}


class ADDA(Adaptation):
    """Adversarial discriminative domain adaptation (Tzeng et al. 2017): an extractor of its own for each domain.

    In the first `warm_up` rounds the extractor of sources and C learn from labels, and nobody else plays. Then they
    stand still, the extractor of targets takes over the weights of the other once, and D and it play a GAN: D minimises
    the loss of its scores of features of sources, which are the real ones, and of targets; the extractor minimises the
    loss of a generator. Both extractors are networks of one kind. Afterwards C reads targets by their own features;
    `predict(images, as_sources=True)` is what it reads without adaptation.
    """

    moved_within = True

    def __init__(
        self,
        source: Module,
        target: Module,
        classifier: Module,
        discriminator: Module,
        *,
        source_optimizer: Optimizer,
        target_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        warm_up: int,
        loss: Loss = nonsaturating,
        **parts: Any,
    ) -> None:
        """`source_optimizer` moves the extractor of sources and C; `parts` are the seed and schedules of a Game."""
        shapes = [{name: t.shape for name, t in network.state_dict().items()} for network in (source, target)]
        if shapes[0] != shapes[1]:
            raise ShapeError(f"ADDA: expected two extractors of one kind, got weights {shapes[0]} and {shapes[1]}")
        self.source, self.target, self.classifier, self.discriminator = source, target, classifier, discriminator
        self.loss, self.warm_up = loss, integer("ADDA: warm_up", warm_up, 0)
        super().__init__(
            {"source": source, "target": target, "classifier": classifier, "discriminator": discriminator},
            {"source": source_optimizer, "target": target_optimizer, "discriminator": discriminator_optimizer},
            [Turn("players_turn")],
            **parts,
        )

    def extractors(self) -> tuple[Module, Module]:
        """That of targets once it has taken over the other's weights, else the other; that of sources."""
        return self.target if self.rounds > self.warm_up else self.source, self.source

    def variant(self, turn: Turn, rounds: int) -> int:
        """1 while the classifier learns."""
        return int(rounds < self.warm_up)

    def play(self, batches: Any) -> Losses:
        """One round of the schedule; before the first that adapts, weights are taken over."""
        if self.rounds == self.warm_up:
            self.target.load_state_dict(self.source.state_dict())
        return super().play(batches)

    def players_turn(self, batch: Batch) -> Losses:
        """The classifier learns, or D moves and then the extractor of targets."""
        x, labels, y = self.domains(batch)
        if self.variant(self.schedule[0], self.rounds):
            told = ops.cross_entropy(self.classifier(self.source(x)), labels)
            self.optimizers["source"].minimize(told)
            return {"task": told.detach()}
        with evaluating(self.source):
            real = self.source(x)
        fake, critic = self.target(y), self.discriminator
        shown = scores_move(self.optimizers["discriminator"], self.loss, critic(real), critic(fake.detach()))
        g_loss = self.loss.generator(critic(fake), critic(real) if self.loss.compares else None)
        self.optimizers["target"].minimize(g_loss)
        return {**shown, "g_loss": g_loss.detach()}
