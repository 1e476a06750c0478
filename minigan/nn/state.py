"""States by name, copied into tensors: all of one or nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import backend
from ..backend import Array
from ..errors import CheckpointError, DTypeError, MiniganError, ShapeError, brief
from ..tensor import Tensor


def copy_all(own: Mapping[str, Tensor], state: Mapping[str, Any], whose: str, by: str = "load_state_dict") -> None:
    """Copy `state` (Tensors or arrays by name) into the tensors of `own`, all of it or nothing.

    Floats take floats of any width, integers and booleans; other types take what NumPy casts to them safely.
    CheckpointError, "`by` of `whose`: ...", names what is missing, unknown, too large, or of another shape or kind.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{by} of {whose}: expected tensors or arrays by name, got {brief(state)}")
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in own]
    copies: dict[str, Array] = {}
    for name in [name for name in own if name in state]:
        try:
            copies[name] = _copy_for(own[name], state[name])
        except (MiniganError, FloatingPointError) as error:
            problems.append(f"{name} {error}")
    if problems:
        more = f"; and {len(problems) - 9} more" if len(problems) > 9 else ""
        raise CheckpointError(f"{by} of {whose}: {'; '.join(problems[:9])}{more}")
    for name, copy in copies.items():
        own[name].copy_(copy, by=by)


def _copy_for(t: Tensor, value: Any) -> Array:
    """A copy of `value` as an array of t's type; an error that goes on after its name if it does not fit."""
    array = value.data if isinstance(value, Tensor) else value
    try:
        array = array if backend.is_cuda(array) else np.asarray(array)
    except Exception as error:  # whatever another library's arrays raise, and lists that are ragged
        raise DTypeError(f"is no array ({error})") from error
    if tuple(array.shape) != t.shape:
        raise ShapeError(f"has shape {tuple(array.shape)}, expected {t.shape}")
    casting: Any = "same_kind" if t.dtype.kind == "f" else "safe"
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, t.dtype, casting):
        raise DTypeError(f"is of {array.dtype}, expected {t.dtype}")
    with np.errstate(over="raise"):
        return array.astype(t.dtype)
