"""The CUDA side of the stand-in for CuPy: streams, graphs and kernels, with CUDA's rules; cuBLAS is in fakecublas.py.

Work is done at once. While a stream captures, work is done, recorded, and undone when the capture ends, since CUDA
only records; a replay does what was recorded again, on the same memory. Whatever CUDA or CuPy would refuse
meanwhile is refused: waiting for the device, sending it something, cuBLAS through CuPy, the null stream.
"""

import contextlib
import inspect
import re
import threading
import time
import types
import weakref
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import fakepools
import numpy as np
import shim
from cuda_references import REFERENCES, at_address
from fakepools import CUDARuntimeError

NOT_CAPTURED = "operation not permitted when stream is capturing"


class Counts:
    """How often the host waited for the device, sent it something, gave it work, or launched a graph."""

    syncs = 0
    uploads = 0
    launches = 0
    graphs = 0

    def clear(self):
        self.syncs = self.uploads = self.launches = self.graphs = 0


class Work(NamedTuple):
    """Something that a device was given to do: a kernel of ours, a function of CuPy, a product."""

    name: str
    do: Callable[[], None]
    turned: int = 0  # bytes that it writes in another memory order than it reads them


counts = Counts()


def wait(what):
    """The host waits for the device."""
    if device.tape is not None:
        device.tape.broken = True
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {NOT_CAPTURED} ({what})")
    counts.syncs += 1


def upload():
    """The host sends something to the device."""
    if device.tape is not None:
        device.tape.broken = True
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {NOT_CAPTURED} (copy from the host)")
    counts.uploads += 1


def through_cublas(what):
    """CuPy is about to use its cuBLAS handle."""
    if device.tape is not None:
        raise NotImplementedError(f"calling cuBLAS API during stream capture is currently unsupported ({what})")


class Tape:
    """What a capturing stream has recorded, and how to undo it."""

    def __init__(self, stream):
        self.stream = stream
        self.work = []
        self.memory = []
        self.before = []
        self.broken = False

    def undo(self):
        for array, values in reversed(self.before):
            array[...] = values


class _State:
    """What one device is at."""

    def __init__(self):
        self.tape = None
        self.stream = Stream.null
        self.allocators = []
        self.pool = fakepools.MemoryPool()  # that everybody shares
        self.live = weakref.WeakValueDictionary()  # what holds the memory at an address


def _of_current(name):
    return property(lambda self: getattr(self.current, name), lambda self, value: setattr(self.current, name, value))


class _Device:
    """The device that is current in this thread."""

    order = None  # of threads, on the shim; None: kernels are computed by their NumPy references
    sanitize = False
    idle = False  # kernels and products are counted and not computed

    tape, stream, allocators, pool = map(_of_current, ("tape", "stream", "allocators", "pool"))

    def reset(self, count=1):
        """So many devices, at which nothing has happened yet; the first is current in every thread."""
        self.all = [_State() for _ in range(count)]
        self._in_thread = threading.local()
        self.order, self.sanitize, self.idle = None, False, False

    @property
    def id(self):
        return getattr(self._in_thread, "id", 0)

    @id.setter
    def id(self, number):
        self._in_thread.id = number

    @property
    def current(self):
        return self.all[self.id]

    def work(self, work, *written):
        """Do some Work that writes into these host arrays, and record it if a stream captures."""
        if self.tape is not None and not self.idle:
            self.tape.before += [(array, array.copy()) for array in written]
        self.note(work)
        if not self.idle:
            work.do()

    def note(self, work):
        """Count some Work, and record it if a stream captures."""
        counts.launches += 1
        if self.tape is not None:
            if self.stream.ptr == 0:
                raise CUDARuntimeError("cudaErrorStreamCaptureImplicit: the null stream was used during a capture")
            self.tape.work.append(work)

    def allocated(self, array):
        """Memory for an array: what it has to keep alive. While capturing it must come from a pool of graphs alone."""
        if self.tape is not None:
            if not self.allocators:
                raise AssertionError("memory of a captured step came from the pool that everybody shares")
            self.tape.memory.append(array)
        block = (self.allocators[-1] if self.allocators else self.pool.malloc)(array.nbytes)
        if array.nbytes:
            block.size = array.nbytes
            self.current.live[array.__array_interface__["data"][0]] = block
        return block

    def holds(self, address, size):
        """Does so much memory at that address belong to an array of this device?"""
        return any(start <= address <= start + b.size - size for start, b in list(self.current.live.items()))


class Stream:
    """cupy.cuda.Stream."""

    _made = 0

    def __init__(self, null=False, non_blocking=False):
        Stream._made += 1
        self.ptr = 0 if null else Stream._made
        self._outer = []

    def __enter__(self):
        self._outer.append(device.stream)
        device.stream = self
        return self

    def __exit__(self, *error):
        device.stream = self._outer.pop()

    def is_capturing(self):
        return device.tape is not None and device.stream is self

    def begin_capture(self, mode=None):
        assert device.tape is None
        if self.ptr == 0:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: the null stream cannot be captured")
        device.tape = Tape(self)

    def end_capture(self):
        tape, device.tape = device.tape, None
        tape.undo()
        if tape.broken:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error")
        return Graph(tape)

    def synchronize(self):
        wait("Stream.synchronize")

    def wait_event(self, event):
        pass

    def record(self, event=None):
        return event or Event()


Stream.null = Stream(null=True)
device = _Device()
device.reset()


class Device:
    """cupy.cuda.Device: an H100."""

    compute_capability = "90"

    def __init__(self, number=None):
        self.id = device.id if number is None else number
        if not 0 <= self.id < len(device.all):
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.pci_bus_id = f"0000:{self.id + 1:02x}:00.0"

    def use(self):
        device.id = self.id
        return self

    def synchronize(self):
        wait("Device.synchronize")


class Event:
    """cupy.cuda.Event; a time is that of the host."""

    def __init__(self):
        self.at = None
        self.reached = False

    def record(self, stream=None):
        self.at = time.perf_counter()

    def synchronize(self):
        self.reached = True


def get_elapsed_time(start, end):
    """cupy.cuda.get_elapsed_time, in milliseconds."""
    if start.at is None or end.at is None or not end.reached:
        raise CUDARuntimeError("cudaErrorNotReady: an event was not recorded, or nobody has waited for it")
    return (end.at - start.at) * 1e3


class Graph:
    """cupy.cuda.Graph."""

    def __init__(self, tape):
        self.work = tape.work
        self._memory = tape.memory

    def launch(self, stream=None):
        assert device.tape is None
        counts.graphs += 1
        for work in self.work if not device.idle else ():
            work.do()

    def upload(self, stream=None):
        pass


@contextmanager
def using_allocator(allocator):
    """cupy.cuda.using_allocator."""
    device.allocators.append(allocator)
    try:
        yield
    finally:
        device.allocators.pop()


# --- kernels --------------------------------------------------------------------------------------------------


READ_BY_STRIDES = {"product"}  # kernels that are told the strides of what they are given


def memory(host, kernel):
    """A host array as a flat one, in memory order, not copied; with gaps only for kernels that know of them."""
    flat = host.ravel(order="K")
    if np.may_share_memory(flat, host) or not host.size:
        return flat
    assert kernel in READ_BY_STRIDES, f"{kernel} was given an array that is not dense"
    extent = 1 + sum((n - 1) * stride for n, stride in zip(host.shape, host.strides, strict=True)) // host.itemsize
    return np.lib.stride_tricks.as_strided(host, (extent,), (host.itemsize,))


class RawModule:
    """cupy.RawModule: kernels as they are written, on the shim, or as NumPy computes them."""

    def __init__(self, *, code, options):
        self._code = code
        self._options = options

    def get_function(self, name):
        pattern = rf'extern "C" __global__ void\s+(?:__launch_bounds__\([\w, ]+\)\s*)?{name}\((.*?)\)'
        signature = re.search(pattern, self._code, re.S)
        assert signature, f"no kernel {name}"
        parameters = [p.strip() for p in signature[1].split(",")]

        told = "dtype" in inspect.signature(REFERENCES[name]).parameters  # where no argument shows it
        typed = {"dtype": _real(self._options)} if told else {}

        def run(grid, block, args, shared_mem):
            if device.order is None:
                REFERENCES[name](*args, **typed)
            else:
                compiled = shim.Module(self._code, self._options, sanitize=device.sanitize).get_function(name)
                with _guarded(args) if device.sanitize else contextlib.nullcontext(args) as given:
                    compiled(grid, block, given, order=device.order, shared_mem=shared_mem)

        def launch(grid, block, args, *, shared_mem=0):
            assert shared_mem <= launch.max_dynamic_shared_size_bytes, (name, shared_mem)
            assert len(args) == len(parameters), f"{name}: {len(args)} arguments for {parameters}"
            passed, written = [], []
            for parameter, a in zip(parameters, args, strict=True):
                assert a is None or hasattr(a, "_host") or isinstance(a, np.generic | np.ndarray), (name, parameter, a)
                assert a is not None, f"{name}: None is not passed alike by every CuPy"
                if not hasattr(a, "_host"):
                    passed.append(None if "*" in parameter and a == 0 else a)
                    if parameter.startswith("Table"):
                        written += list(_written_by_table(a, self._options))
                    continue
                flat = memory(a._host, name)
                passed.append(flat)
                if "const" not in parameter:
                    written.append(flat)
            assert all(g > 0 for g in grid), (name, grid)
            device.work(Work(name, lambda: run(grid, block, tuple(passed), shared_mem)), *written)

        launch.max_dynamic_shared_size_bytes = 48 << 10
        return launch


@contextmanager
def _guarded(args):
    """The arguments with each array in a block of memory of its own, copied back afterwards."""
    given = [shim.guarded(a) if isinstance(a, np.ndarray) and a.dtype.names is None else a for a in args]
    yield tuple(given)
    for a, b in zip(args, given, strict=True):
        if a is not b:
            a[...] = b


def _real(options):
    """The type of which kernels with these options are."""
    return np.float64 if "-DREAL=double" in options else np.float32


def _written_by_table(table, options):
    """The arrays that an update writes: every parameter and slot of its table."""
    dtype = _real(options)
    for k, size in enumerate(table["size"]):
        for address in (table["p"][k], *table["slot"][:, k]):
            if size and address:
                yield at_address(address, size, dtype)


def make():
    """The module cupy.cuda."""
    runtime = types.SimpleNamespace(
        runtimeGetVersion=lambda: 13000,
        getDeviceCount=lambda: len(device.all),
        memGetInfo=fakepools.memory_info,
        CUDARuntimeError=CUDARuntimeError,
        cudaDevAttrMaxSharedMemoryPerMultiprocessor=81,
        deviceGetAttribute=lambda attribute, device: {81: 228 << 10}[attribute],
    )
    return types.SimpleNamespace(
        is_available=lambda: True,
        cublas=types.SimpleNamespace(getVersion=lambda: 130000),
        runtime=runtime,
        Stream=Stream,
        Event=Event,
        get_elapsed_time=get_elapsed_time,
        Graph=Graph,
        Memory=fakepools.Memory,
        MemoryPointer=fakepools.MemoryPointer,
        MemoryPool=fakepools.MemoryPool,
        using_allocator=using_allocator,
        get_current_stream=lambda: device.stream,
        Device=Device,
    )
