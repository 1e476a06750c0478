"""What a discriminator answers: scores, alone or with what a game has it read beside."""

from operator import itemgetter
from typing import Any

from ..errors import ShapeError
from ..tensor import Tensor, mapped

Answer = tuple[Tensor, Any]  # (scores, reading): a Tensor or a tuple of some, None if there is none


def split(answer: Any) -> Answer:
    """(scores, reading) of a discriminator's answer; the reading is None if it gives scores alone."""
    scores, reading = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
    if not isinstance(scores, Tensor) or (reading is None and scores is not answer):
        found = [type(part).__name__ for part in answer] if isinstance(answer, tuple) else type(answer).__name__
        raise ShapeError(f"a discriminator gives scores, or (scores, reading), got {found}")
    return scores, reading


def parted(answer: Any, n: int) -> list[Answer]:
    """The answers of the first n samples and of the others, of one for all."""
    scores, reading = split(answer)
    sides = slice(n), slice(n, None)
    return [(scores[side], None if reading is None else mapped(reading, itemgetter(side))) for side in sides]
