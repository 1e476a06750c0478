"""Images by the name that a command line gives them: a data set, digits drawn from fonts, or a folder of pictures."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .digits import digits
from .images import cifar10, image_folder, mnist

Shape = tuple[int, int, int]  # of one image: channels, height, width


def load_images(source: str, limit: int | None = None, shape: Shape = (1, 28, 28)) -> tuple[np.ndarray, str]:
    """(uint8 images (N, *shape), what they really are) for --data; DataError if a named set cannot be had.

    Digits that are to be larger than 28x28 get a black border, and three equal channels if they are to be colour
    images. `limit` bounds how many digits are drawn.
    """
    channels, side, _ = shape
    if source == "auto" and limit is None:
        try:
            return _bordered(mnist("train")[0], shape), "mnist"
        except (DataError, OSError) as error:
            reason = str(error).split(". ")[0]
            print(f"MNIST cannot be had ({reason}): training on digits drawn from fonts instead")
            source = "digits"
    if source in ("auto", "digits"):
        return _bordered(digits(limit or 60_000)[0], shape), "digits"
    if source == "mnist":
        return _bordered(mnist("train")[0], shape), "mnist"
    if source == "cifar10":
        if shape != (3, 32, 32):
            raise DataError(f"cifar10 has images of shape (3, 32, 32), the networks are made for {shape}")
        return cifar10("train")[0], "cifar10"
    return image_folder(source, size=side, channels=channels)[0], str(Path(source).resolve())


def _bordered(small: np.ndarray, shape: Shape) -> np.ndarray:
    """Digits (N, 1, 28, 28) in the middle of black images of this shape."""
    channels, height, width = shape
    if min(height, width) < 28:
        raise DataError(f"digits are 28x28 pixels, the networks are made for images of shape {shape}")
    top, left = (height - 28) // 2, (width - 28) // 2
    border = ((0, 0), (0, 0), (top, height - 28 - top), (left, width - 28 - left))
    return np.pad(small, border).repeat(channels, axis=1)


def fingerprint(images: np.ndarray) -> dict[str, Any]:
    """How many images there are, and the SHA-256 of their pixels: a run is resumed on the same ones only."""
    return {"count": len(images), "sha256": hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()}
