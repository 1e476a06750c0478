"""Arrays in, arrays out, fast: the few functions whose speed decides a training step.

`kernels(x)` is the module for the device of `x`; both modules offer the same functions.
"""

from typing import Any

from .. import backend
from ..backend import Array
from . import cpu, cuda
from .calls import Noted, step
from .precision import PRECISIONS, get_precision, set_precision
from .threads import get_num_threads, set_num_threads


def kernels(*arrays: Array) -> Any:
    """The kernels for the device on which `arrays` live, some of which may be numbers."""
    module = cuda if backend.has_cuda() and any(backend.is_cuda(array) for array in arrays) else cpu
    return module if step.recorder is None else Noted(module)
