"""Arrays in, arrays out, fast: the few functions whose speed decides a training step.

`kernels(x)` is the module for the device of `x`; all of them offer the same functions. On the CPU they are compiled
from C where a library of them has been built, else NumPy's.
"""

from functools import cache
from types import ModuleType
from typing import Any

from .. import backend
from ..backend import Array
from . import compiled, cpu, cuda, library
from .calls import step
from .precision import PRECISIONS, get_precision, set_precision
from .threads import get_num_threads, set_num_threads


def kernels(*arrays: Array) -> Any:
    """The kernels for the device on which `arrays` live, some of which may be numbers."""
    module = cuda if backend.has_cuda() and any(backend.is_cuda(array) for array in arrays) else on_cpu()
    return module if step.door is None else step.door(module)


@cache
def on_cpu() -> ModuleType:
    """The kernels for NumPy arrays, compiled or NumPy's. Raises DeviceError if MINIGAN_KERNELS asks in vain."""
    return cpu if library.find() is None else compiled
