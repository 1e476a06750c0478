"""What both players of a game of scores minimise, with all that is added to it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import ops
from ..nn import Module
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from . import cutmix, decoding
from .answers import Answer, parted, split
from .best import best
from .game import Game, Losses
from .losses import Loss
from .path_lengths import Paths
from .regularisers import Anchors, Regularisers, Term, compared, of_generator
from .slicing import direction_loss
from .switches import Moves, Sight
from .view import View

Sampler = Callable[[Tensor], Tensor]  # noise to samples
Critic = Callable[[Tensor], Any]  # samples to scores, or to (scores, what else it reads from them)


class Sides(NamedTuple):
    """What a turn compares: real samples and fakes, what the fakes were made for, if the discriminator reads it.

    And fakes of noise that is near to theirs, if it is to score them alike; how far their noise was moved for D.
    """

    real: Tensor
    fake: Tensor
    asked: Tensor | None
    near: Tensor | None = None
    moved: Tensor | None = None


class Objectives(Game):
    """Base of `ScoreGame`, which makes its parts and says who moves when."""

    generator: Module
    discriminator: Module
    loss: Loss
    penalty: Callable[..., Tensor] | None
    penalty_weight: float
    penalty_every: int
    moves: Moves
    regularisers: Regularisers
    view: View
    anchors: Anchors | None
    paths: Paths | None
    decoders: Any
    sliced: bool

    @property
    def sight(self) -> Sight:
        """What the discriminator sees of samples."""
        return self.view.sight

    def of_readings(self, asked: Tensor, fake: Any, real: Any = None) -> tuple[Tensor, Losses]:
        """(what is added to a loss for what was read from fakes, and from real samples; what the log shows of it).

        In the generator's turn there is no reading of real samples, and nothing to show.
        """
        raise NotImplementedError(f"{type(self).__name__} asks for something, and does not define of_readings")

    def _leaves_out_penalty(self, rounds: int) -> bool:
        """Is there a penalty, but none in the round after so many?"""
        return self.penalty is not None and rounds % self.penalty_every != 0

    def _leaves_out_paths(self, rounds: int) -> bool:
        """Likewise of path lengths."""
        return self.paths is not None and rounds % self.paths.weights.every != 0

    def _discriminator_loss(
        self, critic: Critic, sides: Sides, rng: Stream, imagined: bool = False
    ) -> tuple[Tensor, Losses]:
        """The discriminator's loss with what is added to it, and what the log shows of it.

        In a step that is only imagined nothing is learnt from the scores beside the weights.
        """
        real, fake = self.view.seen(sides.real, rng), self.view.seen(sides.fake, rng)
        answers = self._answers(critic, real, fake)
        (_, real_reading), (_, fake_reading) = answers
        loss, of_regularisers = self._regularised(self._of_scores(answers), critic, sides, real, answers, rng, imagined)
        loss, shown = self._penalised(loss, critic, real, fake, answers, rng)
        shown |= of_regularisers
        if sides.moved is not None:
            loss = loss + self.moves.latent_cost * sides.moved
            shown["latent_move"] = sides.moved.detach()
        if sides.asked is not None:
            added, of_them = self.of_readings(sides.asked, fake_reading, real_reading)
            return loss + added, shown | of_them
        return loss, shown

    def _penalised(
        self, loss: Tensor, critic: Critic, real: Tensor, fake: Tensor, answers: Sequence[Answer], rng: Stream
    ) -> tuple[Tensor, Losses]:
        """The discriminator's loss with its penalty, if this round has one, and what the log shows of both."""
        (real_scores, real_reading), (fake_scores, _) = answers
        shown = {"d_real": self.loss.shown(real_scores), "d_fake": self.loss.shown(fake_scores)}
        if self.penalty is None or self._leaves_out_penalty(self.rounds):
            return loss, shown
        scores = critic if real_reading is None else lambda x: split(critic(x))[0]
        penalty = self.penalty(scores, real, fake, rng=rng)
        shown["penalty"] = penalty.detach()
        return loss + self.penalty_every * self.penalty_weight * penalty, shown

    def _regularised(
        self,
        loss: Tensor,
        critic: Critic,
        sides: Sides,
        seen: Tensor,
        answers: Sequence[Answer],
        rng: Stream,
        imagined: bool = False,
    ) -> tuple[Tensor, Losses]:
        """The discriminator's loss with what its regularisers add, and what the log shows of them.

        `seen` are the real samples as it saw them.
        """
        (real, reading), (fake, _) = answers
        weights, terms = self.regularisers, []
        shown: Losses = {}
        score = partial(self._scores, critic, rng=rng)
        if weights.cutmix:
            loss, shown = self._cut_together(loss, cutmix.Cut(sides[:2], (real, fake), score, rng), rng)
        if weights.drift:
            terms.append(Term("drift", weights.drift, ops.mean_of(real, ops.square)))
        if self.view.adaptive is not None and not imagined:
            shown["augment_p"] = self.view.adaptive.learn(real, len(sides.real))
        if self.anchors is not None:
            if not imagined:
                self.anchors.move(real, fake)
            terms.append(Term("lecam", weights.lecam, self.anchors.penalty(real, fake)))
        if weights.compares:
            terms += compared(weights, sides[:2], sides.near, (real, fake), score, rng)
        if self.decoders is not None:
            error = decoding.reconstruction_error(self.decoders, seen, reading, rng)
            terms.append(Term("reconstruction", weights.reconstruction, error))
        for name, weight, value in terms:
            loss = loss + weight * value
            shown[name] = value.detach()
        return loss, shown

    def _cut_together(self, loss: Tensor, cut: cutmix.Cut, rng: Stream) -> tuple[Tensor, Losses]:
        """The discriminator's loss where in some steps it learns from images cut together, and what the log shows."""
        weights, consistency = self.regularisers, cut.consistency()
        shown = {"cutmix": consistency.detach()}
        if not weights.cutmix_share:
            return loss + weights.cutmix * consistency, shown
        of_cut = cut.loss(self.loss.discriminator)
        now = cutmix.now(weights.cutmix_share, weights.cutmix_steps, self.step, loss, rng)
        return (1 - now) * loss + now * (of_cut + weights.cutmix * consistency), {"cut": of_cut.detach(), **shown}

    def _scores(self, critic: Critic, samples: Tensor, rng: Stream) -> Tensor:
        """The discriminator's scores of samples, as it sees them."""
        return split(critic(self.view.seen(samples, rng)))[0]

    def _answers(self, critic: Critic, real: Tensor, fake: Tensor) -> list[Answer]:
        """(scores, reading) of real samples and of fakes."""
        if not self.sight.joint_batches:
            return [split(critic(real)), split(critic(fake))]
        return parted(critic(ops.concatenate([real, fake])), len(real))

    def _of_scores(self, answers: Sequence[Answer]) -> Tensor:
        """The discriminator's own loss, and that of its last layer's direction, if it has one."""
        (real, _), (fake, _) = answers
        loss = self.loss.discriminator(real, fake)
        return loss + direction_loss(self.loss, *answers) if self.sliced else loss

    def _generator_loss(self, critic: Critic, sides: Sides, rng: Stream, critic_moves: bool) -> Tensor:
        """What the generator minimises; real scores are constants for it, unless the critic itself depends on it.

        Against an unrolled critic, which has learnt from the fakes, they count in a game of opposites too: its value is
        what Metz et al. 2017 differentiate, equation 7.
        """
        fake_scores, reading = split(critic(self.view.seen(sides.fake, rng)))
        opposites = self.loss.zero_sum and bool(self.moves.unroll)
        real_scores = None
        if opposites or (self.loss.compares and critic_moves):
            real_scores = self._scores(critic, sides.real, rng)
        elif self.loss.compares:
            with no_grad():
                real_scores = self._scores(critic, sides.real, rng)
        loss = self._best_of(self._of_opposites if opposites else self.loss.generator, fake_scores, real_scores)
        if sides.moved is not None:
            loss = loss + self.moves.latent_cost * sides.moved
        own = of_generator(self.regularisers, self.generator, sides.fake, sides.near)
        loss = loss if own is None else loss + own
        return loss if sides.asked is None else loss + self.of_readings(sides.asked, reading)[0]

    def _smoothed(self, loss: Tensor, sides: Sides, rng: Stream) -> tuple[Tensor, Losses]:
        """The generator's loss with path lengths, if this round measures them, and what the log shows of them."""
        if self.paths is None or self._leaves_out_paths(self.rounds):
            return loss, {}
        added, length = self.paths.term(len(sides.fake), rng)
        return loss + added, {"path_length": length}

    def _of_opposites(self, fake: Tensor, real: Tensor) -> Tensor:
        """What the generator minimises in a game of opposites, with the part that real scores alone decide."""
        return -self.loss.discriminator(real, fake)

    def _best_of(self, objective: Callable[..., Tensor], fake: Tensor, real: Tensor | None) -> Tensor:
        """The generator's objective of scores of fakes, or of the best of them."""
        top_k, steps = self.moves.top_k, self.moves.top_k_steps
        if top_k == 1:
            return objective(fake, real)
        return best(fake, self.step.data, top_k, steps, self.loss.lower).mean(objective, fake, real, self.loss.compares)
