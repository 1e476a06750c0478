"""A stand-in for cupy.cuda.nccl: the devices of fakecuda.py, connected by whatever group the ranks have already.

It refuses what NCCL refuses, or what NCCL would wait for without end: two ranks on one device, calls that differ in
kind, type or count, memory of the host or of another device, a call on another stream than the one that captures, and a
call that is captured by some ranks only. As NCCL does, it waits for nobody while a stream captures: what is recorded is
done when the graph is launched. Unlike NCCL it always waits for the call to be done.

    fakecupy.install(monkeypatch)
    fakenccl.install(monkeypatch)
    fakenccl.together(4, lambda group: group.sum(...))
"""

import sys
import threading
import types

import numpy as np
from cuda_references import at_address
from fakecuda import Work, device
from fakecupy import NAMES

from minigan.processes import NCCLGroup, Threads, world

TYPES = {0: "int8", 1: "uint8", 2: "int32", 3: "uint32", 4: "int64", 5: "uint64", 6: "float16", 7: "float32"}
TYPES |= {8: "float64", 9: "bfloat16"}  # of ncclDataType_t
OPERATIONS = {0: np.add, 1: np.multiply, 2: np.maximum, 3: np.minimum}  # of ncclRedOp_t

_here = threading.local()  # the group of this thread's next communicator, if it is not the world


class NcclError(RuntimeError):
    """cupy.cuda.nccl.NcclError."""

    def __init__(self, why):
        super().__init__(f"NCCL_ERROR_INVALID_USAGE: invalid usage ({why})")


def connected(control):
    """An NCCLGroup of the ranks of `control`, which are threads or processes."""
    _here.control = control
    try:
        return NCCLGroup(control)
    finally:
        del _here.control


def together(ranks, work):
    """What work(group) gives each of so many ranks, threads with a device each, on which nothing lies yet."""
    device.reset(ranks)
    return Threads(ranks).run(lambda control: work(connected(control)))


class NcclCommunicator:
    """cupy.cuda.nccl.NcclCommunicator."""

    def __init__(self, ndev, commId, rank):
        self._control = getattr(_here, "control", None) or world()
        assert type(commId) is bytes
        assert len(commId) == 128
        assert (ndev, rank) == (self._control.size, self._control.rank)
        self._device = device.id
        self._captured = None, []  # the tape of the last capture, and the calls that are recorded on it
        found = self._control.everybodys((commId, self._device))
        if len({identity for identity, _ in found}) > 1:
            raise NcclError("ranks were given different ids")
        if len({number for _, number in found}) < ndev:
            raise NcclError("Duplicate GPU detected")

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        dtype = np.dtype(TYPES[datatype])
        name = f"allReduce of {count} {dtype} by {OPERATIONS[op].__name__}"
        self._call(name, sendbuf, recvbuf, (count,), dtype, stream, lambda all_: _together(all_, OPERATIONS[op]))

    def broadcast(self, sendbuff, recvbuff, count, datatype, root, stream):
        dtype = np.dtype(TYPES[datatype])
        name = f"broadcast of {count} {dtype} from {root}"
        self._call(name, sendbuff, recvbuff, (count,), dtype, stream, lambda all_: all_[root])

    def allGather(self, sendbuf, recvbuf, count, datatype, stream):
        dtype, ranks = np.dtype(TYPES[datatype]), self._control.size
        name = f"allGather of {count} {dtype}"
        self._call(name, sendbuf, recvbuf, (ranks, count), dtype, stream, np.stack)

    def _call(self, name, sends, receives, shape, dtype, stream, together):
        """Do it, or record it: together(what everybody sends) is what each receives, in this shape."""
        assert all(type(given) is int for given in (sends, receives, *shape, stream)), "CuPy takes Python's integers"
        if device.id != self._device:
            raise NcclError(f"a communicator of device {self._device} is used on device {device.id}")
        sizes = shape[-1] * dtype.itemsize, int(np.prod(shape)) * dtype.itemsize
        for address, size in zip((sends, receives), sizes, strict=True):
            if size and not device.holds(address, size):
                raise NcclError(f"{name}: {size} bytes at {address:#x} are no memory of this device")
        sent, received = (at_address(*of, "uint8").view(dtype) for of in zip((sends, receives), sizes, strict=True))
        received = received.reshape(shape)

        def do(called=name):
            everybodys = self._control.everybodys((called, sent.copy()))
            names = [each for each, _ in everybodys]
            if len(set(names)) > 1:
                raise NcclError(f"ranks met in different calls: {'; '.join(names)}")
            received[...] = together([values for _, values in everybodys])

        if device.tape is None:
            device.note(Work(name, do))
            if not device.idle:
                do()
            return
        if stream != device.tape.stream.ptr:
            raise NcclError(f"{name} on stream {stream}, while stream {device.tape.stream.ptr} captures")
        if self._captured[0] is not device.tape:
            self._captured = device.tape, []
        recorded = self._captured[1]
        recorded.append(name)
        number = len(recorded)
        launched = lambda: do(f"{name}, call {number} of a graph of {recorded}")  # which is whole by then
        device.tape.before.append((received, received.copy()))
        received[...] = sent  # numbers to go on with, which are undone: nothing that is captured is computed
        device.note(Work(name, launched))


def _together(arrays, operation):
    """The same bits for all: in the order of ranks."""
    found = arrays[0]
    for array in arrays[1:]:
        found = operation(found, array)
    return found


def install(monkeypatch, available=True):
    """Make the stand-in what CuPy has as cuda.nccl, or what CuPy has in its place where no NCCL is found."""
    module = types.ModuleType("cupy.cuda.nccl")
    module.available = available
    if available:
        vars(module).update({f"NCCL_{name.upper()}": number for number, name in TYPES.items()})
        module.NCCL_SUM, module.NCCL_PROD, module.NCCL_MAX, module.NCCL_MIN = OPERATIONS
        module.NcclCommunicator, module.NcclError = NcclCommunicator, NcclError
        module.get_unique_id = lambda: np.random.default_rng().bytes(128)
        module.get_version = lambda: 22707
        assert {name for name in vars(module) if name[0] != "_"} <= NAMES["cupy.cuda.nccl"]
        methods = {name for name in vars(NcclCommunicator) if name[0] != "_"}
        assert methods <= NAMES["cupy.cuda.nccl.NcclCommunicator"]
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", module)
    return module
