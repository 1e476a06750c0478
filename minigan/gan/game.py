"""A game: players, their optimizers, and whose turn it is.

All that a game is lies in one named dict of Tensors, `state`: weights, buffers, optimizer moments, learning
rates, averages, the step. A turn is a function turn(state, batch) -> {name: 0-d Tensor} with static shapes that
reads nothing back to the host. The schedule, in plain Python, says whose turn it is. A checkpoint is that dict,
and a run continues from it exactly: data, noise and every other draw depend only on the seed and the step.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .. import ops, random
from ..capture import Captured
from ..errors import CheckpointError, ShapeError
from ..grad import grad
from ..nn import Module, functional_call
from ..op import no_grad
from ..optim import EMA, Optimizer, Schedule
from ..random import Stream
from ..tensor import Tensor, full, matched
from .losses import Loss
from .penalties import clip_weights

State = dict[str, Tensor]
Losses = dict[str, Tensor]


Counter = int | Tensor  # a Tensor on a GPU, where a captured turn finds it moved on at each replay


class Batch(NamedTuple):
    """What a turn is given: real samples, and the counters of the random streams it draws from."""

    real: Tensor
    noise: Counter  # turns that reuse their predecessor's noise share this counter
    turn: Counter  # never shared


@runtime_checkable
class Source(Protocol):
    """Batches that a captured turn can draw by itself: `data.Batches` is one."""

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""

    def at(self, k: Any) -> Any:
        """The k-th batch as an array; k is a number or an array on the device."""


class Turn(NamedTuple):
    """One entry of a schedule: who plays, on a fresh batch or the last one, with fresh noise or the same."""

    name: str
    fresh_batch: bool = True
    fresh_noise: bool = True


class Game:
    """Base of games: a subclass defines its turns, one method per entry of the schedule.

    A turn reaches the game's arrays through `state` or through the players, which hold the same ones.
    `players` and `optimizers` are named; their names prefix the state's keys ("generator.0.weight",
    "generator_optimizer.exp_avg.0") and appear in error messages. `schedules` set learning rates before each round.
    """

    def __init__(
        self,
        players: Mapping[str, Module],
        optimizers: Mapping[str, Optimizer],
        schedule: Sequence[Turn],
        *,
        seed: int = 0,
        ema: EMA | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        unknown = [turn.name for turn in schedule if not hasattr(self, turn.name)]
        if unknown or not schedule or not schedule[0].fresh_batch or not schedule[0].fresh_noise:
            raise ShapeError(
                f"{type(self).__name__}: a schedule names turns ({unknown or 'all known'} unknown) "
                f"and begins with a fresh batch and fresh noise; got {list(schedule)}"
            )
        self.players = dict(players)
        self.optimizers = dict(optimizers)
        self.schedule = list(schedule)
        self.seed = seed
        self.ema = ema
        for name, player in self.players.items():
            player.rename(name)
        device = next(iter(self.players.values())).parameters()[0].device
        self.step = full((), 0, "int64", device)
        self.rounds = 0  # the step, as the host knows it: nothing waits for the device to tell
        self.schedules = list(schedules)
        self.graphs = True  # on a GPU, replay turns instead of playing them
        self._turns: tuple[Source | None, list[Captured]] | None = None
        fresh = [k for k, turn in enumerate(self.schedule) if turn.fresh_noise]
        self._noise_of = [max(j for j in fresh if j <= k) for k in range(len(self.schedule))]
        self._batch_of = [b - 1 for b in itertools.accumulate(int(turn.fresh_batch) for turn in self.schedule)]

    @property
    def state(self) -> State:
        """Every tensor of the game by name, sharing memory with it."""
        parts: dict[str, dict[str, Tensor]] = {name: p.state_dict() for name, p in self.players.items()}
        parts |= {f"{name}_optimizer": o.state_dict() for name, o in self.optimizers.items()}
        if self.ema is not None:
            parts["ema"] = self.ema.state_dict()
        return {f"{part}.{key}": t for part, state in parts.items() for key, t in state.items()} | {"step": self.step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Copy `state` (Tensors or arrays by name) into the game's own arrays.

        Raises CheckpointError naming what does not fit; nothing is copied then.
        """
        own = self.state
        arrays, missing, unknown, misshapen = matched(own, state)
        if missing or unknown or misshapen:
            raise CheckpointError(
                f"the saved state is of another game: missing {sorted(missing)[:5]}, unknown {sorted(unknown)[:5]}, "
                f"of another shape {misshapen[:5]}"
            )
        for key, t in own.items():
            t.copy_(arrays[key], by="load_state")
        self.rounds = int(self.step.item())

    def stream(self, name: str) -> Stream:
        """The random stream of this game with that name."""
        return Stream(self.seed, name)

    @property
    def batches_per_step(self) -> int:
        """How many fresh batches one round of the schedule takes."""
        return sum(turn.fresh_batch for turn in self.schedule)

    def play(self, batches: Callable[[int], Tensor] | Source) -> Losses:
        """One round of the schedule: the losses and scores of its turns, as 0-d Tensors.

        `batches` gives the k-th batch of the run, counted from 0: a function of k, or `data.Batches`. On a GPU each
        turn is captured after its first rounds and replayed from then on (`mg.capture`); given `data.Batches` it
        draws its batch itself. With `graphs` set to False, turns are always played as they are written.
        """
        for schedule in self.schedules:
            schedule.set(self.rounds)
        source = batches if isinstance(batches, Source) else None
        on_gpu = self.step.device == "cuda"
        if on_gpu and self.graphs:
            turns: Sequence[Callable[..., Losses]] = self._captured_turns(source)
        else:
            turns = self._plain_turns(source, self.state)
        real: Tensor | None = None
        results: Losses = {}
        for k, turn in enumerate(self.schedule):
            drawn = self.rounds * self.batches_per_step + self._batch_of[k]
            if source is not None and on_gpu:
                source.prepare(drawn)  # and the turn draws it
            elif turn.fresh_batch:
                real = batches(drawn) if callable(batches) else Tensor(batches.at(drawn))
                if len(real) == 0:
                    raise ShapeError(f"step {self.rounds}, {turn.name}: cannot train on an empty batch {real.shape}")
            results |= turns[k](real)
        self.rounds += 1
        return results

    def _plain_turns(self, source: Source | None, state: State) -> list[Callable[..., Losses]]:
        """The turns of this round, each a function of its samples."""
        return [partial(self._turn, k, source, state) for k in range(len(self.schedule))]

    def _captured_turns(self, source: Source | None) -> list[Captured]:
        """The turns of every round, as they are replayed."""
        if self._turns is None or self._turns[0] is not source:

            def captured(k: int) -> Captured:
                return Captured(lambda real: self._turn(k, source, self.state, real), name=self.schedule[k].name)

            self._turns = source, [captured(k) for k in range(len(self.schedule))]
        return self._turns[1]

    def _turn(self, k: int, source: Source | None, state: State, real: Any) -> Losses:
        """The k-th turn of a round, on these samples or, if there are none, on those that it draws itself."""
        if real is None and source is not None:
            real = Tensor(source.at(self._counter(self.batches_per_step, self._batch_of[k]).data))
        turn = self._counter(len(self.schedule), k)
        noise = turn if self.schedule[k].fresh_noise else self._counter(len(self.schedule), self._noise_of[k])
        losses = getattr(self, self.schedule[k].name)(state, Batch(real, noise, turn))
        if k == len(self.schedule) - 1:
            self.step.data += 1
            self.step.written("Game.play")
        return losses

    def _counter(self, per_round: int, k: int) -> Any:
        """rounds * per_round + k: a number, or on a GPU a Tensor computed there from the step that lives there."""
        if self.step.device == "cpu":
            return self.rounds * per_round + k
        return Tensor(self.step.data * per_round + k)


Latent = Callable[[int, Stream], Tensor]


def uniform_latent(dim: int, low: float = -1.0, high: float = 1.0, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ U[low, high)."""
    return lambda n, rng: Tensor(rng.uniform((n, dim), low, high, dtype))


def normal_latent(dim: int, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ N(0, 1)."""
    return lambda n, rng: Tensor(rng.normal((n, dim), dtype=dtype))


def alternate(d_steps: int = 1, g_steps: int = 1) -> list[Turn]:
    """The usual schedule: d_steps discriminator turns on fresh batches, then g_steps generator turns, fresh noise."""
    if d_steps < 1 or g_steps < 1:
        raise ShapeError(f"alternate: expected at least one turn each, got {d_steps} and {g_steps}")
    return [Turn("discriminator_turn")] * d_steps + [Turn("generator_turn", fresh_batch=False)] * g_steps


class ScoreGame(Game):
    """Two players and a score loss: the discriminator scores samples, the generator wants its own scored as real.

    `penalty(critic, real, fake, rng=...)` is added to the discriminator's loss with weight `penalty_weight`;
    with `clip` its parameters are limited to [-clip, clip] after each of its steps.
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
        seed: int = 0,
        ema: EMA | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.latent = latent
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.clip = clip
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            alternate() if schedule is None else schedule,
            seed=seed,
            ema=ema,
            schedules=schedules,
        )

    def discriminator_turn(self, state: State, batch: Batch) -> Losses:
        """The discriminator moves; the generator only samples, and leaves no graph."""
        with random.using(self.stream("discriminator").at(batch.turn)) as rng:
            z = self._noise(batch)
            with no_grad():
                fake = self.generator(z)
            real_scores, fake_scores = self.discriminator(batch.real), self.discriminator(fake)
            loss = self.loss.discriminator(real_scores, fake_scores)
            results = {"d_real": self._shown(real_scores), "d_fake": self._shown(fake_scores)}
            if self.penalty is not None:
                penalty = self.penalty(self.discriminator, batch.real, fake, rng=rng)
                loss = loss + self.penalty_weight * penalty
                results["penalty"] = penalty.detach()
            optimizer = self.optimizers["discriminator"]
            optimizer.step(grad(loss, optimizer.params))
            if self.clip is not None:
                clip_weights(optimizer.params, self.clip)
        return {"d_loss": loss.detach(), **results}

    def generator_turn(self, state: State, batch: Batch) -> Losses:
        """The generator moves, through the discriminator as it stands."""
        with random.using(self.stream("generator").at(batch.turn)):
            fake_scores = self.discriminator(self.generator(self._noise(batch)))
            if self.loss.compares:
                with no_grad():
                    real_scores = self.discriminator(batch.real)
                loss = self.loss.generator(fake_scores, real_scores)
            else:
                loss = self.loss.generator(fake_scores)
            optimizer = self.optimizers["generator"]
            optimizer.step(grad(loss, optimizer.params))
        if self.ema is not None:
            self.ema.update()
        return {"g_loss": loss.detach()}

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """n samples of the generator (of its averaged weights, if it has them), for the same fixed noise each time.

        Batch normalisation uses its running statistics, so that a sample does not depend on its neighbours.
        """
        z = self.latent(n, self.stream(stream).at(at)).to(self.step.device)
        generator, was_training = self.generator, self.generator.training
        averaged = {} if self.ema is None else self.ema.parameters()
        try:
            with no_grad():
                return functional_call(generator.eval(), averaged, z)
        finally:
            generator.train(was_training)

    def _noise(self, batch: Batch) -> Tensor:
        return self.latent(len(batch.real), self.stream("noise").at(batch.noise)).to(batch.real.device)

    def _shown(self, scores: Tensor) -> Tensor:
        """The mean score, as a probability where scores are logits."""
        with no_grad():
            return ops.mean(ops.sigmoid(scores) if self.loss.logistic else scores)
