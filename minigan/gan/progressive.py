"""Progressive growing (Karras et al. 2018): a run begins with small images, and ever larger ones are faded in.

How far the players have grown follows from the step and the length of the run alone, as learning rates do. The host
knows it, and writes it where captured turns read it. Players have all their layers from the start: what a size does
not use gets no gradient, and an optimizer whose averages are zero leaves it as it is.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..models.progan import GrowingDiscriminator, GrowingGenerator, faded
from ..nn.checks import number
from ..tensor import Tensor, full
from .game import Batch, Losses, State, Turn
from .objectives import Critic, Sampler, Sides
from .score import ScoreGame


@dataclass(frozen=True)
class Growth:
    """How players grow: after `share` of the run they are fully grown, each larger size being added in equal times.

    Each time ends with `fade` of it, in which the larger size is faded in; before, the smaller one is trained alone. In
    the paper sizes fade in as long as they are trained, for 800 000 images each: that is fade 0.5 and, of n sizes, a
    share of (2n - 2) / (2n - 1).
    """

    share: float = 0.5
    fade: float = 0.5

    def __post_init__(self) -> None:
        number("Growth: share", self.share, above=0, most=1)
        number("Growth: fade", self.fade, above=0, most=1)

    def level(self, done: float, last: int) -> float:
        """From 0, the smallest size, to `last`, when that share of the run is done."""
        passed = min(done / self.share, 1.0) * last
        whole = math.floor(passed)
        return whole + max(0.0, (passed - whole - 1 + self.fade) / self.fade)


class ProgressiveGame(ScoreGame):
    """A score game of players that grow over the length of the run, which `lasts` tells; until then they are grown.

    Real samples are shown at the players' size, each pixel the mean of a block, and faded in as fakes are. Where a new
    size begins, both optimizers begin anew, as the authors' do. What has grown stays so if a run is made longer. Loss,
    penalty and what else may be switched on are those of a ScoreGame, but for a replay of earlier fakes, which are of
    other sizes (ShapeError). Samples are of full size: of smaller images each pixel is repeated.

    A run by the clock plays the first steps, which tell its length, with grown players.
    """

    generator: GrowingGenerator
    discriminator: GrowingDiscriminator

    def __init__(
        self,
        generator: GrowingGenerator,
        discriminator: GrowingDiscriminator,
        *,
        growth: Growth | None = None,
        **parts: Any,
    ) -> None:
        self.growth = growth or Growth()
        self._last = len(generator.blocks) - 1
        self._rounds = 0  # of the run, 0 if that is not known
        self._least = 0.0  # level, which an earlier part of the run has reached
        self._told = 0, 0  # after how many rounds the length was told, and the stage of the last of these
        super().__init__(generator, discriminator, **parts)
        if self.sight.replay:
            raise ShapeError(f"ProgressiveGame: {self.sight.replay} earlier fakes may be of another size: no replay")
        self.length = full((), 0, "int64", self.step.device)

    @property
    def state(self) -> State:
        """Every tensor of the game by name, the length of the run among them."""
        return super().state | {"length": self.length}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Copy `state` into the game's own arrays."""
        super().load_state(state)
        self._rounds = int(self.length.item())
        self._least = float(self.generator.level.item()) if self._rounds else 0.0

    def lasts(self, rounds: int) -> None:
        """The run has so many rounds: from now on the players grow along its course."""
        super().lasts(rounds)
        self._told = self.rounds, self.stage(self.rounds - 1)
        self._rounds = rounds
        self.length.data.fill(rounds)
        self.length.written("ProgressiveGame.lasts")
        if self.rounds == 0:
            self._grow()

    def pace(self) -> float:
        """The mean work of a round over the run, where one of grown players is 1: weights times pixels of each size."""
        sides, blocks = self.discriminator.sides, zip(self.generator.blocks, self.discriminator.blocks, strict=True)
        weights = [sum(block.num_parameters() for block in pair) for pair in blocks]
        work = list(itertools.accumulate(n * side**2 for n, side in zip(weights, sides, strict=True)))
        stages = [math.ceil(self.growth.level((k + 0.5) / 100, self._last)) for k in range(100)]
        return sum(work[stage] for stage in stages) / (100 * work[-1])

    def level(self, rounds: int) -> float:
        """How far the players have grown after so many rounds: k, their size in the next, or less while it fades in."""
        if not self._rounds:
            return float(self._last)
        course = self.growth.level(rounds / self._rounds, self._last)
        return float(np.float32(max(course, self._least)))  # as the players hold it

    def stage(self, rounds: int) -> int:
        """The players' size after so many rounds, counted from 0."""
        return math.ceil(self.level(rounds))

    def variant(self, turn: Turn, rounds: int) -> int:
        """Each size has ways of its own, as many as a game of scores; the first are those of the full one."""
        return 4 * (self._last - self.stage(rounds)) + super().variant(turn, rounds)

    def play(self, batches: Any) -> Losses:
        """One round of the schedule, with players as large as they are in it."""
        self._grow()
        return super().play(batches)

    def _grow(self) -> None:
        """Tell the players their level in the next round; where a size begins, optimizers begin anew."""
        level, average = self.level(self.rounds), self.sampling_average()
        held = [self.generator.level, self.discriminator.level, *([] if average is None else [average.shadow["level"]])]
        for t in held:
            t.data.fill(level)
            t.written("ProgressiveGame.play")
        told, before = self._told
        if self.rounds and self.stage(self.rounds) != (before if self.rounds == told else self.stage(self.rounds - 1)):
            for optimizer in self.optimizers.values():
                optimizer.restart()
            self._turns = None, {}  # the smaller size does not come again

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """The generator of images of this round's size, and the discriminator."""
        stage = self.stage(self.rounds)
        return lambda z: self.generator(z, stage), self.discriminator

    def _sides(self, generator: Sampler, critic: Critic, batch: Batch, deceive: bool = True) -> Sides:
        return super()._sides(generator, critic, batch._replace(drawn=self._of_size(batch.real)), deceive)

    def _of_size(self, real: Tensor) -> Tensor:
        """Real images of this round's size."""
        stage = self.stage(self.rounds)
        if stage < self._last:
            real = ops.avg_pool2d(real, 1 << (self._last - stage))
        if stage == 0:
            return real
        before = ops.upsample_nearest(ops.avg_pool2d(real, 2), 2)
        return faded(before, real, self.discriminator.level - (stage - 1))
