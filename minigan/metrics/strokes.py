"""Properties of a drawn digit that a computer can measure: how thick its strokes are, how far it leans."""

import numpy as np

from ..errors import ShapeError
from .finite import check_finite


def thickness(images: np.ndarray) -> np.ndarray:
    """(N,) mean width of the strokes in pixels, of images (N, 1, H, W) in [-1, 1], light on dark; 0 without ink.

    Twice the ink over the total variation: a stroke of length L and width w has ink L w and two edges of length L.
    A stroke too thin to be fully light anywhere counts as wide as it is smeared.
    """
    ink = _ink("thickness", images)
    framed = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    down = (framed[:, 1:, :-1] - framed[:, :-1, :-1]) ** 2
    right = (framed[:, :-1, 1:] - framed[:, :-1, :-1]) ** 2
    edges = np.sqrt(down + right).sum((1, 2))
    return 2 * ink.sum((1, 2)) / np.maximum(edges, 1e-12)


def slant(images: np.ndarray) -> np.ndarray:
    """(N,) how many pixels a digit moves to the right for each it goes up, of images as above; 0 is upright.

    The shear -m_xy / m_yy of the ink's second central moments, y counted downwards; 0 without ink.
    """
    ink = _ink("slant", images)
    total = np.maximum(ink.sum((1, 2)), 1e-12)
    y, x = np.mgrid[: ink.shape[1], : ink.shape[2]]
    y = y - ((ink * y).sum((1, 2)) / total)[:, None, None]
    x = x - ((ink * x).sum((1, 2)) / total)[:, None, None]
    return -(ink * x * y).sum((1, 2)) / np.maximum((ink * y * y).sum((1, 2)), 1e-12)


def _ink(name: str, images: np.ndarray) -> np.ndarray:
    """(N, H, W) in [0, 1], 1 where it is lightest."""
    if images.ndim != 4 or images.shape[1] != 1:
        raise ShapeError(f"{name}: expected images (N, 1, H, W), got {images.shape}")
    check_finite(name, images)
    return (images[:, 0].astype(np.float64) + 1) / 2
