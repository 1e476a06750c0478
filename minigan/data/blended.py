"""MNIST-M: digits on coloured grounds, which a reader of plain digits cannot read; made here, nothing is downloaded."""

import numpy as np

from ..random import Stream
from .arrays import Images

CHUNK = 4096  # images whose grounds are drawn at a time
FALL = 1.6  # the power of the frequency by which amplitudes fall: as clouds look, and the grounds of photographs


def clouds(n: int, side: int, seed: int = 0) -> np.ndarray:
    """uint8 (n, 3, side, side): grounds of random colours, smooth as clouds, the same ones for the same seed.

    Noise whose amplitudes fall with the frequency; each channel of each image reaches from 0 to 255.
    """
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side) * side, np.fft.rfftfreq(side) * side, indexing="ij"))
    fall = np.maximum(frequency, 1.0) ** -FALL
    fall[0, 0] = 0
    found = np.empty((n, 3, side, side), np.uint8)
    for k, first in enumerate(range(0, n, CHUNK)):
        count = min(CHUNK, n - first)
        noise = Stream(seed, "clouds").at(k).normal((count, 3, side, side))
        drawn = np.fft.irfft2(np.fft.rfft2(noise) * fall, s=(side, side))
        low, high = drawn.min((2, 3), keepdims=True), drawn.max((2, 3), keepdims=True)
        found[first : first + count] = np.rint(255 * (drawn - low) / (high - low))
    return found


def on_clouds(images: Images, seed: int = 0) -> Images:
    """Grey images on coloured grounds: (uint8 (N, 3, H, W), labels): each the absolute difference of both.

    As MNIST-M (Ganin et al. 2016), whose grounds are cut out of photographs; here they are `clouds`.
    """
    pixels, labels = images
    grounds = clouds(len(pixels), pixels.shape[2], seed)
    return np.abs(grounds.astype(np.int16) - pixels).astype(np.uint8), labels
