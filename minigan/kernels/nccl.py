"""NCCL, as CuPy offers it: sums and copies between the GPUs of several processes, on the stream that is current.

Nothing here waits: a call gives the device work, which is done when all processes have given theirs, in the same order.
It can be a part of a CUDA graph, if it is one in every process, and the graph is then launched by every process.
"""

import importlib
import warnings
from typing import Any

from ..backend import Array, array_module
from ..errors import DeviceError, DTypeError, MissingExtra, ShapeError

_TYPES = {  # whose sums NCCL knows, and what it calls them
    "float16": "NCCL_FLOAT16",
    "float32": "NCCL_FLOAT32",
    "float64": "NCCL_FLOAT64",
    "int8": "NCCL_INT8",
    "uint8": "NCCL_UINT8",
    "int32": "NCCL_INT32",
    "uint32": "NCCL_UINT32",
    "int64": "NCCL_INT64",
    "uint64": "NCCL_UINT64",
}


def library() -> Any:
    """cupy.cuda.nccl; DeviceError if there is no GPU, MissingExtra with the command that installs NCCL."""
    cupy: Any = array_module("cuda")
    with warnings.catch_warnings():  # CuPy has its own words for what is missing
        warnings.simplefilter("ignore")
        try:
            found = importlib.import_module("cupy.cuda.nccl")
        except ImportError:
            found = None
    if not getattr(found, "available", False):
        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        raise MissingExtra(
            f"several GPUs need NCCL, which CuPy {cupy.__version__} does not find: pip install nvidia-nccl-cu{major}"
        )
    return found


def devices() -> int:
    """How many GPUs this process sees."""
    return array_module("cuda").cuda.runtime.getDeviceCount()


def name_of(device: int) -> str:
    """What tells that GPU from all others of the machine: its place on the bus."""
    return array_module("cuda").cuda.Device(device).pci_bus_id


def use(device: int) -> None:
    """From now on this thread works on that GPU; DeviceError if arrays lie on another one already."""
    cupy: Any = array_module("cuda")
    current = cupy.cuda.Device().id
    if device != current and cupy.get_default_memory_pool().used_bytes():
        raise DeviceError(
            f"arrays lie on GPU {current} already, and this process is to use GPU {device}: "
            "make the group of processes before anything that lives on a GPU"
        )
    cupy.cuda.Device(device).use()


class Communicator:
    """This process's end of what connects as many GPUs as there are processes; made by all of them at once."""

    def __init__(self, identity: bytes, rank: int, size: int) -> None:
        """`identity` is what `identity()` gave to one of them."""
        self._cupy: Any = array_module("cuda")
        self._nccl = library()
        self._size = size
        self._connected = self._nccl.NcclCommunicator(size, identity, rank)

    def sum(self, array: Array) -> Array:
        """`array`, contiguous, which becomes the sum of everybody's; DTypeError for elements that NCCL cannot add."""
        return self._reduced(array, self._nccl.NCCL_SUM)

    def max(self, array: Array) -> Array:
        """`array`, contiguous, which becomes the largest of everybody's, element by element."""
        return self._reduced(array, self._nccl.NCCL_MAX)

    def broadcast(self, array: Array, root: int) -> Array:
        """`array`, contiguous and of any type, which becomes the root's."""
        at = self._address(array)
        self._connected.broadcast(at, at, array.nbytes, self._nccl.NCCL_UINT8, root, self._stream())
        return array

    def gather(self, array: Array) -> Array:
        """Everybody's arrays, contiguous and of any type, in order of rank: (size, ...)."""
        found = self._cupy.empty((self._size, *array.shape), dtype=array.dtype)
        addresses = self._address(array), self._address(found)
        self._connected.allGather(*addresses, array.nbytes, self._nccl.NCCL_UINT8, self._stream())
        return found

    def _reduced(self, array: Array, how: int) -> Array:
        known = _TYPES.get(str(array.dtype))
        if known is None:
            raise DTypeError(f"NCCL adds and compares {', '.join(_TYPES)}, got an array {array.shape} {array.dtype}")
        at = self._address(array)
        self._connected.allReduce(at, at, array.size, getattr(self._nccl, known), how, self._stream())
        return array

    def _address(self, array: Array) -> int:
        if not array.flags.c_contiguous:
            raise ShapeError(f"NCCL: expected an array in C order without gaps, got one {array.shape} {array.strides}")
        return array.data.ptr

    def _stream(self) -> int:
        return self._cupy.cuda.get_current_stream().ptr


def identity() -> bytes:
    """What a communicator is known by, for all processes that it is to connect."""
    return library().get_unique_id()
