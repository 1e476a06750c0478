"""Who started this program: mpiexec or srun, together with others like it, or anybody else, alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..errors import MiniganError, ProcessError

# who sets it, and beside which other variable it counts: a batch script of Slurm's has the second without a step
COUNTS = {"PMI_SIZE": "", "OMPI_COMM_WORLD_SIZE": "", "SLURM_NTASKS": "SLURM_STEP_ID"}
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


_by_itself = ContextVar("this process works by itself", default=False)


def launched() -> int:
    """How many processes mpiexec or srun started to run this program together; 1 if none of them did.

    That is what their environment says (MPICH's and Intel's mpiexec, Open MPI's, srun): nothing is loaded to find out.
    1 too where this process does work of its own (`separate`).
    """
    if _by_itself.get():
        return 1
    for name, beside in COUNTS.items():
        told = os.environ.get(name, "")
        if told.isdecimal() and (not beside or beside in os.environ):
            return max(int(told), 1)
    return 1


def first() -> bool:
    """Is this the first of them, which speaks for all?"""
    return launched() == 1 or not any(os.environ.get(name, "0").strip("0") for name in RANKS)


def check_alone() -> None:
    """ProcessError if mpiexec or srun started several times what is one process's work; the first alone says so."""
    with alike():
        if launched() > 1:
            raise ProcessError(
                f"this is the work of one process, and {launched()} were started: leave out mpiexec or srun"
            )


@contextmanager
def alike() -> Iterator[None]:
    """A block whose errors all processes have alike: the first raises them, the others end with status 1."""
    try:
        yield
    except MiniganError:
        if first():
            raise
        sys.exit(1)


@contextmanager
def separate() -> Iterator[None]:
    """Within the block, in this thread, this process does work of its own, whatever was started beside it."""
    before = _by_itself.set(True)
    try:
        yield
    finally:
        _by_itself.reset(before)
