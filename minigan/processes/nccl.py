"""Processes that NCCL connects: arrays on GPUs, one GPU for each process."""

import platform
from contextlib import AbstractContextManager
from typing import TypeVar

from ..backend import Array, is_cuda
from ..errors import DeviceError
from ..kernels import nccl
from .group import Group

T = TypeVar("T")


class NCCLGroup(Group):
    """The processes of `control`, which all make it at once, with arrays on their GPUs.

    Arrays on a GPU go through NCCL, on the stream that is current: a captured turn captures its sums too. Arrays on the
    host, and what Python decides, go through `control`. No process waits for its GPU, and `seconds` stays 0.

    To be made before anything lies on a GPU, as it chooses which one the process uses (`device_of_rank`). All raise
    DeviceError where one of them has no GPU of its own; MissingExtra is raised where NCCL is not found.
    """

    def __init__(self, control: Group) -> None:
        self.control = control
        self.rank, self.size, self.local_rank = control.rank, control.size, control.local_rank
        self.device = device_of_rank(control)
        self._connected = nccl.Communicator(
            control.same(nccl.identity() if control.rank == 0 else b""), control.rank, control.size
        )

    def sum(self, array: Array) -> Array:
        """On the GPU, by all-reduce: all get the same bits."""
        return self._connected.sum(array) if is_cuda(array) else self.control.sum(array)

    def max(self, array: Array) -> Array:
        """On the GPU, by all-reduce."""
        return self._connected.max(array) if is_cuda(array) else self.control.max(array)

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """On the GPU, as bytes of any type."""
        return self._connected.broadcast(array, root) if is_cuda(array) else self.control.broadcast(array, root)

    def gather(self, array: Array) -> Array:
        """On the GPU, as bytes of any type."""
        return self._connected.gather(array) if is_cuda(array) else self.control.gather(array)

    def same(self, value: T) -> T:
        """By `control`."""
        return self.control.same(value)

    def everybodys(self, value: T) -> list[T]:
        """By `control`."""
        return self.control.everybodys(value)

    def waiting(self) -> AbstractContextManager[None]:
        """As long as `control` has patience."""
        return self.control.waiting()

    def ended(self) -> None:
        """Told to `control`."""
        self.control.ended()

    @property
    def host(self) -> Group:
        """`control`'s."""
        return self.control.host


def device_of_rank(control: Group) -> int:
    """The number of the GPU that this process uses from now on, of those that it sees; asked by all at once.

    Where it sees but one, as CUDA_VISIBLE_DEVICES or a scheduler may have it, that one; of several the one of its
    number among the processes of its machine. All raise DeviceError if two would use the same one, or if one of them
    can use none.
    """
    chosen, name, problem = 0, "", None
    try:
        nccl.library()
        chosen = control.local_rank % nccl.devices()
        name = nccl.name_of(chosen)
        nccl.use(chosen)
    except Exception as error:  # whatever it is, the others have to know
        problem = error
    everybodys = control.everybodys((platform.node(), name, problem and str(problem)))
    if problem is not None:
        raise problem
    users: dict[tuple[str, str], int] = {}
    for process, (machine, gpu, why) in enumerate(everybodys, 1):
        if why is not None:
            raise DeviceError(f"process {process} of {control.size}: {why}")
        first = users.setdefault((machine, gpu), process)
        if first != process:
            raise DeviceError(
                f"processes {first} and {process} of {control.size} would both use the GPU {gpu} of {machine}, where "
                "NCCL wants one for each: start as many on a machine as there are GPUs that they see "
                "(CUDA_VISIBLE_DEVICES)"
            )
    return chosen
