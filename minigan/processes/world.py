"""The processes that were started together with this one."""

import functools
import os
import platform
import sys
from types import TracebackType

from ..system import terminal
from ..system.launcher import launched
from ..system.machine import cores
from ..system.mpi import connecting
from .group import ALONE, Group
from .mpi import MPIGroup


def world() -> Group:
    """All processes that mpiexec or srun started with this one; `ALONE` without them.

    The first speaks from now on, and a program that ends with an error, or before the others know that it does, ends
    all. MissingExtra if there are several and mpi4py is not installed; ProcessError if the launcher started several
    that MPI does not connect.
    """
    count = launched()
    return ALONE if count < 2 else _connected(count)


@functools.cache
def _connected(count: int) -> Group:
    group = MPIGroup(connecting(count).COMM_WORLD)
    if group.rank:
        terminal.silence(f" (process {group.rank + 1} of {group.size})")
    terminal.tell_status(lambda status: group.fail(status) if status else None)
    before = sys.excepthook

    def with_all(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        before(kind, error, at)
        group.fail(1)

    sys.excepthook = with_all
    return group


def cores_of_one(group: Group) -> int:
    """How many cores each process has to itself: of those of its machine that it may use, its share.

    A launcher may have bound each process to cores of its own. They are all its share then.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores()))
    here = [theirs for machine, theirs in group.everybodys((platform.node(), usable)) if machine == platform.node()]
    among = sum(len(theirs) for theirs in here)
    return max(len(usable) * len({core for theirs in here for core in theirs}) // among, 1)
