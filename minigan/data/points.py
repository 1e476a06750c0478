"""Point sets in the plane: the curves and clusters on which a GAN can be watched at work."""

import math

import numpy as np

from ..errors import DataError
from ..random import Stream

CURVES = {
    "quadratic": lambda x: 10 + x * x,
    "cubic": lambda x: 10 + x**3,
    "quartic": lambda x: 10 + x**4,
    "sine": lambda x: 10 + 50 * np.sin(x * (math.tau / 50)),
}
"""y as a function of x, by name; the quadratic's 10 stays, so that only the order differs."""

REACH = 50  # the curves' x are uniform on [-REACH, REACH)


def curve(name: str, n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Points (n, 2) float32 on y = CURVES[name](x), x uniform on [-50, 50); DataError for an unknown name."""
    if name not in CURVES:
        raise DataError(f"curve: expected one of {', '.join(CURVES)}, got {name!r}")
    x = Stream(seed, name).uniform(n, -REACH, REACH)
    return np.stack([x, CURVES[name](x)], 1)


def quadratic(n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Points (n, 2) float32 on y = 10 + x^2, x uniform on [-50, 50)."""
    return curve("quadratic", n, seed)


def ring_centres(modes: int = 8, radius: float = 2.0, *, endpoint: bool = False) -> np.ndarray:
    """The modes of gaussians_ring: (modes, 2) float32, at equal angles on a circle.

    With `endpoint` the angles run from 0 to 2 pi with both ends, as np.linspace makes them, so that the last mode lies
    on the first: of 8 modes 7 are distinct, and one is twice as likely. The demonstration of unrolled GANs has those.
    DataError as for gaussians_ring.
    """
    _check("ring_centres", modes=modes, radius=radius)
    angle = np.linspace(0, math.tau, modes, endpoint=endpoint).astype(np.float32)
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def grid_centres(side: int = 5, spacing: float = 2.0) -> np.ndarray:
    """The modes of gaussians_grid: (side^2, 2) float32, spaced evenly about the origin; DataError as there."""
    _check("grid_centres", modes=side, spacing=spacing)
    line = spacing * (np.arange(side, dtype=np.float32) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)


def gaussians_ring(
    n: int = 10_000, modes: int = 8, radius: float = 2.0, std: float = 0.02, seed: int = 0, *, endpoint: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(points (n, 2) float32, int64 mode of each): Gaussians of this deviation at the angles of `ring_centres`.

    DataError if there is no mode, or a length is negative or not finite.
    """
    return _gaussians(ring_centres(modes, radius, endpoint=endpoint), n, std, Stream(seed, "gaussians_ring"))


def gaussians_grid(
    n: int = 10_000, side: int = 5, spacing: float = 2.0, std: float = 0.05, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(points (n, 2) float32, int64 mode of each): side^2 Gaussians on a square grid.

    The defaults are the 25 modes at {-4, -2, 0, 2, 4}^2 of Lin et al. 2018 (PacGAN). DataError as for gaussians_ring.
    """
    return _gaussians(grid_centres(side, spacing), n, std, Stream(seed, "gaussians_grid"))


def swiss_roll(n: int = 10_000, noise: float = 0.25, scale: float = 7.5, seed: int = 0) -> np.ndarray:
    """Points (n, 2) float32 on the spiral t (cos t, sin t), t uniform on [1.5 pi, 4.5 pi), plus noise, over scale.

    scikit-learn's make_swiss_roll without its middle axis, as Gulrajani et al. 2017 use it. DataError if noise or scale
    is negative or not finite, or scale is 0.
    """
    _check("swiss_roll", noise=noise, scale=scale)
    if scale == 0:
        raise DataError("swiss_roll: points cannot be divided by a scale of 0")
    stream = Stream(seed, "swiss_roll")
    t = stream.uniform(n, 1.5 * math.pi, 4.5 * math.pi)
    spiral = t[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    return (spiral + stream.normal((n, 2), std=noise)) / np.float32(scale)


def _gaussians(centres: np.ndarray, n: int, std: float, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    _check("gaussians", std=std)
    mode = stream.integers(len(centres), n)
    return centres[mode] + stream.normal((n, 2), std=std), mode


def _check(call: str, *, modes: int = 1, **lengths: float) -> None:
    """DataError unless `modes` is an integer from 1, and lengths are finite and not negative."""
    if not isinstance(modes, int | np.integer) or modes < 1:
        raise DataError(f"{call}: expected a whole number of modes from 1, got {modes}")
    for name, length in lengths.items():
        if not 0 <= length < math.inf:
            raise DataError(f"{call}: expected {name} to be finite and not negative, got {length}")
