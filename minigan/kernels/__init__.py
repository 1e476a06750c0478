"""Arrays in, arrays out, fast: the few functions whose speed decides a training step.

`kernels(x)` is the module for the device of `x`; both modules offer the same functions.
"""

from types import ModuleType

from .. import backend
from ..backend import Array
from . import cpu, cuda


def kernels(array: Array) -> ModuleType:
    """The kernels for the device on which `array` lives."""
    return cuda if backend.is_cuda(array) else cpu
