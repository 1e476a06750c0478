"""How many steps a run has: as many as it is told, as its epochs take, or as fit into its minutes.

A run by the clock is one of a fixed length too, so that its learning rates know where it ends, and so that it can be
resumed exactly: the speed of its first steps tells the length, which every checkpoint says from then on. Where a game
warms up by cheaper steps, those after them tell it.
"""

import bisect
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from .settings import Settings

UNKNOWN = sys.maxsize  # steps, until the clock has told how many
FIRST = 40  # steps that tell nothing of the others: kernels are loaded, turns recorded
SHARE = 0.05  # of the minutes: for so long is the speed measured; the first steps take no longer before


def told(settings: Settings, about: Mapping[str, Any], per_epoch: int) -> int:
    """How many steps the settings say, UNKNOWN if that is for the clock to tell.

    `about` is what the checkpoint that is resumed says: what the clock once told of the same minutes, holds.
    """
    if settings.steps is not None:
        return settings.steps
    if settings.minutes is None:
        return settings.epochs * per_epoch
    before = about.get("settings", {}).get("minutes"), about.get("total_steps")
    return before[1] if before[0] == settings.minutes and before[1] else UNKNOWN


class Clock:
    """Tells, once it has seen some steps, how many a run has that is to take so many minutes in all."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.seconds = 60 * minutes
        self.begun = time.perf_counter() - spent
        self.kind_from = 0, self.begun  # the step, and the time, from which on steps are of the kind they are now
        self.measured_from: tuple[int, float] | None = None

    def waits_since(self, moment: float) -> bool:
        """Is it so long ago that steps were timed that they should be now, as each takes its time?"""
        return time.perf_counter() - moment >= SHARE * self.seconds

    def steps(
        self, step: int, training: float, aside: Callable[[int], float], pace: float = 1.0, warm_up: int = 0
    ) -> int:
        """The number of the last step, UNKNOWN as long as there is too little to tell it from.

        `training` is how many seconds the steps up to this one took by themselves, `aside(n)` how many will be spent
        on other things when n more are done. Those take `pace` times as long as the steps so far. The first `warm_up`
        steps are of another kind than the rest, and tell the length only of a run that is over before they are: else
        it is for the steps after them to tell.
        """
        now = time.perf_counter()
        if self.kind_from[0] < warm_up <= step:
            self.kind_from, self.measured_from = (step, now), None
        spent, (kind_step, kind_begun) = now - self.begun, self.kind_from
        if self.measured_from is None:
            if step - kind_step >= FIRST or now - kind_begun >= SHARE * self.seconds:
                self.measured_from = step, training
            return UNKNOWN
        first, before = self.measured_from
        if step == first or training - before < SHARE * self.seconds:
            return UNKNOWN
        each = pace * (training - before) / (step - first)
        left = self.seconds - spent
        fits = bisect.bisect_right(range(max(int(left / each), 0) + 1), left, key=lambda n: n * each + aside(n))
        last = step + max(fits - 1, 1)
        return UNKNOWN if step < warm_up < last else last
