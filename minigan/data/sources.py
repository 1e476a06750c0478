"""Samples by the name that a command line gives them: a data set, digits drawn from fonts, a folder of pictures."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from .digits import digits
from .images import cifar10, image_folder, mnist

Shape = tuple[int, int, int]  # of one image: channels, height, width


class Samples(NamedTuple):
    """What a run learns from: uint8 images (N, C, H, W) or float32 points (N, features), their labels, their name."""

    values: np.ndarray
    labels: np.ndarray | None
    name: str

    @property
    def noun(self) -> str:
        """What the terminal calls them: images or points."""
        return "images" if self.values.ndim == 4 else "points"


def load_images(source: str, limit: int | None = None, shape: Shape = (1, 28, 28)) -> Samples:
    """uint8 images (N, *shape) for --data, and what they really are; DataError if a named set cannot be had.

    Digits that are to be larger than 28x28 get a black border, and three equal channels if they are to be colour
    images. `limit` bounds how many digits are drawn.
    """
    channels, side, _ = shape
    if source == "auto" and limit is None:
        try:
            return _digits(*mnist("train"), shape, "mnist")
        except (DataError, OSError) as error:
            reason = str(error).split(". ")[0]
            print(f"MNIST cannot be had ({reason}): training on digits drawn from fonts instead")
            source = "digits"
    if source in ("auto", "digits"):
        return _digits(*digits(limit or 60_000), shape, "digits")
    if source == "mnist":
        return _digits(*mnist("train"), shape, "mnist")
    if source == "cifar10":
        if shape != (3, 32, 32):
            raise DataError(f"cifar10 has images of shape (3, 32, 32), the networks are made for {shape}")
        return Samples(*cifar10("train"), "cifar10")
    return Samples(*image_folder(source, size=side, channels=channels), str(Path(source).resolve()))


def _digits(small: np.ndarray, labels: np.ndarray | None, shape: Shape, name: str) -> Samples:
    return Samples(_bordered(small, shape), labels, name)


def _bordered(small: np.ndarray, shape: Shape) -> np.ndarray:
    """Digits (N, 1, 28, 28) in the middle of black images of this shape."""
    channels, height, width = shape
    if min(height, width) < 28:
        raise DataError(f"digits are 28x28 pixels, the networks are made for images of shape {shape}")
    top, left = (height - 28) // 2, (width - 28) // 2
    border = ((0, 0), (0, 0), (top, height - 28 - top), (left, width - 28 - left))
    return np.pad(small, border).repeat(channels, axis=1)


def fingerprint(samples: np.ndarray) -> dict[str, Any]:
    """How many samples there are, and the SHA-256 of their values: a run is resumed on the same ones only."""
    return {"count": len(samples), "sha256": hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()}
