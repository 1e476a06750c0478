"""Two players and a loss of scores: the game of nearly every GAN, with its parts to choose from."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import ops, random
from ..errors import ShapeError
from ..grad import grad
from ..nn import Module, evaluating, functional_call
from ..op import no_grad
from ..optim import EMA, Optimizer, Schedule
from ..random import Stream
from ..tensor import Tensor
from .dynamics import Pool, packed
from .game import Batch, Game, Losses, State, Turn
from .latents import Latent
from .losses import Loss
from .penalties import Critic, clip_weights, limit_lengths


def alternate(d_steps: int = 1, g_steps: int = 1) -> list[Turn]:
    """The usual schedule: d_steps discriminator turns on fresh batches, then g_steps generator turns, fresh noise."""
    if d_steps < 1 or g_steps < 1:
        raise ShapeError(f"alternate: expected at least one turn each, got {d_steps} and {g_steps}")
    return [Turn("discriminator_turn")] * d_steps + [Turn("generator_turn", fresh_batch=False)] * g_steps


class ScoreGame(Game):
    """Two players and a score loss: the discriminator scores samples, the generator wants its own scored as real.

    `penalty(critic, real, fake, rng=...)` is added to the discriminator's loss with weight `penalty_weight`;
    with `clip` its parameters are limited to [-clip, clip] after each of its steps, with `max_norm` the lengths of its
    units' weights. Each of these is a switch, and
    goes with every loss and penalty:

    - `pack`: the discriminator sees so many samples at once, one behind the other in their channels (Lin et al. 2018);
    - `unroll`: the generator's gradient runs through so many imagined steps of the discriminator (Metz et al. 2017);
    - `consensus`: both players also descend consensus / 2 times the squared length of their joint gradient, moving at
      once (Mescheder et al. 2017); that is the turn "simultaneous_turn", and the schedule if none is given;
    - `instance_noise`: the discriminator sees samples + N(0, this^2), falling linearly to 0 over `noise_steps` rounds
      if they are given (Sonderby et al. 2017);
    - `replay`: half of the fakes that the discriminator learns from are drawn from so many earlier ones (Shrivastava
      et al. 2017);
    - `joint_batches`: real samples and fakes pass through the discriminator as one batch, and share the statistics
      of its batch norm;
    - `prepare`: a function of the real samples, where they are to lie in another range than [-1, 1].
    """

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
        clip: float | None = None,
        max_norm: float | None = None,
        pack: int = 1,
        unroll: int = 0,
        consensus: float = 0.0,
        instance_noise: float = 0.0,
        noise_steps: int | None = None,
        replay: int = 0,
        joint_batches: bool = False,
        prepare: Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
        ema: EMA | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        if schedule is None:
            schedule = [Turn("simultaneous_turn")] if consensus else alternate()
        moves_at_once = any(turn.name == "simultaneous_turn" for turn in schedule)
        if consensus and not moves_at_once:
            raise ShapeError(f"ScoreGame: consensus {consensus} needs a simultaneous_turn, got {list(schedule)}")
        if moves_at_once and (unroll or replay):
            raise ShapeError(
                f"ScoreGame: players that move at once see each other as they are: no unroll or replay, "
                f"got {unroll} and {replay}"
            )
        if pack < 1 or min(unroll, replay, consensus, instance_noise) < 0:
            raise ShapeError(
                f"ScoreGame: expected pack >= 1 and the others >= 0, got pack {pack}, unroll {unroll}, "
                f"consensus {consensus}, instance_noise {instance_noise}, replay {replay}"
            )
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.latent = latent
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.clip = clip
        self.max_norm = max_norm
        self.pack = pack
        self.unroll = unroll
        self.consensus = consensus
        self.instance_noise, self.noise_steps = instance_noise, noise_steps
        self.joint_batches = joint_batches
        self.prepare = prepare
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            schedule,
            seed=seed,
            ema=ema,
            schedules=schedules,
        )
        self.pool = Pool(replay, self.sample(1)) if replay else None

    @property
    def state(self) -> State:
        """Every tensor of the game by name, sharing memory with it."""
        return super().state | ({} if self.pool is None else self.pool.state_dict("replay."))

    def discriminator_turn(self, state: State, batch: Batch) -> Losses:
        """The discriminator moves; the generator only samples, and leaves no graph."""
        with random.using(self.stream("discriminator").at(batch.turn)) as rng:
            generator, critic = self.informed(batch)
            with no_grad():
                fake = generator(self._noise(batch))
            if self.pool is not None:
                fake = self.pool.mix(fake, rng)
            loss, shown = self._criticise(critic, self._real(batch), fake, rng)
            optimizer = self.optimizers["discriminator"]
            self._move_discriminator(grad(loss, optimizer.params))
        return {"d_loss": loss.detach(), **shown}

    def generator_turn(self, state: State, batch: Batch) -> Losses:
        """The generator moves, through the discriminator as it stands, or as it would be some steps later."""
        with random.using(self.stream("generator").at(batch.turn)) as rng:
            generator, critic = self.informed(batch)
            real, fake = self._real(batch), generator(self._noise(batch))
            if self.unroll:
                critic = self._unrolled(real, fake, rng)
            loss = self._generator_loss(critic, real, fake, rng, bool(self.unroll))
            optimizer = self.optimizers["generator"]
            self._move_generator(grad(loss, optimizer.params))
        return {"g_loss": loss.detach()}

    def simultaneous_turn(self, state: State, batch: Batch) -> Losses:
        """Both players move at once, each down its own loss; with `consensus` also towards where neither would move."""
        with random.using(self.stream("simultaneous").at(batch.turn)) as rng:
            generator, critic = self.informed(batch)
            real, fake = self._real(batch), generator(self._noise(batch))
            d_loss, shown = self._criticise(critic, real, fake, rng)
            g_loss = self._generator_loss(critic, real, fake, rng, True)
            d_params, g_params = (self.optimizers[name].params for name in ("discriminator", "generator"))
            moving = bool(self.consensus)
            field = [
                *grad(d_loss, d_params, create_graph=moving),
                *grad(g_loss, g_params, create_graph=moving),
            ]
            if moving:
                length = ops.sum(ops.stack([ops.sum(ops.square(v)) for v in field]))
                pull = grad(length, [*d_params, *g_params])
                field = [v.detach() + 0.5 * self.consensus * p for v, p in zip(field, pull, strict=True)]
                shown["joint_gradient"] = ops.sqrt(length.detach())
            self._move_discriminator(field[: len(d_params)])
            self._move_generator(field[len(d_params) :])
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach(), **shown}

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """What `generate` makes of n points of noise, the same ones each time."""
        return self.generate(self.latent(n, self.stream(stream).at(at)))

    def generate(self, *inputs: Tensor) -> Tensor:
        """The generator's samples (n, ...) for noise z (n, dim), and what else it takes: of averaged weights, if any.

        Batch normalisation uses its running statistics, so that a sample does not depend on its neighbours.
        """
        averaged = {} if self.ema is None else self.ema.parameters()
        with evaluating(self.generator), random.using(self.stream("generated")):
            return functional_call(self.generator, averaged, *(x.to(self.step.device) for x in inputs))

    def informed(self, batch: Batch) -> tuple[Critic, Critic]:
        """The generator as a function of noise, the discriminator as one of samples: what they know beside these.

        Here nothing, so they are the players themselves; a game with labels tells them the batch's.
        """
        return self.generator, self.discriminator

    def _criticise(self, critic: Critic, real: Tensor, fake: Tensor, rng: Stream) -> tuple[Tensor, Losses]:
        """The discriminator's loss with its penalty, and what the log shows of it."""
        real, fake = self._seen(real, rng), self._seen(fake, rng)
        if self.joint_batches:
            scores = critic(ops.concatenate([real, fake]))
            real_scores, fake_scores = scores[: len(real)], scores[len(real) :]
        else:
            real_scores, fake_scores = critic(real), critic(fake)
        loss = self.loss.discriminator(real_scores, fake_scores)
        shown = {"d_real": self._shown(real_scores), "d_fake": self._shown(fake_scores)}
        if self.penalty is not None:
            penalty = self.penalty(critic, real, fake, rng=rng)
            loss = loss + self.penalty_weight * penalty
            shown["penalty"] = penalty.detach()
        return loss, shown

    def _generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, rng: Stream, critic_moves: bool) -> Tensor:
        """What the generator minimises; real scores are constants for it, unless the critic itself depends on it."""
        fake_scores = critic(self._seen(fake, rng))
        if not self.loss.compares:
            return self.loss.generator(fake_scores)
        if critic_moves:
            return self.loss.generator(fake_scores, critic(self._seen(real, rng)))
        with no_grad():
            real_scores = critic(self._seen(real, rng))
        return self.loss.generator(fake_scores, real_scores)

    def _unrolled(self, real: Tensor, fake: Tensor, rng: Stream) -> Critic:
        """The discriminator after `unroll` steps that it would take now, as a function of the generator's weights."""
        optimizer = self.optimizers["discriminator"]
        params, slots, t = optimizer.params, optimizer.slots, int(optimizer.t.item())
        for k in range(self.unroll):
            loss, _ = self._criticise(partial(functional_call, self.discriminator, params), real, fake, rng)
            grads = grad(loss, params, create_graph=True)
            params, slots = optimizer.functional_step(params, grads, slots, t + k + 1)
            if self.clip is not None:
                params = [ops.clip(p, -self.clip, self.clip) for p in params]
        return partial(functional_call, self.discriminator, params)

    def _move_discriminator(self, grads: Sequence[Tensor]) -> None:
        optimizer = self.optimizers["discriminator"]
        optimizer.step(grads)
        if self.clip is not None:
            clip_weights(optimizer.params, self.clip)
        if self.max_norm is not None:
            limit_lengths(optimizer.params, self.max_norm)

    def _move_generator(self, grads: Sequence[Tensor]) -> None:
        self.optimizers["generator"].step(grads)
        if self.ema is not None:
            self.ema.update()

    def _real(self, batch: Batch) -> Tensor:
        return batch.real if self.prepare is None else self.prepare(batch.real)

    def _seen(self, samples: Tensor, rng: Stream) -> Tensor:
        """Samples as they are shown to the discriminator: with noise, and in packs."""
        if self.instance_noise:
            noise = Tensor(rng.normal(samples.shape, dtype=samples.dtype, device=samples.device))
            samples = samples + self._noise_level(samples.dtype) * noise
        return samples if self.pack == 1 else packed(samples, self.pack)

    def _noise_level(self, dtype: Any) -> Tensor | float:
        if self.noise_steps is None:
            return self.instance_noise
        left = (1 - self.step.data / self.noise_steps).clip(0, None)  # read where the step lives
        return Tensor((self.instance_noise * left).astype(dtype))

    def _noise(self, batch: Batch) -> Tensor:
        return self.latent(len(batch.real), self.stream("noise").at(batch.noise)).to(batch.real.device)

    def _shown(self, scores: Tensor) -> Tensor:
        """The mean score, as a probability where scores are logits."""
        with no_grad():
            return ops.mean(ops.sigmoid(scores) if self.loss.logistic else scores)
