"""Linear maps along one axis whose results need a few neighbours each: what resizes a picture, and what blurs it.

Such a map is a matrix with few elements in a band. It is cut into blocks of rows, each with the columns that it needs,
so that a product of dense matrices does little in vain; and its transpose, the gradient, is a map of the same kind.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ..backend import Array, device_of, to_device

Block = tuple[slice, slice, Array]  # rows, columns, and the elements there


class Banded:
    """A matrix of `shape` with `weights` at (rows, columns), 0 elsewhere; weights at the same place add up.

    It is never changed, and what a device is given of it stays there: a captured step reads it for ever.
    """

    def __init__(self, shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> None:
        order = np.argsort(rows, kind="stable")
        self.shape = shape
        self.rows, self.columns, self.weights = rows[order], columns[order], weights[order]
        self._blocks: dict[tuple, list[Block]] = {}

    def __repr__(self) -> str:
        """How many come from how many; what each needs on average."""
        out, size = self.shape
        return f"Banded({size} -> {out}, {self.weights.size} weights)"

    @cached_property
    def transposed(self) -> "Banded":
        """The map of gradients."""
        made = Banded(self.shape[::-1], self.columns, self.rows, self.weights)
        vars(made)["transposed"] = self
        return made

    def blocks(self, like: Array, height: int) -> list[Block]:
        """The blocks of so many rows, on the device and of the type of `like`."""
        key = device_of(like), like.dtype, height
        if key not in self._blocks:
            made = [(rows, columns, to_device(w.astype(like.dtype), key[0])) for rows, columns, w in self._cut(height)]
            self._blocks.setdefault(key, made)
        return self._blocks[key]

    def _cut(self, height: int) -> Iterator[Block]:
        for top in range(0, self.shape[0], height):
            bottom = min(top + height, self.shape[0])
            inside = slice(*np.searchsorted(self.rows, (top, bottom)))
            columns = self.columns[inside]
            left, right = (int(columns.min()), int(columns.max()) + 1) if columns.size else (0, 0)
            w = np.zeros((bottom - top, right - left))
            np.add.at(w, (self.rows[inside] - top, columns - left), self.weights[inside])
            yield slice(top, bottom), slice(left, right), w
