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

from ..capture import Captured
from ..errors import CheckpointError, ShapeError
from ..nn import Module
from ..optim import EMA, Optimizer, Schedule
from ..random import Stream
from ..tensor import Tensor, full, matched
from .latents import Latent

State = dict[str, Tensor]
Losses = dict[str, Tensor]


Counter = int | Tensor  # a Tensor on a GPU, where a captured turn finds it moved on at each replay


class Batch(NamedTuple):
    """What a turn is given: real samples, and the counters of the random streams it draws from."""

    real: Tensor
    noise: Counter  # turns that reuse their predecessor's noise share this counter
    turn: Counter  # never shared
    labels: Tensor | None = None  # int64 (N,), of real samples that have some


Drawn = Tensor | tuple[Tensor, Tensor]  # real samples, or these and their labels


@runtime_checkable
class Source(Protocol):
    """Batches that a captured turn can draw by itself: `data.Batches` is one."""

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""

    def at(self, k: Any) -> Any:
        """The k-th batch as an array; k is a number or an array on the device."""

    def labels_at(self, k: Any) -> Any:
        """The labels of that batch, an int64 array, or None if the samples have none."""


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

    labelled = False  # does the game need the labels of real samples?
    latent: Latent  # what samples are made of

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

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """n generated samples, drawn from the named random stream at that step: the same ones for the same weights."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample")

    def sampling_network(self) -> Module:
        """What makes samples of noise: the network that a generator file holds."""
        return self.players["generator"]

    def play(self, batches: Callable[[int], Drawn] | Source) -> Losses:
        """One round of the schedule: the losses and scores of its turns, as 0-d Tensors.

        `batches` gives the k-th batch of the run, counted from 0: a function of k that returns a Tensor, or a pair
        (samples, labels); or `data.Batches`. On a GPU each turn is captured after its first rounds and replayed from
        then on (`mg.capture`); given `data.Batches` it draws its batch itself. With `graphs` set to False, turns are
        always played as they are written.
        """
        for schedule in self.schedules:
            schedule.set(self.rounds)
        source = batches if isinstance(batches, Source) else None
        on_gpu = self.step.device == "cuda"
        if on_gpu and self.graphs:
            turns: Sequence[Callable[..., Losses]] = self._captured_turns(source)
        else:
            turns = self._plain_turns(source, self.state)
        drawn: Drawn | None = None
        results: Losses = {}
        for k, turn in enumerate(self.schedule):
            number = self.rounds * self.batches_per_step + self._batch_of[k]
            if source is not None and on_gpu:
                source.prepare(number)  # and the turn draws it
            elif turn.fresh_batch:
                drawn = _draw(batches, number) if isinstance(batches, Source) else batches(number)
                real = drawn[0] if isinstance(drawn, tuple) else drawn
                if len(real) == 0:
                    raise ShapeError(f"step {self.rounds}, {turn.name}: cannot train on an empty batch {real.shape}")
            results |= turns[k](drawn)
        self.rounds += 1
        return results

    def _plain_turns(self, source: Source | None, state: State) -> list[Callable[..., Losses]]:
        """The turns of this round, each a function of its samples."""
        return [partial(self._turn, k, source, state) for k in range(len(self.schedule))]

    def _captured_turns(self, source: Source | None) -> list[Captured]:
        """The turns of every round, as they are replayed."""
        if self._turns is None or self._turns[0] is not source:

            def captured(k: int) -> Captured:
                return Captured(lambda drawn: self._turn(k, source, self.state, drawn), name=self.schedule[k].name)

            self._turns = source, [captured(k) for k in range(len(self.schedule))]
        return self._turns[1]

    def _turn(self, k: int, source: Source | None, state: State, drawn: Any) -> Losses:
        """The k-th turn of a round, on these samples or, if there are none, on those that it draws itself."""
        if drawn is None and source is not None:
            drawn = _draw(source, self._counter(self.batches_per_step, self._batch_of[k]).data)
        real, labels = drawn if isinstance(drawn, tuple) else (drawn, None)
        turn = self._counter(len(self.schedule), k)
        noise = turn if self.schedule[k].fresh_noise else self._counter(len(self.schedule), self._noise_of[k])
        losses = getattr(self, self.schedule[k].name)(state, Batch(real, noise, turn, labels))
        if k == len(self.schedule) - 1:
            self.step.data += 1
            self.step.written("Game.play")
        return losses

    def _counter(self, per_round: int, k: int) -> Any:
        """rounds * per_round + k: a number, or on a GPU a Tensor computed there from the step that lives there."""
        if self.step.device == "cpu":
            return self.rounds * per_round + k
        return Tensor(self.step.data * per_round + k)


def _draw(source: Source, k: Any) -> Drawn:
    """The k-th batch of a source as Tensors; k is a number or an array on the device."""
    real, labels = Tensor(source.at(k)), source.labels_at(k)
    return real if labels is None else (real, Tensor(labels))
