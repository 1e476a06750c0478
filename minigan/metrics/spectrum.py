"""How the power of images is spread over frequencies: what upsampling leaves behind is seen there."""

import numpy as np

from ..errors import ShapeError
from .finite import check_finite


def radial_power(images: np.ndarray) -> np.ndarray:
    """(N, R) mean power of images (N, C, H, W) at 0 .. R - 1 cycles over the shorter side, R = min(H, W) // 2 + 1.

    |FFT|^2 / (H W), averaged over channels and over all frequencies whose radius rounds to that number (azimuthal
    average: Durall et al. 2020): white noise of variance v has v at each, an image of one value all at 0. Bytes and
    numbers in [-1, 1] are taken as they are; compare like with like, and their logarithms. **Bias**: an image is not
    periodic, its opposite edges make a jump whose power falls as 1 / r^2. ShapeError if images are not
    (N, C, H, W), there is none, or a number is not finite.
    """
    if images.ndim != 4 or not images.size:
        raise ShapeError(f"radial_power: expected images (N, C, H, W), at least one, got {images.shape}")
    check_finite("radial_power", images)
    height, width = images.shape[2:]
    power = (np.abs(np.fft.fft2(images.astype(np.float64))) ** 2).mean(1) / (height * width)
    check_finite("radial_power", power)
    side = min(height, width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * side, np.fft.fftfreq(width) * side)
    ring = np.rint(radius).astype(int).ravel()
    inside = ring <= side // 2  # the corners beyond have no full ring
    rings = np.zeros((inside.sum(), side // 2 + 1))
    rings[np.arange(len(rings)), ring[inside]] = 1
    return power.reshape(len(images), -1)[:, inside] @ (rings / rings.sum(0))
