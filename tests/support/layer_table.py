"""One row per layer of the newer files of `nn`: how to make it and what it is given. Checks of layers run over it.

A row is (maker of the layer, maker of float64 inputs from a generator). What a layer is told besides, such as labels,
is an array of integers. Parameters are drawn by whoever checks, so that none stays 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigan import nn

FILES = ["attention", "modulated"]  # of nn, whose layers all have rows


class Row(NamedTuple):
    make: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], list[np.ndarray]]


def normal(*shapes):
    return lambda rng: [rng.standard_normal(s) for s in shapes]


TABLE: dict[str, list[Row]] = {
    "SelfAttention2d": [
        Row(lambda: nn.SelfAttention2d(8), normal((2, 8, 4, 6))),
        Row(lambda: nn.SelfAttention2d(4, reduction=2, bias=True), normal((2, 4, 3, 2))),
    ],
    "MultiheadAttention": [
        Row(lambda: nn.MultiheadAttention(6, 2, batch_first=True), normal((2, 3, 6), (2, 4, 6), (2, 4, 6))),
        Row(lambda: nn.MultiheadAttention(4, 4, bias=False), normal((3, 2, 4), (3, 2, 4), (3, 2, 4))),
    ],
    "ModulatedConv2d": [
        Row(lambda: nn.ModulatedConv2d(3, 4, 3, 2), normal((2, 3, 4, 5), (2, 2))),
        Row(lambda: nn.ModulatedConv2d(2, 3, (1, 2), 3, demodulate=False, padding=1), normal((2, 2, 3, 3), (2, 3))),
    ],
}

ROWS = [(name, k) for name, rows in TABLE.items() for k in range(len(rows))]
