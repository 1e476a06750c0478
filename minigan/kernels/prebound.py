"""Kernels of small arrays as a replay calls them: NumPy's functions and nothing else, their arrays and result bound.

A replay of a small network is a few hundred calls of a microsecond. So what a kernel of cpu.py decides anew at each
call is decided here once: which of NumPy's functions it calls, with what. They are called with the same arguments
in the same order, so that results are the same to the bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def prebound(function: Callable[..., Any], args: tuple, target: np.ndarray) -> Callable[[], Any] | None:
    """function(*args) into `target`; None if it is to be called as it is."""
    return None
