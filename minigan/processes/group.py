"""Who computes together: what a group of processes can do, and the group of one."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

import numpy as np

from ..backend import Array
from ..kernels.calls import Rendezvous
from .part import Part, meaning

T = TypeVar("T")


class Group(Rendezvous):
    """Processes that compute together; this one is alone, and does nothing.

    Every process calls the same methods in the same order, with arrays of the same shapes and types: each call waits
    for all of them. `rank` is this process's number, `size` how many there are, `local_rank` its number among those of
    its machine.
    """

    rank = 0
    size = 1
    local_rank = 0
    seconds = 0.0  # spent on sums of arrays so far, waiting for the others among them

    # --- arrays, on the device of the group

    def sum(self, array: Array) -> Array:
        """`array`, contiguous, which becomes the sum of everybody's, in place: the same bits for all."""
        return array

    def max(self, array: Array) -> Array:
        """`array`, contiguous, which becomes the largest of everybody's, element by element."""
        return array

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """`array`, contiguous, which becomes the root's."""
        return array

    def gather(self, array: Array) -> Array:
        """Everybody's arrays in order of rank: (size, ...)."""
        return array[None]

    # --- what Python decides

    def same(self, value: T) -> T:
        """The first process's value: what it knows of files, of the clock or of signals, told to all."""
        return value

    def any(self, flag: bool) -> bool:
        """Is it true for one of them?"""
        return bool(self.host.max(np.array([flag], np.int64))[0])

    def everybodys(self, value: T) -> list[T]:
        """What each has, in order of rank."""
        return [value]

    def waiting(self) -> AbstractContextManager[None]:
        """A block in which this process waits for its GPU, and so for the others, whose sums the GPU waits for."""
        return nullcontext()

    def ended(self) -> None:
        """All have told each other that their work is done: none waits for another from now on."""

    @property
    def host(self) -> "Group":
        """The same processes, for arrays on the host."""
        return self


ALONE = Group()


class _Here(NamedTuple):
    group: Group = ALONE
    statistics: Group = ALONE


_NOBODY_ELSE = _Here()
_here: ContextVar[_Here] = ContextVar("minigan's processes", default=_NOBODY_ELSE)


def group() -> Group:
    """Who computes together with this thread: within a turn of a distributed game its group, elsewhere nobody."""
    return _here.get().group


def statistics() -> Group:
    """Who shares the statistics of batch norm: the group, unless each keeps to its own rows."""
    return _here.get().statistics


@contextmanager
def using(group: Group, *, sync_norm: bool = True) -> Iterator[Group]:
    """Within the block, in this thread: these compute together, each its rows of a batch.

    Without `sync_norm` batch norm takes the statistics of a process's own rows.
    """
    before = _here.set(_Here(group, group if sync_norm else ALONE))
    try:
        with meaning(Part(group.rank, group.size)):
            yield group
    finally:
        _here.reset(before)
