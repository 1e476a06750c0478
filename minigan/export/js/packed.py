"""Weights in few bytes: as float32, as float16, or as int8 with a step for each row; and what they are when read."""

import base64
from typing import Any

import numpy as np

from ...errors import CheckpointError, ShapeError

KINDS = ("float16", "int8", "float32")
LEVELS = 127  # of an int8, to either side of 0
ALIGNED = 4  # bytes


def rounded(array: np.ndarray, kind: str) -> np.ndarray:
    """The array as it is when read from a page, float32.

    In float16 each number has 11 bits. In int8 it is a whole multiple, from -127 to 127, of a step that is its row's
    own: the largest absolute value of array[k], divided by 127; arrays of less than two axes stay as they are.
    ShapeError for another kind, CheckpointError for a number that no float16 holds.
    """
    if kind not in KINDS:
        raise ShapeError(f"weights: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "float16":
        with np.errstate(over="ignore"):
            found = array.astype(np.float16).astype(np.float32)
        if not np.isfinite(found).all():
            raise CheckpointError(f"weights up to {np.abs(array).max():.3g} do not fit into float16; take float32")
        return found
    if kind == "int8" and array.ndim > 1:
        whole, steps = _steps(array)
        return whole.astype(np.float32) * steps.reshape(-1, *[1] * (array.ndim - 1))
    return array.astype(np.float32)


def _steps(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int8, like the array; the step of each row, float32)."""
    rows = array.reshape(len(array), -1)
    steps = (np.abs(rows).max(1, initial=0) / LEVELS).astype(np.float32)
    whole = np.rint(rows / np.where(steps > 0, steps, 1)[:, None]).clip(-LEVELS, LEVELS)
    return whole.astype(np.int8).reshape(array.shape), steps


class Bytes:
    """Arrays one after the other, each described by its shape and by where it lies; `text` is all of it in base 64."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def text(self) -> str:
        """All bytes in base 64."""
        return base64.b64encode(b"".join(self._parts)).decode("ascii")

    def add(self, array: np.ndarray, kind: str | None = None) -> dict[str, Any]:
        """What a page needs to know of the array, which lies among the bytes if it is of floats, else in this itself.

        It is kept as this `kind`, or as all are.
        """
        kind = kind or self.kind
        if array.dtype.kind != "f":
            limit = np.iinfo(np.int32)
            values = np.clip(array, limit.min, limit.max) if array.dtype.kind in "iu" else array
            return {"shape": array.shape, "type": array.dtype.name, "values": values.astype(int).ravel().tolist()}
        if kind == "int8" and array.ndim > 1:
            whole, steps = _steps(array)
            return {"shape": array.shape, "type": "int8", "at": self._put(whole), "scales": self._put(steps)}
        kind = "float16" if kind == "float16" else "float32"
        return {"shape": array.shape, "type": kind, "at": self._put(array.astype(kind))}

    def _put(self, array: np.ndarray) -> int:
        at = self._size
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        content += bytes(-len(content) % ALIGNED)
        self._parts.append(content)
        self._size += len(content)
        return at
