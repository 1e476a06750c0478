"""Top-k training: a generator learns from those of its fakes that the discriminator takes for the most real ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import ops, processes
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..tensor import Tensor

Objective = Callable[[Tensor, Tensor | None], Tensor]  # of the scores of fakes and, if it compares, of real samples


class Best(NamedTuple):
    """Which scores of a batch are the best ones, a boolean of their shape, and what share of all these are."""

    kept: Tensor
    share: Tensor

    def mean(self, objective: Objective, fake: Tensor, real: Tensor | None, pairs: bool) -> Tensor:
        """`objective`, a mean over scores, over the best alone; `pairs`: it compares each with the real one beside.

        With 0 in the place of the others it is share * (mean over the best) + (1 - share) * (its value at 0). So shapes
        do not depend on how many are the best.
        """
        others = ops.full_like(fake.detach(), 0.0)
        beside = real if real is None or not pairs else ops.where(self.kept, real, 0.0)
        at_zero = objective(others, real if real is None or not pairs else others)
        return (objective(ops.where(self.kept, fake, 0.0), beside) - (1 - self.share) * at_zero) / self.share


def best(fake: Tensor, step: Array, share: float, steps: int | None, lower: bool) -> Best:
    """The best scores of fakes, one for each: N share^(step / steps) of the whole batch, but no fewer than N share.

    Without `steps` they are N share from the start; with `lower` low scores are the best ones. Of several processes
    each is told which of its own they are. ShapeError unless each sample has one score.
    """
    if fake.size != len(fake):
        raise ShapeError(f"top_k: expected one score a sample, got scores {fake.shape} of {len(fake)}")
    own = ops.reshape(fake.detach(), (-1,))
    everybodys = ops.all_gather(own)
    count = made(_count, step, len(everybodys), share, steps, fake.dtype)
    kept = made(_kept, own.data, everybodys.data, count, processes.part(), lower)
    return Best(ops.reshape(Tensor(kept), fake.shape), Tensor(count) / len(everybodys))


def _count(step: Array, n: int, share: float, steps: int | None, dtype: Any) -> Array:
    """How many are the best; the step is read where it lives."""
    lib = xp(step)
    left = share if steps is None else share ** (step / steps).clip(0, 1)
    return lib.asarray(lib.maximum(lib.rint(lib.asarray(n * left)), 1), dtype)


def _kept(own: Array, everybodys: Array, count: Array, part: processes.Part, lower: bool) -> Array:
    """Which of one's own scores are among so many best ones of all; of equal ones the first."""
    lib = xp(own)
    places = lib.arange(len(everybodys))
    sign = -1 if lower else 1
    mine, others, mine_at = sign * own[:, None], sign * everybodys[None], part.take(places)[:, None]
    before = (others > mine) | ((others == mine) & (places[None] < mine_at))
    return before.sum(1) < count
