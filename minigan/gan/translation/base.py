"""What games of translators share: where sources come from, and what samples are made of."""

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ... import ops, random
from ...errors import ShapeError
from ...kernels import kernels
from ...nn import Module, evaluating, functional_call
from ...optim import EMA, Optimizer
from ...recording import no_grad
from ...tensor import Tensor
from ..game import Batch, Game, Losses, Turn
from ..latents import SourceImages
from ..losses import Loss
from .making import Making

MET = 1024  # images that samples are made of
CHUNK = 64  # images that sources are made of at a time


class Translation(Game):
    """Base of games in which a generator makes a target image of a source image.

    Batches are named tuples with a `target` and a `source`, of one scene each or of two domains; or images, of which
    `make` makes the sources: it is given them and a random stream. Samples are translations of the sources that the
    game has met, or makes of those.
    """

    itself = False  # are the images of the data the sources?

    def __init__(
        self,
        players: Mapping[str, Module],
        optimizers: Mapping[str, Optimizer],
        schedule: Sequence[Turn] = (Turn("players_turn"),),
        *,
        make: Making | None = None,
        **parts: Any,
    ) -> None:
        """`parts` are the seed, ema and schedules of a Game."""
        self.make = make
        super().__init__(players, optimizers, schedule, **parts)

    def sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(sources, targets) of the batch; ShapeError if it holds no sources, and the game makes none."""
        return sides_of(type(self).__name__, batch, self.make)

    def meet(self, values: Any) -> None:
        """Remember some of these images, or of the sources among them, to make samples of: uint8 or float in [-1, 1].

        They are drawn by chance, as data may lie in the order of their kinds.
        """
        given = values if self.make is not None or self.itself else getattr(values, "source", None)
        if isinstance(given, tuple):
            given = given[0]
        if given is None:
            raise ShapeError(f"{type(self).__name__}: expected samples with a source each, got {type(values).__name__}")
        chosen = self.stream("sources that are met").permutation(len(given))[:MET]
        self._met = np.ascontiguousarray(given[chosen])
        self.latent = SourceImages(*self.sources(1, "samples", 0).shape[1:])

    def sources(self, n: int, stream: str, at: int) -> Tensor:
        """n of the sources that the game has met, as the named random stream draws them at that step."""
        met = getattr(self, "_met", None)
        if met is None:
            raise ShapeError(f"{type(self).__name__} has met no sources to make samples of: meet(images) comes first")
        drawn = self.stream(stream).at(at)
        chosen = met[np.resize(drawn.permutation(len(met)), n)]
        images = Tensor(kernels(chosen).scaled(chosen) if chosen.dtype == np.uint8 else chosen).to(self.step.device)
        with no_grad():
            return images if self.make is None else self.make(images, drawn)

    def sources_of(self, images: Tensor) -> Tensor:
        """What the game makes of images to be sources, the same each time; the images if it makes nothing of them."""
        if self.make is None:
            return images
        drawn, starts = self.stream("sources"), range(0, max(len(images), 1), CHUNK)
        with no_grad():
            return ops.concatenate([self.make(images[k : k + CHUNK], drawn.at(k // CHUNK)) for k in starts])

    def inputs(self, n: int, stream: str, at: int) -> tuple[Tensor, ...]:
        """What the generator is given to make the n samples of the named random stream at that step: sources."""
        return (self.sources(n, stream, at),)

    def translate(self, images: Tensor, at: int = 0) -> Tensor:
        """What the generator makes of sources, by averaged weights if it has some.

        If it is fed with noise too, or drops some of what it makes: for the noise that is drawn at that step.
        """
        return self.translated(self.sampling_network(), images, self.sampling_average(), at)

    def translated(self, network: Module, images: Tensor, average: EMA | None = None, at: int = 0) -> Tensor:
        """What a player makes of images, with the statistics of batch norm that run, and these averaged weights."""
        weights = {} if average is None else average.shadow
        with evaluating(network), random.using(self.stream("generated").at(at)):
            return functional_call(network, weights, images.to(self.step.device))


def sides_of(name: str, batch: Batch, make: Making | None) -> tuple[Tensor, Tensor]:
    """(sources, targets) of the batch of that game; ShapeError if it holds no sources, and nothing makes them."""
    if make is not None:
        with no_grad():
            return make(batch.real, batch.rng), batch.real
    source = getattr(batch.drawn, "source", None)
    if source is None:
        raise ShapeError(
            f"{name}: expected batches with a target and a source each, got a {type(batch.drawn).__name__}; "
            "or tell the game how to `make` sources of images"
        )
    return source, batch.real


def refuse_comparing(name: str, loss: Loss) -> None:
    """ShapeError, which begins with the game's name, for a loss of fakes and real samples together."""
    if loss.compares:
        raise ShapeError(f"{name}: {loss.name} compares fakes with real samples, and here fakes are scored alone")


def scores_move(optimizer: Optimizer, loss: Loss, real: Tensor, fake: Tensor, weight: float = 1.0) -> Losses:
    """A step of a discriminator down so many times its loss of these scores, and what the log shows of it."""
    return all_scores_move(optimizer, loss, {"": (real, fake)}, weight)


def all_scores_move(
    optimizer: Optimizer,
    loss: Loss,
    scores: Mapping[str, tuple[Tensor, Tensor]],
    weight: float = 1.0,
    penalties: Sequence[Tensor] = (),
) -> Losses:
    """A step of several discriminators, of which each gave a pair of scores, down so many times their losses' sum.

    And down the sum of the penalties. The log shows the scores of one called "" as `d_real` and `d_fake`, of one called
    "source" as `d_real_source` and `d_fake_source`.
    """
    d_loss = sum_of([*(weight * loss.discriminator(real, fake) for real, fake in scores.values()), *penalties])
    optimizer.minimize(d_loss)
    shown: Losses = {"d_loss": d_loss.detach()}
    for name, pair in scores.items():
        for side, of_side in zip(("d_real", "d_fake"), pair, strict=True):
            shown[f"{side}_{name}" if name else side] = loss.shown(of_side)
    return shown


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Of at least one term of a loss."""
    return reduce(operator.add, terms)
