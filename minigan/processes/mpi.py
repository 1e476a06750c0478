"""Processes that MPI connects (mpi4py), with arrays on the host."""

import importlib
from typing import Any, TypeVar

import numpy as np

from ..backend import Array
from ..errors import MissingExtra
from .group import Group

T = TypeVar("T")
INSTALL = "pip install 'minigan[mpi]', which is mpi4py and mpich"


def library() -> Any:
    """mpi4py.MPI; MissingExtra with the command that installs what is not there."""
    try:
        return importlib.import_module("mpi4py.MPI")
    except ImportError as error:
        raise MissingExtra(f"several processes need mpi4py and an MPI library ({error}): {INSTALL}") from None


class MPIGroup(Group):
    """The processes of a communicator of mpi4py, by default all that mpiexec or srun started."""

    def __init__(self, communicator: Any = None) -> None:
        self._mpi = library()
        self.communicator = self._mpi.COMM_WORLD if communicator is None else communicator
        self.rank = self.communicator.Get_rank()
        self.size = self.communicator.Get_size()

    def sum(self, array: Array) -> Array:
        """By Allreduce: all get the same bits."""
        return self._reduced(array, self._mpi.SUM)

    def max(self, array: Array) -> Array:
        """By Allreduce."""
        return self._reduced(array, self._mpi.MAX)

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """By Bcast."""
        self.communicator.Bcast(_bytes(array), root)
        return array

    def gather(self, array: Array) -> Array:
        """By Allgather."""
        found = np.empty((self.size, *array.shape), array.dtype)
        self.communicator.Allgather(_bytes(array), _bytes(found))
        return found

    def same(self, value: T) -> T:
        """Pickled, by bcast."""
        return self.communicator.bcast(value)

    def everybodys(self, value: T) -> list[T]:
        """Pickled, by allgather."""
        return self.communicator.allgather(value)

    def _reduced(self, array: Array, how: Any) -> Array:
        if array.dtype == np.float16:  # a type that MPI does not know
            array[...] = self._reduced(array.astype(np.float32), how)
        else:
            self.communicator.Allreduce(self._mpi.IN_PLACE, array, how)
        return array


def _bytes(array: Array) -> Array:
    """A contiguous array as bytes, of any type."""
    return array.reshape(-1).view(np.uint8)
