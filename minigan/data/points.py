"""Point sets in the plane: the curves and clusters on which a GAN can be watched at work."""

import math

import numpy as np

from ..random import Stream


def quadratic(n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Points (n, 2) float32 on y = 10 + x^2, x uniform on [-50, 50)."""
    x = Stream(seed, "quadratic").uniform(n, -50, 50)
    return np.stack([x, 10 + x * x], 1)


def gaussians_ring(
    n: int = 10_000, modes: int = 8, radius: float = 2.0, std: float = 0.02, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(points (n, 2) float32, int64 mode of each): Gaussians of this deviation at equal angles on a circle."""
    stream = Stream(seed, "gaussians_ring")
    mode = stream.integers(modes, n)
    angle = (mode * (math.tau / modes)).astype(np.float32)
    centre = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return centre + stream.normal((n, 2), std=std), mode
