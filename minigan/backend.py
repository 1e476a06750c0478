"""Which array library an array belongs to, and how arrays move between devices.

The type of an array *is* its device: NumPy arrays live on "cpu", CuPy arrays on "cuda". Nothing here is
global and nothing imports CuPy until a CUDA device is asked for.
"""

import contextlib
import importlib
import importlib.util
import operator
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .errors import CaptureError, DeviceError, DTypeError, ShapeError, brief, described

Array = Any  # a numpy.ndarray or a cupy.ndarray

DEVICES = ("cpu", "cuda")  # where an array may lie

FLOAT64 = np.dtype(np.float64)  # of Tensors that are made of such numbers
FLOAT32 = np.dtype(np.float32)  # of all others that hold floats
NUMBERS = "biuf"  # the kinds of elements that Tensors hold: booleans, integers, floats


def xp(*arrays: Array) -> ModuleType:
    """The array library (numpy or cupy) of the first argument that is an array of either."""
    for array in arrays:
        if isinstance(array, np.ndarray):
            return np
        if is_cuda(array):
            return sys.modules["cupy"]
    return np


def is_cuda(array: Array) -> bool:
    """True if `array` is a CuPy array. Never imports CuPy: an array of its exists only once it is loaded."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def is_array(x: Any) -> bool:
    """True if x is an array of NumPy or CuPy, or a scalar of NumPy, and no Tensor, number or list."""
    return isinstance(x, np.ndarray | np.generic) or is_cuda(x)


def has_cuda() -> bool:
    """True once CuPy is loaded: before, no array can live on a CUDA device."""
    return "cupy" in sys.modules


def device_of(array: Array) -> str:
    """ "cpu" or "cuda"."""
    return "cuda" if is_cuda(array) else "cpu"


def to_device(array: Array, device: str) -> Array:
    """`array` on `device`, in the same memory order; the same object if it is there already."""
    if device_of(array) == check_device(device):
        return array
    lib = array_module("cuda")
    if is_capturing():
        raise CaptureError(
            f"an array {array.shape} {array.dtype} cannot be copied to {device} within a captured step: "
            "whatever a step reads must be on the device before it begins, and stays there until it has ended"
        )
    moved, axes = in_memory_order(array)  # CuPy would copy into C order
    return (lib.asarray(moved) if device == "cuda" else moved.get()).transpose(axes)


def in_memory_order(array: Array) -> tuple[Array, tuple[int, ...]]:
    """(`array` with its axes in the order in which they lie in memory, the axes that transpose it back)."""
    order = tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    return array.transpose(order), tuple(sorted(range(array.ndim), key=order.__getitem__))


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array; a CuPy array is copied to the host."""
    reads_back(array)
    return array if isinstance(array, np.ndarray) else array.get()


def to_numbers(arrays: Sequence[Array]) -> list[float]:
    """The values of 0-d float arrays, fetched from the device at once."""
    if not arrays:
        return []
    return [float(value) for value in to_numpy(xp(*arrays).stack(arrays))]


def as_dtype(name: str, dtype: Any) -> np.dtype:
    """`dtype` as a type of elements that Tensors have, in the machine's byte order; DTypeError if it is none."""
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(
            f'{name}: {brief(dtype)} is no type of elements; expected "float32", "float64", "int64", "bool" ...'
        ) from error
    if found.kind not in NUMBERS:
        raise DTypeError(f"{name}: Tensors hold floats, integers or booleans, not {found}")
    return np.dtype(found.type)


def as_float_dtype(name: str, dtype: Any) -> np.dtype:
    """`dtype` as a type of floats; DTypeError if it is none."""
    found = as_dtype(name, dtype)
    if found.kind != "f":
        raise DTypeError(f"{name}: expected a type of floats, got {brief(dtype)}")
    return found


def integers(name: str, value: Any) -> tuple[int, ...]:
    """`value`, an integer or several, as a tuple of Python's integers; DTypeError if it is anything else."""
    if isinstance(value, int):
        return (int(value),)
    several = isinstance(value, tuple) or (getattr(value, "ndim", None) != 0 and np.iterable(value))
    try:
        return tuple(map(operator.index, value)) if several else (operator.index(value),)
    except TypeError:
        raise DTypeError(f"{name}: expected an integer or several, got {brief(value)}") from None


def as_shape(name: str, shape: Any) -> tuple[int, ...]:
    """`shape`, an integer or several, as a tuple of Python's integers from 0 to 2^63 - 1; ShapeError if it is none."""
    try:
        sizes = integers(name, shape)
    except DTypeError:
        sizes = (-1,)
    if not all(0 <= n < 1 << 63 for n in sizes):
        raise ShapeError(f"{name}: expected a shape, an integer >= 0 or a tuple of them, got {brief(shape)}")
    return sizes


def native(name: str, array: Array) -> Array:
    """`array` with the one dtype object of its type, in the machine's byte order, by which ops know it.

    DTypeError if it is no array, or one of anything but numbers and booleans.
    """
    if isinstance(array, np.generic):
        array = np.asarray(array)
    if not (isinstance(array, np.ndarray) or is_cuda(array)):
        raise DTypeError(f"{name}: expected an array, got {described(array)}; mg.tensor(...) takes numbers and lists")
    dtype = array.dtype
    if dtype is FLOAT32 or dtype is FLOAT64:
        return array
    if dtype.kind not in NUMBERS:
        raise DTypeError(f"{name}: cannot hold elements of type {dtype}")
    known = np.dtype(dtype.type)
    return array if dtype is known else array.view(known) if dtype.isnative else array.astype(known)


class _Capture(threading.local):
    """Whether this thread records what it asks a device to do, instead of having it done."""

    active = False
    refuse: Callable[[str], None] | None = None  # is told on a CPU, where what cannot be replayed is done all the same


_capture = _Capture()


def is_capturing() -> bool:
    """True within `capturing`."""
    return _capture.active


@contextlib.contextmanager
def capturing(refuse: Callable[[str], None] | None = None) -> Iterator[None]:
    """Within the block, and in this thread only, nothing may pass between the host and a device.

    On a CPU, where all is the host's, `refuse` is told of values that the step reads back.
    """
    before = _capture.active, _capture.refuse
    _capture.active, _capture.refuse = True, refuse
    try:
        yield
    finally:
        _capture.active, _capture.refuse = before


def reads_back(array: Array) -> None:
    """To be called before Python is given a value of an array: a step that does so cannot be captured on a CPU."""
    if _capture.refuse is not None:
        _capture.refuse(f"it reads an array {array.shape} {array.dtype} back, as float(...) and .numpy() do")


def array_module(device: str) -> ModuleType:
    """The array library of `device`: numpy for "cpu", cupy for "cuda"; DeviceError if it cannot be used."""
    if check_device(device) == "cpu":
        return np
    if _usable and _usable[0] is sys.modules.get("cupy"):
        return _usable[0]
    problem = cuda_problem()
    if problem:
        raise DeviceError(f'device "cuda" cannot be used: {problem}')
    _usable[:] = [importlib.import_module("cupy")]
    return _usable[0]


_usable: list[ModuleType] = []  # the CuPy that was found to work, so that it is asked once


def check_device(device: str) -> str:
    """`device`, if it is one of DEVICES; DeviceError otherwise."""
    if isinstance(device, str) and device in DEVICES:
        return device
    named = device if isinstance(device, str) else getattr(device, "__name__", "")
    hint = ""
    if named.startswith(("cuda:", "gpu")):
        hint = "; which GPU cuda is, the environment's CUDA_VISIBLE_DEVICES says"
    elif named.startswith(("float", "int", "uint", "bool", "double")):
        hint = "; a type of elements goes to a Tensor's astype, or to a Module's to as dtype"
    raise DeviceError(f"device {brief(device)} is unknown: expected one of {', '.join(DEVICES)}{hint}")


def cuda_problem() -> str | None:
    """None if CUDA can be used, else what is missing (wheel, driver, toolkit library) and the command for it."""
    if "cupy" not in sys.modules and importlib.util.find_spec("cupy") is None:
        return (
            f"CuPy is not installed. For a driver that supports CUDA 13: {_command_for(13)}; "
            f"for CUDA 12: {_command_for(12)}. `nvidia-smi` shows which."
        )
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy is installed but cannot be imported ({error}); install it anew: {_command_for(13)}"
    if not cupy.cuda.is_available():
        return (
            f"CuPy {cupy.__version__} is installed, but finds no usable NVIDIA GPU: "
            "check that `nvidia-smi` lists one and that its driver supports the CUDA version of the CuPy wheel."
        )
    try:
        cupy.cuda.cublas.getVersion  # noqa: B018  CuPy loads the toolkit libraries on first use
    except (ImportError, RuntimeError) as error:
        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        return (
            f"CuPy {cupy.__version__} finds a GPU, but not the CUDA toolkit libraries ({error}): "
            f"pip install 'cupy-cuda{major}x[ctk]'"
        )
    return None


def _command_for(cuda: int) -> str:
    """What installs CuPy for that version of CUDA, wherever minigan itself lies."""
    return f"pip install 'cupy-cuda{cuda}x[ctk]>=14.1,<15'"


def library_versions() -> dict[str, str]:
    """The versions of NumPy and, once it is loaded, of CuPy."""
    return {name: sys.modules[name].__version__ for name in ("numpy", "cupy") if name in sys.modules}
