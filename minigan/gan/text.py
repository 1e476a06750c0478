"""Images of texts: both players are told a caption, and D has to see whether it fits the image (Reed et al. 2016)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops, processes
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..nn import Module
from ..nn.checks import integer, not_negative, number
from ..optim import Optimizer
from ..recording import no_grad
from ..tensor import Tensor, tensor
from .doubts import doubts
from .game import Batch, Game, Losses, Turn
from .latents import Latent
from .losses import Loss, nonsaturating
from .score import alternate

MET = 256  # captions that samples are made of


class TextGame(Game):
    """G(z, t) draws what a text says, D(x, t) scores whether x is a real image of it: GAN-CLS.

    Batches are named tuples of images x and their `captions` t, tokens (N, L). Let t' be another caption of the batch,
    and d(real, fake) D's loss of scores. D minimises

        (1 - mismatch) d(D(x, t), D(G(z, t), t)) + mismatch d(D(x, t), D(x, t')),

    which with the paper's `mismatch` of 1/2 is algorithm 1, log(s_r) + (log(1 - s_w) + log(1 - s_f)) / 2 of its scores.
    The t' of an image is the next caption in the batch that differs from its own; where all are the same, there is
    nothing to be told apart, and the mismatch is 0. G minimises the loss of D(G(z, t), t) + `interpolate` times that of
    D(G(z, m), m), m half way between the features of t and t' (GAN-INT, equation 5; paper: 1).

    D gives scores for each of several texts of an image: D(x, t, t') is a pair. For `interpolate` both players have a
    part `text`, which makes features of tokens, and are told features as they are told tokens. `words` are what tokens
    1, 2, ... stand for, if a generator file is to know it. A `penalty` is on D's slopes at images with captions of
    their own; with `penalty_every` it is there in some rounds alone, so many times as much, as in a ScoreGame.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        latent: Latent,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        mismatch: float = 0.5,
        interpolate: float = 0.0,
        penalty: Callable[..., Tensor] | None = None,
        penalty_weight: float = 10.0,
        penalty_every: int = 1,
        d_steps: int = 1,
        words: Sequence[str] = (),
        **parts: Any,
    ) -> None:
        """`parts` are the seed, ema and schedules of a Game."""
        number("TextGame: mismatch", mismatch, least=0, below=1)
        not_negative("TextGame", interpolate=interpolate, penalty_weight=penalty_weight)
        integer("TextGame: penalty_every", penalty_every, 1)
        if loss.compares:
            raise ShapeError(f"TextGame: {loss.name} compares fakes with real samples, which are here of several texts")
        self.generator, self.discriminator = generator, discriminator
        self.latent, self.loss, self.words = latent, loss, tuple(words)
        self.mismatch, self.interpolate = mismatch, interpolate
        self.penalty, self.penalty_weight, self.penalty_every = penalty, penalty_weight, penalty_every
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            alternate(d_steps=d_steps),
            **parts,
        )

    def variant(self, turn: Turn, rounds: int) -> int:
        """1 in rounds that leave D's penalty out."""
        return int(turn.name == "discriminator_turn" and self._leaves_out_penalty(rounds))

    def _leaves_out_penalty(self, rounds: int) -> bool:
        return self.penalty is not None and rounds % self.penalty_every != 0

    def discriminator_turn(self, batch: Batch) -> Losses:
        """D tells real images with their captions from drawn ones, and from real ones with captions of others."""
        x, right = batch.real, self.captions(batch)
        with no_grad():
            fake = self.generator(self.noise(batch), right)
        of_fake = self.discriminator(fake, right)
        shown: Losses = {}
        if self.mismatch:
            wrong, differs = other_captions(right, x)
            of_real, of_wrong = self.discriminator(x, right, wrong)
            share = self.mismatch * differs
            loss = (1 - share) * self.loss.discriminator(of_real, of_fake)
            loss = loss + share * self.loss.discriminator(of_real, of_wrong)
            shown["d_wrong"] = self.loss.shown(of_wrong)
        else:
            of_real = self.discriminator(x, right)
            loss = self.loss.discriminator(of_real, of_fake)
        if self.penalty is not None and not self._leaves_out_penalty(self.rounds):
            penalty = self.penalty(lambda images: self.discriminator(images, right), x, fake, rng=batch.rng)
            loss = loss + self.penalty_every * self.penalty_weight * penalty
            shown["penalty"] = penalty.detach()
        self.optimizers["discriminator"].minimize(loss)
        scores = {"d_real": self.loss.shown(of_real), "d_fake": self.loss.shown(of_fake)}
        return {"d_loss": loss.detach(), **scores, **shown}

    def generator_turn(self, batch: Batch) -> Losses:
        """G draws what captions say, and what lies half way between two of them."""
        right, z = self.captions(batch), self.noise(batch)
        of_captions = self.loss.generator(self.discriminator(self.generator(z, right), right))
        loss, shown = of_captions, {"g_loss": of_captions.detach()}
        if self.interpolate:
            wrong, _ = other_captions(right, batch.real)
            drawn = self.generator(z, _between(self.generator, right, wrong))
            between = self.loss.generator(self.discriminator(drawn, _between(self.discriminator, right, wrong)))
            loss = loss + self.interpolate * between
            shown["between"] = between.detach()
        self.optimizers["generator"].minimize(loss)
        self.average()
        return shown

    def captions(self, batch: Batch) -> Tensor:
        """The captions of the batch; ShapeError if it came without."""
        found = getattr(batch.drawn, "captions", None)
        if found is None:
            raise ShapeError(
                f"TextGame: expected batches of images and their captions, got a {type(batch.drawn).__name__}"
            )
        return found

    def meet(self, values: Any) -> None:
        """Remember some of the captions, drawn by chance, to make samples of; ShapeError if there are none."""
        captions = getattr(values, "captions", None)
        if captions is None:
            raise ShapeError(f"TextGame: expected samples with captions, got {type(values).__name__}")
        self._met = captions[self.stream("captions that are met").permutation(len(captions))[:MET]]

    @property
    def met(self) -> np.ndarray:
        """The captions that samples are made of, int64 (n, L); ShapeError if the game has met none."""
        if not hasattr(self, "_met"):
            raise ShapeError("TextGame has met no captions to make samples of: meet(samples) comes first")
        return self._met

    def inputs(self, n: int, stream: str, at: int) -> tuple[Tensor, ...]:
        """Noise (n, dim), and captions (n, L) out of those that the game has met."""
        chosen = self.stream(f"captions of {stream}").at(at).integers(len(self.met), n, "cpu")
        return *super().inputs(n, stream, at), tensor(self.met[chosen])

    def doubts(self) -> list[str]:
        """A loss without a bound whose discriminator nothing limits; a penalty on samples that batch norm mixes."""
        limited = bool(self.penalty and self.penalty_weight)
        return doubts(self.loss, self.discriminator, penalised=self.penalty is not None, limited=limited)

    def couples(self) -> list[str]:
        """What makes a sample's share of a loss depend on the others: their captions, beside what layers do."""
        others = ["the captions of others"] if self.mismatch or self.interpolate else []
        return [*super().couples(), *others]


def other_captions(captions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """(for each row of captions (N, L) the next one that differs from it, after the last the first; 1 if any does).

    The second is a 0-d tensor of the type of `like`, 0 if all captions are the same: then each is given its own. The
    rows are those of the whole batch, whoever computes it.
    """
    everyone = ops.all_gather(captions).data
    part = processes.part()
    found = made(_next_that_differs, everyone, part)
    return Tensor(found), Tensor(made(_any_differs, everyone, like.dtype.name))


def _next_that_differs(captions: Array, part: processes.Part) -> Array:
    lib, n = xp(captions), len(captions)
    rows = lib.arange(n)
    differ = (captions[:, None] != captions).any(2)
    ahead = (rows[:, None] + rows) % n
    steps = lib.take_along_axis(differ, ahead, 1).argmax(1)
    return lib.ascontiguousarray(part.take(captions[(rows + steps) % n]))


def _any_differs(captions: Array, dtype: str) -> Array:
    return xp(captions).asarray((captions != captions[:1]).any(), dtype)


def _between(player: Any, first: Tensor, second: Tensor) -> Tensor:
    """Half way between the features that a player's `text` makes of two texts."""
    return 0.5 * (player.text(first) + player.text(second))
