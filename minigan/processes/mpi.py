"""Processes that MPI connects (mpi4py), with arrays on the host.

MPI lets a process wait for ever for one that does not come. So a process that fails ends the others (`fail`), and one
that waits longer than its `patience` ends all.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np

from ..backend import Array
from ..system.mpi import library
from ..system.terminal import warn
from .group import Group

T = TypeVar("T")
PATIENCE = 600.0  # seconds that a process waits for the others
HEARD = 0.5  # seconds in which mpiexec passes on a process's last words, before all are ended


class MPIGroup(Group):
    """The processes of a communicator of mpi4py, by default all that mpiexec or srun started.

    None waits longer than `patience` seconds for the others, 0 for as long as it takes: a process that is gone, stopped
    or no longer reached ends all by that.
    """

    def __init__(self, communicator: Any = None, patience: float = PATIENCE) -> None:
        self._mpi = library()
        self.communicator = self._mpi.COMM_WORLD if communicator is None else communicator
        self.rank = self.communicator.Get_rank()
        self.size = self.communicator.Get_size()
        of_machine = self.communicator.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.local_rank = of_machine.Get_rank()
        of_machine.Free()
        self.patience = patience
        self._waits_since = 0.0  # by time.monotonic; 0 if it does not wait
        self._watching = False
        self._done = False

    def waiting(self) -> AbstractContextManager[None]:
        """For no longer than `patience`."""
        return self._waiting()

    def ended(self) -> None:
        """Whatever befalls this process from now on is no business of the others."""
        self._done = True

    def fail(self, status: int) -> None:
        """End all processes with that exit status, unless their work is done. It does not return then."""
        if not self._done:
            self._end_all(status)

    def sum(self, array: Array) -> Array:
        """By Allreduce: all get the same bits."""
        return self._reduced(array, self._mpi.SUM)

    def max(self, array: Array) -> Array:
        """By Allreduce."""
        return self._reduced(array, self._mpi.MAX)

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """By Bcast."""
        with self._waiting(counted=True):
            self.communicator.Bcast(_bytes(array), root)
        return array

    def gather(self, array: Array) -> Array:
        """By Allgather."""
        found = np.empty((self.size, *array.shape), array.dtype)
        with self._waiting(counted=True):
            self.communicator.Allgather(_bytes(array), _bytes(found))
        return found

    def same(self, value: T) -> T:
        """Pickled, by bcast."""
        with self._waiting():
            return self.communicator.bcast(value)

    def everybodys(self, value: T) -> list[T]:
        """Pickled, by allgather."""
        with self._waiting():
            return self.communicator.allgather(value)

    def _reduced(self, array: Array, how: Any) -> Array:
        if array.dtype == np.float16:  # a type that MPI does not know
            array[...] = self._reduced(array.astype(np.float32), how)
        else:
            with self._waiting(counted=True):
                self.communicator.Allreduce(self._mpi.IN_PLACE, array, how)
        return array

    @contextmanager
    def _waiting(self, counted: bool = False) -> Iterator[None]:
        """A block in which this process waits for the others, though not for ever; its time may be `counted`."""
        if self.patience and not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="minigan-patience", daemon=True).start()
        self._waits_since = time.monotonic()
        try:
            yield
        finally:
            if counted:
                self.seconds += time.monotonic() - self._waits_since
            self._waits_since = 0.0

    def _watch(self) -> None:
        """End all once this process has waited too long."""
        while not self._done:
            time.sleep(min(self.patience / 10, 1.0) or 1.0)
            since = self._waits_since
            if since and self.patience and time.monotonic() - since > self.patience:
                warn(
                    f"minigan: process {self.rank + 1} of {self.size} has waited {self.patience:g} s for the others, "
                    "one of which is gone, stopped or out of reach: all are ended"
                )
                self._end_all(1)

    def _end_all(self, status: int) -> None:
        time.sleep(HEARD)
        self.communicator.Abort(status)


def _bytes(array: Array) -> Array:
    """A contiguous array as bytes, of any type."""
    return array.reshape(-1).view(np.uint8)
