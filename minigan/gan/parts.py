"""A turn played part by part, for a batch whose activations do not fit into memory: its gradients are added up.

Each part is some rows of the batch with the draws that are theirs (`processes.Part`), so that the step is the one of
the whole batch, but for rounding. That is so only where a sample's share of a loss does not depend on the others: what
makes it depend on them is refused (`Game.couples`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import ops, processes
from ..processes.part import meaning
from ..recording import no_grad
from ..tensor import Tensor

Losses = dict[str, Tensor]


def in_parts(game: Any, count: int, play: Callable[[int], Losses]) -> Losses:
    """The losses of a turn of which play(j) is the j-th of so many parts; optimizers move once, at its end."""
    group, rows = processes.group(), processes.part()
    sums: dict[Any, list[Tensor]] = {}
    found: list[Losses] = []
    follows: list[Callable[[], None]] = []
    try:
        for j in range(count):
            follows = game.follows = []
            for optimizer in game.optimizers.values():
                optimizer.collect = partial(_collect, sums, follows, count, optimizer)
            with processes.using(processes.ALONE), meaning(rows.split(j, count)):
                found.append(play(j))
    finally:
        game.follows = None
        for optimizer in game.optimizers.values():
            optimizer.collect = None
    with processes.using(group):
        for move in follows:
            move()
    with no_grad():
        return {name: ops.mean(ops.stack([losses[name] for losses in found])) for name in found[0]}


def _collect(
    sums: dict[Any, list[Tensor]], follows: list[Callable[[], None]], count: int, optimizer: Any, grads: Any
) -> None:
    """Add gradients to those of the parts before; the step is to follow."""
    before = sums.get(optimizer)
    with no_grad():
        sums[optimizer] = list(grads) if before is None else [a + b for a, b in zip(before, grads, strict=True)]

    def step() -> None:
        with no_grad():
            optimizer.step(ops.averaged([total * (1 / count) for total in sums[optimizer]]))

    follows.append(step)
