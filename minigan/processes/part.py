"""Which rows of a batch are meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ..errors import ShapeError


@dataclass(frozen=True)
class Part:
    """Rows index, index + count, index + 2 count, ... of a batch: one of `count` parts that are equally large.

    Dealt out in turn, rows stay with their part where batches are put behind each other, and where samples k, k + M,
    k + 2M, ... belong together (packs, groups of `nn.MinibatchStdDev`).
    """

    index: int = 0
    count: int = 1

    def take(self, whole: Any) -> Any:
        """This part's rows of an array or a Tensor; ShapeError if the rows do not split into so many parts."""
        self.rows(len(whole))
        return whole if self.count == 1 else whole[self.index :: self.count]

    def rows(self, n: int) -> int:
        """How many of n rows are this part's; ShapeError, with numbers near n that would do, if n does not split."""
        if n % self.count:
            fitting = [k for k in (n - n % self.count, n + self.count - n % self.count) if k]
            near = " or ".join(str(k) for k in fitting)
            raise ShapeError(f"a batch of {n} does not split into {self.count} equal parts: take {near}")
        return n // self.count

    def split(self, j: int, parts: int) -> "Part":
        """The j-th of so many parts of this one."""
        return Part(self.index + j * self.count, self.count * parts)


WHOLE = Part()
_meant: ContextVar[Part] = ContextVar("minigan's rows of a batch", default=WHOLE)


def part() -> Part:
    """Whose rows this thread computes now: within a turn of a distributed game its process's, elsewhere all."""
    return _meant.get()


@contextmanager
def meaning(rows: Part) -> Iterator[None]:
    """Within the block, and in this thread only, `rows` are what is drawn and computed."""
    before = _meant.set(rows)
    try:
        yield
    finally:
        _meant.reset(before)


def whole() -> Any:
    """A block in which draws are whole: within a turn, for what is no row of a batch, and the same on all processes."""
    return meaning(WHOLE)
