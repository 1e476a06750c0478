"""The processes that were started together with this one."""

import functools

from ..errors import ProcessError
from ..system.launcher import launched
from .group import ALONE, Group


@functools.cache
def world() -> Group:
    """All processes that mpiexec or srun started with this one; `ALONE` without them.

    MissingExtra if there are several and mpi4py is not installed; ProcessError if the launcher started several that MPI
    does not connect.
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
    return group
