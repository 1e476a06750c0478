"""The processes that were started together with this one."""

import functools
import sys
from types import TracebackType

from ..errors import ProcessError
from ..system import terminal
from ..system.launcher import launched
from .group import ALONE, Group


@functools.cache
def world() -> Group:
    """All processes that mpiexec or srun started with this one; `ALONE` without them.

    The first speaks from now on, and a program that ends with an error, or before the others know that it does, ends
    all. MissingExtra if there are several and mpi4py is not installed; ProcessError if the launcher started several
    that MPI does not connect.
    """
    count = launched()
    if count < 2:
        return ALONE
    from .mpi import MPIGroup  # mpi4py begins MPI when it is loaded

    group = MPIGroup()
    if group.size != count:
        raise ProcessError(
            f"{count} processes were started, of which MPI connects {group.size}: launcher and MPI library do not "
            "belong together (mpiexec of another MPI, or srun without --mpi=pmi2 or --mpi=pmix)"
        )
    if group.rank:
        terminal.silence(f" (process {group.rank + 1} of {group.size})")
    terminal.tell_status(lambda status: group.fail(status) if status else None)
    before = sys.excepthook

    def with_all(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        before(kind, error, at)
        group.fail(1)

    sys.excepthook = with_all
    return group
