"""A game: players, their optimizers, and whose turn it is.

All that a game is lies in one named dict of Tensors, `state`: weights, buffers, optimizer moments, learning
rates, averages, the step. A turn is a function turn(batch) -> {name: 0-d Tensor} with static shapes that
reads nothing back to the host. The schedule, in plain Python, says whose turn it is. A checkpoint is that dict,
and a run continues from it exactly: data, noise and every other draw depend only on the seed and the step.
"""

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import iadd
from typing import Any, NamedTuple, Protocol

from .. import ops, processes, random
from ..backend import Array, is_capturing, xp
from ..capture import Captured
from ..errors import ShapeError
from ..kernels.calls import done, made
from ..nn import MinibatchStdDev, Module, evaluating, functional_call, take_standing_statistics
from ..nn.checks import integer
from ..nn.reparametrize import SpectralNorm
from ..nn.state import copy_all
from ..optim import EMA, Course, Optimizer, Schedule
from ..processes import ALONE, Group, Part
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full, mapped
from .latents import Latent
from .parts import in_parts

STANDING, STANDING_BATCHES = 128, 16  # samples that averaged weights take their statistics from, and how often so many
State = dict[str, Tensor]  # what a turn reads and writes beside players and optimizers, by name
Losses = dict[str, Tensor]  # what a turn returns: 0-d, by the names of the log's columns

Drawn = Any  # a Tensor of samples; a pair, these and their labels; or a named tuple of Tensors, samples first
Counter = int | Tensor  # a Tensor on a GPU, where a captured turn finds it moved on at each replay


class Batch(NamedTuple):
    """What a turn is given: what was drawn from the data, and where its random streams begin."""

    drawn: Drawn
    noise_at: Counter  # turns that reuse their predecessor's noise share this counter
    turn: Counter  # never shared
    rng: Stream  # the turn's own, which `rng=None` draws from too

    @property
    def real(self) -> Tensor:
        """The real samples: what was drawn, or the first of several."""
        return self.drawn[0] if isinstance(self.drawn, tuple) else self.drawn

    @property
    def labels(self) -> Tensor | None:
        """int64 (N,) of the real samples: the other half of a pair, or a named tuple's field of that name."""
        if hasattr(self.drawn, "_fields"):
            return getattr(self.drawn, "labels", None)
        return self.drawn[1] if isinstance(self.drawn, tuple) else None


class Source(Protocol):
    """Where batches come from: `data.Batches` is one."""

    resident: bool  # can a captured turn draw its batch by itself, by a number that lives on the device?

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""

    def at(self, k: Any) -> Any:
        """The k-th batch: an array, a pair or a named tuple of arrays; k is a number or an array on the device.

        Of several processes each is given its rows, which are those of `processes.part`.
        """


class Turn(NamedTuple):
    """One entry of a schedule: who plays, on a fresh batch or the last one, with fresh noise or the same."""

    name: str
    fresh_batch: bool = True
    fresh_noise: bool = True


class Game:
    """Base of games of any number of players: a subclass defines its turns, one method per entry of the schedule.

    `players` and `optimizers` are named; their names prefix the state's keys ("generator.0.weight",
    "generator_optimizer.exp_avg.0") and appear in error messages. A turn called "NAME_turn" draws from the random
    stream NAME. `schedules` set learning rates before each round.
    """

    labelled = False  # does the game need the labels of real samples?
    latent: Latent  # what samples are made of
    classes: int | None = None  # of which the sampling network is told one with each input
    warm_up = 0  # rounds before all players move
    generates = True  # does it make samples at all?
    moved_within = False  # is a player scored by another one that has moved in the same turn?

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
        self.players = dict(players)
        self.optimizers = dict(optimizers)
        self.schedule = list(schedule)
        self._check()
        self.seed = seed
        self.ema = ema
        for name, player in self.players.items():
            player.rename(name)
        device = next(iter(self.players.values())).parameters()[0].device
        self.step = full((), 0, "int64", device)
        self.rounds = 0  # the step, as the host knows it: nothing waits for the device to tell
        self.schedules = list(schedules)
        self.graphs = True  # replay turns instead of playing them
        self.group, self.sync_norm = ALONE, True
        self.kept: Any = None  # a `rehearsal.Kept`
        self.parts = 1  # in which a turn is played
        self.follows: list[Callable[[], None]] | None = None  # what is done after the last of them
        self._turns: tuple[Source | None, dict[tuple[int, int], Captured]] = None, {}
        fresh = [k for k, turn in enumerate(self.schedule) if turn.fresh_noise]
        self._noise_of = [max(j for j in fresh if j <= k) for k in range(len(self.schedule))]
        self._batch_of = [b - 1 for b in itertools.accumulate(int(turn.fresh_batch) for turn in self.schedule)]

    def _check(self) -> None:
        """ShapeError for no players, names that clash in the state, or a schedule that cannot be played."""
        name, schedule = type(self).__name__, self.schedule
        parts = [*self.players, *(f"{optimizer}_optimizer" for optimizer in self.optimizers), "ema", "step"]
        if not self.players or len(set(parts)) < len(parts):
            raise ShapeError(f"{name}: expected players, and optimizers, with names of their own, got {parts}")
        unknown = [turn.name for turn in schedule if not hasattr(self, turn.name)]
        if unknown or not schedule or not schedule[0].fresh_batch or not schedule[0].fresh_noise:
            told = f"it has no {', '.join(unknown)}" if unknown else f"got {schedule}"
            raise ShapeError(f"{name}: a schedule names turns, and begins with a fresh batch and fresh noise; {told}")
        for turn in schedule:
            try:
                inspect.signature(getattr(self, turn.name)).bind("a batch")
            except TypeError as error:
                raise ShapeError(f"{name}.{turn.name}: a turn is given a batch alone ({error})") from error

    def lasts(self, rounds: int) -> None:
        """The run has so many rounds: what falls until its end (`optim.Course`) knows from now on how fast."""
        for schedule in self.schedules:
            if isinstance(schedule, Course):
                schedule.lasts(rounds)

    def pace(self) -> float:
        """How long a round takes, in the mean until the end of the run, where one before its length is told takes 1."""
        return 1.0

    def meet(self, values: Any) -> None:
        """See, before a run, what there is to learn from: images or points, or a named tuple; here nothing is kept."""

    def distribute(self, group: Group, *, sync_norm: bool = True) -> None:
        """From now on these processes play it together, each with a game of its own that is the same.

        A batch is everybody's: each process draws and computes its rows, and all take the same steps. Losses are those
        of the whole batch. Without `sync_norm` batch norm takes the statistics of a process's own rows: another game,
        as a sample depends on fewer others. Running statistics are the mean of everybody's then.
        """
        self.group, self.sync_norm = group, sync_norm
        self._turns = None, {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within the block this process plays by itself, whole batches at once, however the game is played else."""
        before = self.group, self.parts
        self.group, self.parts = ALONE, 1
        try:
            yield
        finally:
            self.group, self.parts = before

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

        CheckpointError naming what does not fit; nothing is copied then.
        """
        copy_all(self.state, state, type(self).__name__, by="load_state")
        self.rounds = int(self.step.item())

    def stream(self, name: str) -> Stream:
        """The random stream of this game with that name."""
        return Stream(self.seed, name)

    def doubts(self) -> list[str]:
        """What is known to train badly in this game though it can be played, a sentence each; here nothing."""
        return []

    def sampling_network(self) -> Module:
        """What makes samples of noise: the network that a generator file holds."""
        if "generator" not in self.players:
            raise NotImplementedError(f"{type(self).__name__} has no player 'generator', and no sampling_network")
        return self.players["generator"]

    def sampling_average(self) -> EMA | None:
        """The averaged weights of the sampling network, if it has some."""
        return self.ema if self.ema is not None and self.ema.module is self.sampling_network() else None

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """What draws or reads beside the sampling network, by name, and what it takes: each has a file of its own."""
        return {}

    def generate(self, *inputs: Tensor) -> Tensor:
        """Samples (n, ...) for noise z (n, dim), and what else the network takes: by averaged weights, if it has some.

        Batch normalisation uses its running statistics, so that a sample does not depend on its neighbours.
        """
        network, average = self.sampling_network(), self.sampling_average()
        averaged = {} if average is None else average.shadow
        with evaluating(network), random.using(self.stream("generated")):
            return functional_call(network, averaged, *(x.to(self.step.device) for x in inputs))

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """n generated samples, drawn from the named random stream at that step: the same ones for the same weights."""
        return self.generate(*self.inputs(n, stream, at))

    def inputs(self, n: int, stream: str, at: int) -> tuple[Tensor, ...]:
        """What the generator is given to make the n samples of the named random stream at that step: noise (n, dim)."""
        if not hasattr(self, "latent"):
            raise NotImplementedError(f"{type(self).__name__} has no latent, and does not define sample")
        return (self.latent(n, self.stream(stream).at(at)),)

    def settle(self) -> None:
        """Give averaged weights the statistics of batch norm that are their own, until they move on.

        Until then they have those of the weights that they follow (`nn.take_standing_statistics`).
        """
        average = self.sampling_average()
        if average is None or not hasattr(self, "latent"):
            return

        def batch(k: int) -> None:
            inputs = [x.to(self.step.device) for x in self.inputs(STANDING, "standing statistics", k)]
            functional_call(average.module, average.shadow, *inputs)

        with no_grad(), random.using(self.stream("settled")):
            take_standing_statistics(average.module, batch, STANDING_BATCHES)

    def noise(self, batch: Batch) -> Tensor:
        """z (N, dim): a point of noise for each of the batch's real samples."""
        return self.latent(len(batch.real), self.stream("noise").at(batch.noise_at)).to(batch.real.device)

    def average(self) -> None:
        """Move the averaged weights, if there are some, towards what they follow."""
        if self.ema is not None:
            self.after_step(self.ema.update)

    def after_step(self, move: Callable[[], None]) -> None:
        """Do what follows a step of an optimizer: now, or once it is made, if the turn is played in parts."""
        if self.follows is None:
            move()
        else:
            self.follows.append(move)

    def couples(self) -> list[str]:
        """What makes a sample's share of a loss depend on the others, so that no turn can be played in parts."""
        layers = [m for player in self.players.values() for m in player.modules()]
        found = sorted({type(m).__name__ for m in layers if m.mixes_samples and not isinstance(m, MinibatchStdDev)})
        return [
            *found,
            *(
                ["spectral norm, which moves on at each pass"]
                if any(isinstance(m, SpectralNorm) for m in layers)
                else []
            ),
            *(["a discriminator that moves within the turn"] if self.moved_within else []),
        ]

    def accumulate(self, parts: int) -> None:
        """Play each turn in so many parts of the batch from now on, whose gradients are added up: it takes less memory.

        The step is that of the whole batch, but for rounding; ShapeError if it cannot be.
        """
        integer(f"{type(self).__name__}: accumulate", parts, 1)
        if parts > 1 and (coupled := self.couples()):
            raise ShapeError(
                f"{type(self).__name__}: a batch in {parts} parts is not the whole one where samples depend on each "
                f"other: {', '.join(coupled)}"
            )
        self.parts = parts
        self._turns = None, {}

    def variant(self, turn: Turn, rounds: int) -> int:
        """Which of several ways of that turn is played after so many rounds; here there is but one, 0.

        A turn that does something in some rounds only says so here, and reads `rounds` for it: each of its ways is
        captured by itself. The way 0 does all that any of them does, and in some rounds all turns are played so.
        """
        return 0

    def play(self, batches: Callable[[int], Drawn] | Source) -> Losses:
        """One round of the schedule: the losses and scores of its turns, as 0-d Tensors.

        `batches` gives the k-th batch of the run, counted from 0: a source such as `data.Batches`, or a function of k.
        A batch is an array or Tensor of samples, a pair (samples, labels), or a named tuple, samples first. Each turn
        is captured after its first rounds and replayed from then on (`mg.capture`); from a source that is resident
        on a GPU it draws its batch itself there. With `graphs` set to False, turns are always played as they are
        written.
        """
        if self.group is ALONE:
            return self._round(batches)
        with processes.using(self.group, sync_norm=self.sync_norm):
            return self._round(batches)

    def _round(self, batches: Callable[[int], Drawn] | Source) -> Losses:
        """`play`, by whoever plays together."""
        for schedule in self.schedules:
            schedule.set(self.rounds)
        on_gpu = self.step.device == "cuda"
        draw = partial(_own_rows, batches) if callable(batches) else batches.at
        own = batches if on_gpu and not callable(batches) and batches.resident else None  # for turns to draw from
        drawn: Drawn = None
        results: Losses = {}
        for k, turn in enumerate(self.schedule):
            number = self.rounds * self.batches_per_step + self._batch_of[k]
            if own is not None:
                own.prepare(number)
            elif turn.fresh_batch:
                drawn = _tensors(draw(number))
                for part in drawn if isinstance(drawn, tuple) else (drawn,):
                    if part is not None and part.shape[:1] == (0,):
                        where = f"step {self.rounds}, {turn.name}"
                        raise ShapeError(f"{where}: cannot train on an empty batch {part.shape}")
            results |= self._captured(k, own)(drawn) if self.graphs else self._turn(k, own, drawn)
        self.rounds += 1
        return results

    @property
    def batches_per_step(self) -> int:
        """How many fresh batches one round of the schedule takes."""
        return sum(turn.fresh_batch for turn in self.schedule)

    def _captured(self, k: int, own: Source | None) -> Captured:
        """The k-th turn of a round, the way it is played in this one, as it is replayed."""
        if self._turns[0] is not own:
            self._turns = own, {}
        recorded, way = self._turns[1], (k, self.variant(self.schedule[k], self.rounds))
        if way not in recorded:
            agreed = None if self.group.size == 1 else self._all_agree
            recorded[way] = Captured(partial(self._turn, k, own), name=self.schedule[k].name, agreed=agreed)
        return recorded[way]

    def _all_agree(self, fine: bool) -> bool:
        return not self.group.any(not fine)

    def _turn(self, k: int, own: Source | None, drawn: Drawn) -> Losses:
        """The k-th turn of a round, on these samples or, if it has a source of its own, on those that it draws."""
        if own is not None:
            drawn = _tensors(own.at(self._counter(self.batches_per_step, self._batch_of[k]).data))
        turn = self._counter(len(self.schedule), k)
        noise = turn if self.schedule[k].fresh_noise else self._counter(len(self.schedule), self._noise_of[k])
        name = self.schedule[k].name

        def play(j: int = 0) -> Losses:
            """The j-th part of the turn, or all of it."""
            rows = drawn if self.parts == 1 else _rows(drawn, Part(j, self.parts))
            with random.using(self.stream(name.removesuffix("_turn")).at(turn)) as rng:
                return getattr(self, name)(Batch(rows, noise, turn, rng))

        losses = play() if self.parts == 1 else in_parts(self, self.parts, play)
        with no_grad():
            losses = dict(zip(losses, ops.averaged([*losses.values()]), strict=True))
        if k == len(self.schedule) - 1:
            if not self.sync_norm:
                self._share_statistics()
            done(iadd, self.step.data, 1)
            self.step.written("Game.play")
        return losses

    def _share_statistics(self) -> None:
        """Make every running statistic the mean of everybody's, which each has moved by his own rows."""
        own = [buffer for player in self.players.values() for buffer in player.buffers()]
        if self.ema is not None:
            averaged = self.ema.parameters()
            own += [t for name, t in self.ema.shadow.items() if name not in averaged]
        floats = [t for t in own if t.dtype.kind == "f"]
        with no_grad():
            for t, shared in zip(floats, ops.averaged(floats), strict=True):
                t.copy_(shared, by="Game.play")

    def _counter(self, per_round: int, k: int) -> Any:
        """rounds * per_round + k: a number, or on a GPU and in a captured turn a Tensor computed from the step."""
        if self.step.device == "cpu" and not is_capturing():
            return self.rounds * per_round + k
        return Tensor(made(_counted, self.step.data, per_round, k))


def _own_rows(draw: Callable[[int], Drawn], number: int) -> Drawn:
    """This process's rows of a batch that is drawn whole."""
    with processes.whole():
        drawn = _tensors(draw(number))
    part = processes.part()
    if part.count == 1:
        return drawn
    # next to each other in memory, as in a graph's copies of them: how operands lie decides how they are multiplied
    return mapped(_rows(drawn, part), lambda t: t if t is None else Tensor(t.data.copy(order="K")))


def _rows(drawn: Drawn, part: Part) -> Drawn:
    """That part of a batch of Tensors."""
    return drawn if part.count == 1 else mapped(drawn, lambda t: t if t is None else part.take(t))


def _counted(step: Array, per_round: int, k: int) -> Array:
    first = step * per_round
    return xp(step).asarray(first + k if k else first)  # each operation is a launch


def _tensors(drawn: Any) -> Drawn:
    """A batch with its arrays as Tensors; ShapeError if it is none."""
    several = isinstance(drawn, tuple) and (hasattr(drawn, "_fields") or len(drawn) == 2)
    for part in drawn if several else (drawn,):
        if not (isinstance(part, Tensor) or hasattr(part, "dtype") or (several and part is None)):
            raise ShapeError(
                "a batch is an array, a pair (samples, labels) or a named tuple of arrays, "
                f"got a {type(part).__name__}{' in one' if several else ''}"
            )
    return mapped(drawn, lambda a: a if a is None or isinstance(a, Tensor) else Tensor(a))
