"""Captions of digits, from what can be measured of them: "a thin seven slanted right"."""

from dataclasses import dataclass
from math import radians, tan
from typing import NamedTuple

import numpy as np

from ..data import scaled
from ..errors import DataError
from .strokes import slant, thickness

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WIDTHS = ("thin ", "", "thick ")
LEANINGS = ("slanted left", "upright", "slanted right")
DIGIT_CAPTIONS = tuple(f"a {width}{digit} {leaning}" for digit in DIGITS for width in WIDTHS for leaning in LEANINGS)
"""Every caption of a digit: 90 of them, in the order of digits, then widths, then leanings."""
UPRIGHT = 10.0  # degrees that an upright digit may lean, to either side
CHUNK = 4096  # images measured at a time


class Said(NamedTuple):
    """What captions say, int64 (N,) each: the digit, the number of its width, and of its leaning."""

    digits: np.ndarray
    widths: np.ndarray
    leanings: np.ndarray


@dataclass(frozen=True)
class DigitWords:
    """Words for digits in images (N, 1, H, W), light on dark, uint8 or float in [-1, 1].

    Strokes are thin below `thin` pixels and thick above `thick` (`thickness`). A digit is upright if its `slant` is
    that of an angle of UPRIGHT degrees at most.
    """

    thin: float
    thick: float

    @classmethod
    def of(cls, images: np.ndarray) -> "DigitWords":
        """So that a third of these images is thin, and a third is thick."""
        return cls(*np.quantile(_measured(images)[0], [1 / 3, 2 / 3]).tolist())

    def widths(self, images: np.ndarray) -> np.ndarray:
        """The numbers of the words of WIDTHS that are right: int64 (N,)."""
        return self._words(images)[0]

    def leanings(self, images: np.ndarray) -> np.ndarray:
        """The numbers of the words of LEANINGS that are right: int64 (N,)."""
        return self._words(images)[1]

    def captions(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The numbers of the right ones of DIGIT_CAPTIONS: int64 (N,); DataError unless labels (N,) are digits."""
        if labels.shape != images.shape[:1] or (labels.size and not 0 <= labels.min() <= labels.max() < len(DIGITS)):
            found = f" {labels.min()} to {labels.max()}" if labels.size else ""
            raise DataError(f"DigitWords: expected a digit for each of {images.shape}, got {labels.shape}{found}")
        widths, leanings = self._words(images)
        return (labels * len(WIDTHS) + widths) * len(LEANINGS) + leanings

    def _words(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        width, lean = _measured(images)
        limit = tan(radians(UPRIGHT))
        return np.digitize(width, [self.thin, self.thick]), np.digitize(lean, [-limit, limit])


def said(captions: np.ndarray) -> Said:
    """What the captions of these numbers say."""
    rest, leanings = np.divmod(captions, len(LEANINGS))
    return Said(*np.divmod(rest, len(WIDTHS)), leanings)


def _measured(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(thickness, slant) of images, (N,) each."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for k in range(0, max(len(images), 1), CHUNK):
        part = images[k : k + CHUNK]
        part = scaled(part) if part.dtype == np.uint8 else part
        found.append((thickness(part), slant(part)))
    widths, leanings = zip(*found, strict=True)
    return np.concatenate(widths), np.concatenate(leanings)
