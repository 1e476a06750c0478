"""What systems share: the data, where they are made, their optimizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigan as mg

BATCH, SIDE, Z, CLASSES = 32, 6, 5, 4
PIXELS = SIDE * SIDE
IMAGES = np.random.default_rng(0).integers(0, 256, (100, 1, SIDE, SIDE)).astype("uint8")
LABELS = np.random.default_rng(1).integers(0, CLASSES, 100)
LATENT = mg.gan.normal_latent(Z, dtype="float64")


class _Where:
    """On which device systems are made and play."""

    device = "cpu"


where = _Where()


@contextmanager
def living_on(device: str) -> Iterator[None]:
    """Within the block, systems of all threads are made, and are given their batches, on that device."""
    where.device, before = device, where.device
    try:
        yield
    finally:
        where.device = before


def adam(*players: Any, lr: float = 1e-3) -> Any:
    return mg.optim.Adam(mg.nn.parameters_of(*players), lr, (0.5, 0.999))
