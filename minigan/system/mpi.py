"""MPI by mpi4py, and whether it connects the processes that a launcher started."""

import importlib
from typing import Any

from ..errors import MissingExtra, ProcessError
from .launcher import alike

INSTALL = "pip install 'minigan[mpi]', which is mpi4py and mpich"


def library() -> Any:
    """mpi4py.MPI; MissingExtra with the command that installs what is not there."""
    try:
        return importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # there is no mpi4py, or no MPI for it
        why = str(error).partition("\n")[0]
        raise MissingExtra(f"several processes need mpi4py and an MPI library ({why}): {INSTALL}") from None


def connecting(count: int) -> Any:
    """`library()`, which connects as many processes as a launcher started.

    MissingExtra, or ProcessError if it connects others; the first process alone raises it (`alike`).
    """
    with alike():
        found = library()
        if (size := found.COMM_WORLD.size) != count:
            name = found.Get_library_version().split("\n")[0].strip("\0 ")
            raise ProcessError(
                f"{count} processes were started, of which MPI ({name}) connects {size}: launcher and MPI library do "
                "not belong together (mpiexec of another MPI, or srun without --mpi=pmi2 or --mpi=pmix)"
            )
    return found
