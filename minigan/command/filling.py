"""What is missing in pictures, by their alpha or by masks beside them, and how who fills holes is told."""

from pathlib import Path

import numpy as np

from ..data import scaled
from ..data.pairs import by_name
from ..data.pictures import read_whole
from ..errors import DataError
from ..export import Generator
from ..system.terminal import shown

OPAQUE = 255


def holes_told(generator: Generator) -> int | None:
    """How many channels of its sources say where a hole is: 1 of a translator that learnt by --made holes, 0 by hole.

    None of any other, which fills none.
    """
    source = generator.source
    if source is not None and source.channels in (2, 4):
        return 1
    return 0 if generator.about.get("made") == "hole" else None


class Masks:
    """Pictures in a folder that are white where those of the same names have something missing; grey is half of it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._named = by_name(self.folder)

    def opacity(self, place: Path, height: int, width: int) -> np.ndarray:
        """uint8 (height, width): 0 where something is missing in the picture of that place below its folder.

        DataError if there is no mask of its name, or one that cannot be read or has another size.
        """
        mask = self._named.get(place.with_suffix("").as_posix())
        if mask is None:
            raise DataError(f"no mask in {shown(self.folder)} has its name")
        try:
            white, _ = read_whole(mask, 1)
        except (DataError, OSError) as error:
            raise DataError(f"its mask {shown(mask)}: {error}") from error
        if white.shape[:2] != (height, width):
            raise DataError(f"{width} x {height} pixels, its mask {white.shape[1]} x {white.shape[0]}")
        return OPAQUE - white[..., 0]


def opacity(pixels: np.ndarray, alpha: np.ndarray | None, masks: Masks | None, place: Path) -> np.ndarray:
    """uint8 (H, W), 0 where something is missing in pixels (H, W, C), by alpha and masks; DataError if nothing is."""
    kept = np.full(pixels.shape[:2], OPAQUE, np.uint8) if alpha is None else alpha
    if masks is not None:
        kept = np.minimum(kept, masks.opacity(place, *pixels.shape[:2]))
    if kept.all():
        white = "" if masks is None else ", nor its mask white"
        raise DataError(f"nothing of it is transparent{white}, which is what the translator fills")
    return kept


def holed(part: np.ndarray, told: int) -> np.ndarray:
    """float32 (1, C + told, h, w) of pixels and how opaque they are (1, C + 1, h, w): 0 in holes.

    If it is told of holes, a last channel is 1 there and -1 elsewhere.
    """
    there = (part[:, -1:] == OPAQUE).astype(np.float32)
    return np.concatenate([scaled(np.ascontiguousarray(part[:, :-1])) * there, *[1 - 2 * there] * told], 1)
