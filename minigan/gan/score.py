"""Two players and a loss of scores: the game of nearly every GAN, with its parts to choose from."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from .. import ops
from ..errors import ShapeError
from ..grad import grad
from ..nn import Module, functional_call
from ..nn.checks import integer, not_negative
from ..optim import EMA, Optimizer, Schedule
from ..random import Stream
from ..recording import no_grad
from ..system.once import alike
from ..tensor import Tensor
from . import decoding, latent_steps, one_pass
from .doubts import doubts
from .game import Batch, Losses, State, Turn
from .latents import Latent
from .losses import Loss
from .objectives import Critic, Objectives, Sampler, Sides
from .path_lengths import PathLengths, Paths
from .penalties import COUPLING, clip_weights, limit_lengths
from .regularisers import Anchors, Regularisers, of_generator
from .slicing import is_sliced
from .switches import Moves, Sight, check_together, refuse_unsuited
from .view import View


def alternate(d_steps: int = 1, g_steps: int = 1) -> list[Turn]:
    """The usual schedule: d_steps discriminator turns on fresh batches, then g_steps generator turns, fresh noise."""
    if d_steps < 1 or g_steps < 1:
        raise ShapeError(f"alternate: expected at least one turn each, got {d_steps} and {g_steps}")
    return [Turn("discriminator_turn")] * d_steps + [Turn("generator_turn", fresh_batch=False)] * g_steps


class ScoreGame(Objectives):
    """Two players and a score loss: the discriminator scores samples, the generator wants its own scored as real.

    `penalty(critic, real, fake, rng=...)` is added to the discriminator's loss with weight `penalty_weight`; or, which
    costs less and changes little, only in every `penalty_every`-th round, so many times as much (Karras et al. 2020,
    appendix B, lazy regularisation). There it takes an Adam step of its own, for which the rate and, as exponents, the
    betas are scaled by k / (k + 1); here, as that of `path_lengths`, it shares the loss's step: nothing to correct.

    `sight` is what the discriminator sees, `moves` how both move, `regularisers` what else is added to their losses,
    `path_lengths` to that of a generator of styles. A discriminator may give (scores, reading) instead of scores: a
    game that asks its fakes for something says with `of_readings` what was read is worth.

    Both players move at once in the turns "simultaneous_turn" and "one_pass_turn", which are the same moves: the latter
    is faster, and for a discriminator that scores samples one by one (ShapeError if it holds batch norm, say).
    """

    one_by_one = False  # has each sample a label or code of its own? Then what is switches.UNSUITED is refused

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        loss: Loss,
        latent: Latent,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        schedule: Sequence[Turn] | None = None,
        penalty: Callable[..., Tensor] | None = None,
        penalty_weight: float = 10.0,
        penalty_every: int = 1,
        sight: Sight | None = None,
        moves: Moves | None = None,
        regularisers: Regularisers | None = None,
        path_lengths: PathLengths | None = None,
        seed: int = 0,
        ema: EMA | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        not_negative(type(self).__name__, penalty_weight=penalty_weight)
        integer(f"{type(self).__name__}: penalty_every", penalty_every, 1)
        sight, moves, regularisers = sight or Sight(), moves or Moves(), regularisers or Regularisers()
        if self.one_by_one:
            refuse_unsuited(type(self).__name__, sight, moves, path_lengths)
        if ema is not None and ema.module is not generator:
            raise ShapeError(f"{type(self).__name__}: the averaged weights are not the generator's")
        if schedule is None:
            schedule = [Turn("simultaneous_turn")] if moves.consensus else alternate()
        turns = {turn.name for turn in schedule}
        if "one_pass_turn" in turns:
            one_pass.check_one_by_one(discriminator)
        check_together(loss, sight, moves, regularisers, path_lengths, turns)
        self.sliced = is_sliced(discriminator, loss, reads=type(self).asked is not ScoreGame.asked)
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.latent = latent
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.penalty_every = penalty_every
        self.moves = moves
        self.regularisers = regularisers
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            schedule,
            seed=seed,
            ema=ema,
            schedules=schedules,
        )
        weight = discriminator.parameters()[0]
        self.view = View(sight, loss, weight, self.step, partial(self.sample, 1))
        remembered = regularisers.lecam_decay, loss.lower, weight, self.step, regularisers.lecam_after
        self.anchors = Anchors(*remembered) if regularisers.lecam else None
        self.paths = None if path_lengths is None else Paths(path_lengths, generator, latent)
        self.decoders = decoding.decoders_of(discriminator) if regularisers.reconstruction else None

    @property
    def state(self) -> State:
        """Every tensor of the game by name, sharing memory with it."""
        anchors = {} if self.anchors is None else self.anchors.state_dict("lecam.")
        paths = {} if self.paths is None else self.paths.state_dict("path_lengths.")
        return super().state | self.view.state_dict() | anchors | paths

    def variant(self, turn: Turn, rounds: int) -> int:
        """1 in rounds that leave the penalty out, and 2 more where path lengths are; 0 if the turn has neither.

        A generator's turn has a penalty if it imagines turns of D, a discriminator's no path lengths.
        """
        penalised = turn.name != "generator_turn" or self.moves.unroll > 0
        no_penalty = penalised and self._leaves_out_penalty(rounds)
        no_paths = turn.name != "discriminator_turn" and self._leaves_out_paths(rounds)
        return no_penalty + 2 * no_paths

    def doubts(self) -> list[str]:
        """A loss without a bound whose discriminator nothing limits; a penalty on samples that batch norm mixes."""
        limited = bool((self.penalty and self.penalty_weight) or self.moves.clip or self.moves.max_norm)
        return doubts(self.loss, self.discriminator, penalised=self.penalty is not None, limited=limited)

    def discriminator_turn(self, batch: Batch) -> Losses:
        """The discriminator moves; the generator only samples, and leaves no graph, unless D moves its noise."""
        generator, critic = self.as_functions(batch)
        with contextlib.nullcontext() if self.moves.latent_optimisation else no_grad():
            sides = self._sides(generator, critic, batch)
        return self._move_discriminator(critic, sides, batch.rng)

    def generator_turn(self, batch: Batch) -> Losses:
        """The generator moves, through the discriminator as it stands, or as it would be some steps later."""
        generator, critic = self.as_functions(batch)
        sides = self._sides(generator, critic, batch, deceive=self.moves.unroll > 0)
        return self._move_generator(critic, sides, batch.rng)

    def simultaneous_turn(self, batch: Batch) -> Losses:
        """Both players move at once, each down its own loss; with `consensus` also towards where neither would move."""
        d_optimizer, g_optimizer = self.optimizers["discriminator"], self.optimizers["generator"]
        field, shown = self.joint_gradient(batch, create_graph=bool(self.moves.consensus))
        if self.moves.consensus:
            length = ops.sum(ops.stack([ops.sum(ops.square(v)) for v in field]))
            pull = ops.averaged(grad(length, [*d_optimizer.params, *g_optimizer.params]))
            field = [v.detach() + 0.5 * self.moves.consensus * p for v, p in zip(field, pull, strict=True)]
            shown["joint_gradient"] = ops.sqrt(length.detach())
        d_optimizer.step(field[: len(d_optimizer.params)])
        self._limit_weights()
        g_optimizer.step(field[len(d_optimizer.params) :])
        self.average()
        return shown

    def joint_gradient(self, batch: Batch, *, create_graph: bool = False) -> tuple[list[Tensor], Losses]:
        """(the gradient of each player's own loss with respect to its parameters, the discriminator's first; losses).

        Those parameters are the optimizers'. With `create_graph` it can be differentiated. Nobody moves.
        """
        generator, critic = self.as_functions(batch)
        sides = self._sides(generator, critic, batch)
        d_loss, shown = self._discriminator_loss(critic, sides, batch.rng)
        g_loss, of_paths = self._smoothed(self._generator_loss(critic, sides, batch.rng, True), sides, batch.rng)
        losses = {"discriminator": d_loss, "generator": g_loss}
        slopes = [
            slope
            for name, loss in losses.items()
            for slope in grad(loss, self.optimizers[name].params, create_graph=create_graph)
        ]
        told = {"d_loss": d_loss.detach(), "g_loss": g_loss.detach(), **shown, **of_paths}
        return ops.averaged(slopes), told

    def one_pass_turn(self, batch: Batch) -> Losses:
        """The moves of `simultaneous_turn`, by one pass of the discriminator (`gan/one_pass.py`).

        What is drawn in that pass, instance noise say, is then the same for both players.
        """
        generator, critic = self.as_functions(batch)
        sides = self._sides(generator, critic, batch)
        if sides.asked is not None:
            raise ShapeError(
                f"one_pass_turn: {type(self).__name__} adds to both losses what is read from fakes, beside scores"
            )
        real, fake = self.view.seen(sides.real, batch.rng), self.view.seen(sides.fake, batch.rng)
        leaf = fake.detach()
        answers = self._answers(critic, real, leaf)
        (real_scores, _), (fake_scores, _) = answers
        one_pass.check_single_scores(fake_scores, leaf)
        d_loss = self._of_scores(answers)
        d_loss, of_regularisers = self._regularised(d_loss, critic, sides, real, answers, batch.rng)
        g_loss = self._best_of(self.loss.generator, fake_scores, real_scores)
        added, factor = one_pass.factors(grad(d_loss, fake_scores), grad(g_loss, fake_scores))
        d_loss, shown = self._penalised(d_loss, critic, real, leaf.detach(), answers, batch.rng)
        d_optimizer, g_optimizer = self.optimizers["discriminator"], self.optimizers["generator"]
        *d_grads, slopes = grad(d_loss + ops.sum(added * fake_scores), [*d_optimizer.params, leaf])
        g_grads = grad(fake, g_optimizer.params, one_pass.scaled(slopes, factor))
        if (own := of_generator(self.regularisers, self.generator, sides.fake, sides.near)) is not None:
            g_loss, more = g_loss + own, grad(own, g_optimizer.params)
            g_grads = [a + b for a, b in zip(g_grads, more, strict=True)]
        grads = ops.averaged([*d_grads, *g_grads])
        d_optimizer.step(grads[: len(d_grads)])
        self._limit_weights()
        g_optimizer.step(grads[len(d_grads) :])
        self.average()
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach(), **shown, **of_regularisers}

    def shared_turn(self, batch: Batch) -> Losses:
        """The discriminator moves, then the generator against it as it is now, on the same fakes, which are made once.

        The same moves as of a discriminator_turn and a generator_turn on its batch and noise, for two thirds of what
        the generator costs.
        """
        generator, critic = self.as_functions(batch)
        sides = self._sides(generator, critic, batch)
        of_discriminator = self._move_discriminator(critic, sides._replace(fake=sides.fake.detach()), batch.rng)
        return of_discriminator | self._move_generator(critic, sides, batch.rng)

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """The generator as a function of noise, the discriminator as one of samples: told what else there is to know.

        Here nothing, so they are the players themselves; a game with labels tells them the batch's.
        """
        return self.generator, self.discriminator

    def asked(self, batch: Batch, z: Tensor) -> Tensor | None:
        """What fakes made of z are made for, and the discriminator should read from them; here nothing."""
        return None

    def _move_discriminator(self, critic: Critic, sides: Sides, rng: Stream) -> Losses:
        """A step of the discriminator on samples and fakes that leave no graph, or earlier ones; what the log shows."""
        if self.view.pool is not None:
            sides = sides._replace(fake=self.view.pool.mix(sides.fake, rng))
        loss, shown = self._discriminator_loss(critic, sides, rng)
        self.optimizers["discriminator"].minimize(loss)
        self._limit_weights()
        return {"d_loss": loss.detach(), **shown}

    def _move_generator(self, critic: Critic, sides: Sides, rng: Stream) -> Losses:
        """A step of the generator, through the critic or what it would be some steps later; what the log shows."""
        if self.moves.unroll:
            critic = self._unrolled(sides, rng)
        loss = self._generator_loss(critic, sides, rng, bool(self.moves.unroll))
        loss, shown = self._smoothed(loss, sides, rng)
        self.optimizers["generator"].minimize(loss)
        self.average()
        return {"g_loss": loss.detach(), **shown}

    def _sides(self, generator: Sampler, critic: Critic, batch: Batch, deceive: bool = True) -> Sides:
        """The batch's real samples and fakes of its noise; with `deceive` some are among the former, if ever.

        Fakes of noise that has moved, or is near, differ by that alone: what the generator draws itself is the same.
        """
        z, moved, moves = self.noise(batch), None, self.moves
        sampled = alike(generator)
        if moves.latent_optimisation:
            upwards = -1.0 if self.loss.lower else 1.0
            z, moved = latent_steps.moved(
                z,
                lambda z: upwards * self._scores(critic, sampled(z), batch.rng),
                *(self.latent, moves.latent_optimisation, moves.latent_damping),
            )
        fake, near = sampled(z), None
        if self.regularisers.latent_consistency:
            step = batch.rng.normal(z.shape, 0.0, self.regularisers.latent_step, z.dtype, z.device)
            near = sampled(z + Tensor(step))
        real = self.view.prepared(batch.real)
        if self.view.adaptive is not None and self.sight.pseudo and deceive:
            with no_grad():
                others = generator(self.latent(len(z), batch.rng).to(real.device))
            real = self.view.adaptive.deceiving(real, others, batch.rng)
        return Sides(real, fake, self.asked(batch, z), near, moved)

    def _unrolled(self, sides: Sides, rng: Stream) -> Critic:
        """The discriminator after `unroll` steps that it would take now, as a function of the generator's weights."""
        optimizer = self.optimizers["discriminator"]
        params, slots, t = optimizer.params, optimizer.slots, optimizer.t
        named = {id(p): name for name, p in self.discriminator.named_parameters()}
        names = [named[id(p)] for p in params]  # some may not move

        def critic(params: Sequence[Tensor]) -> Critic:
            return partial(functional_call, self.discriminator, dict(zip(names, params, strict=True)))

        for k in range(self.moves.unroll):
            loss, _ = self._discriminator_loss(critic(params), sides, rng, True)
            grads = ops.averaged(grad(loss, params, create_graph=True))
            params, slots = optimizer.functional_step(params, grads, slots, t + k + 1)
            if self.moves.clip is not None:
                params = [ops.clip(p, -self.moves.clip, self.moves.clip) for p in params]
        return critic(params)

    def _limit_weights(self) -> None:
        """What holds the discriminator's weights after it has moved."""
        params = self.optimizers["discriminator"].params
        if self.moves.clip is not None:
            self.after_step(partial(clip_weights, params, self.moves.clip))
        if self.moves.max_norm is not None:
            self.after_step(partial(limit_lengths, params, self.moves.max_norm))

    def couples(self) -> list[str]:
        """What makes a sample's share of a loss depend on the others: layers, the loss, the penalty, switches."""
        penalty = getattr(self.penalty, "__name__", "")
        found = {
            f"the {self.loss.name} loss": self.loss.couples,
            f"the penalty {penalty}": penalty in COUPLING,
            "the weights of san": self.sliced,
            "replay": self.sight.replay,
            "the probability of ada or pseudo": self.sight.adaptive,
            "the averages of lecam": self.regularisers.lecam,
            "the average of path lengths": self.paths is not None,
            "top_k": self.moves.top_k < 1,
            "unroll": self.moves.unroll,
            "consensus": self.moves.consensus,
            "a shared_turn, in which one moves before the other": any(t.name == "shared_turn" for t in self.schedule),
        }
        return [*super().couples(), *(what for what, is_so in found.items() if is_so)]
