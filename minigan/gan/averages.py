"""Moving averages of a game's numbers, which belong to its state."""

from collections.abc import Sequence

from .. import ops
from ..recording import no_grad
from ..tensor import Tensor


def follow(averages: Sequence[Tensor], values: Sequence[Tensor], decay: float, begun: Tensor, *, by: str) -> None:
    """Move each average by 1 - decay of what it is away from its value, in place; the first values become them.

    `begun`, 0 before the first call and 1 from then on, is a tensor as they are; `by` names who moves them.
    """
    with no_grad():
        kept = decay * begun
        for average, value in zip(averages, values, strict=True):
            average.copy_(kept * average + (1 - kept) * value, by=by)
        begun.copy_(ops.maximum(begun, 1.0), by=by)
