"""Random mirrored and shifted copies of a batch: which ones, is a function of the seed and its number alone."""

from collections.abc import Sequence

from ..backend import Array, device_of, xp
from ..errors import DataError
from ..random import Stream


class Augment:
    """Images mirrored left to right with probability 1/2 (`flip`), and cropped at random out of a mirrored border.

    `crop` is the width of that border in pixels: the image is moved by -crop .. crop in each direction, and what comes
    in beyond its edge is the image reflected, so that no frame of another colour is learnt. With neither, images are
    left as they are (`idle`). They are moved by multiples of `step` pixels. Sources of one `stream` mirror and move
    alike, those of other sizes too if their `crop` and `step` are those of `crops_alike`. Raises DataError for a border
    that is as wide as the image.
    """

    def __init__(
        self, flip: bool, crop: int, seed: int, side: tuple[int, ...], stream: str = "batches", step: int = 1
    ) -> None:
        if crop and not 0 < crop < min(side):
            raise DataError(f"crop: expected 0 to {min(side) - 1} pixels for images of {side}, got {crop}")
        self._flip, self._steps, self._step = flip, crop // step, step
        self.idle = not (flip or crop)
        self._stream = Stream(seed, "augment" if stream == "batches" else f"augment {stream}")

    def __call__(self, images: Array, k: int | Array) -> Array:
        """What becomes of the k-th batch, uint8 (n, H, W, C); k may be a 0-d int64 array on its device."""
        if self.idle:
            return images
        lib, device = xp(images), device_of(images)
        n, h, w, c = images.shape
        draw = self._stream.at(k)
        rows, columns = lib.arange(h)[None], lib.arange(w)[None]
        if self._steps:
            down, right = (draw.integers(2 * self._steps + 1, (n, 1), device) - self._steps for _ in range(2))
            rows, columns = self._moved(rows, down, h), self._moved(columns, right, w)
        if self._flip:
            columns = lib.where(draw.integers(2, (n, 1), device) == 1, w - 1 - columns, columns)
        pixels = (lib.arange(n)[:, None, None] * h + rows[:, :, None]) * w + columns[:, None, :]
        return lib.take(images.reshape(-1, c), pixels, axis=0)

    def _moved(self, places: Array, by: Array, size: int) -> Array:
        """Which pixels of a side of that size are seen at these places, if it is moved by so many steps.

        At an edge whole steps are reflected, so that a smaller image, whose pixels these are, goes with it.
        """
        if self._step == 1:
            return _reflected(places + by, size)
        there, within = places // self._step + by, places % self._step
        seen = _reflected(there, size // self._step)
        return seen * self._step + xp(by).where(seen == there, within, self._step - 1 - within)


def crops_alike(sides: Sequence[tuple[int, ...]], crop: int) -> list[tuple[int, int]]:
    """(crop, step) of an `Augment` for each of several images (height, width) that belong together.

    `crop` is up to how many pixels the largest are moved; others are moved as far, in pixels of their own. DataError
    unless sides are whole multiples of those of the smallest, and `crop` is a multiple of what the largest are.
    """
    least = min(sides, default=(1,))
    times = [side[0] // least[0] for side in sides]
    if not crop or not sides or len(set(sides)) == 1:
        return [(crop, 1) for _ in sides]
    if any(side != tuple(t * n for n in least) for side, t in zip(sides, times, strict=True)):
        found = " and ".join(map(str, sides))
        raise DataError(f"crop: images that belong together are whole multiples of the smallest of them, got {found}")
    most = max(times)
    if crop % most:
        raise DataError(f"crop: expected a multiple of {most}, the times that {max(sides)} is {least}, got {crop}")
    return [(crop // most * t, t) for t in times]


def _reflected(i: Array, size: int) -> Array:
    """The pixel 0 .. size - 1 that is seen at i, -size < i < 2 size - 1, with a mirror at either edge."""
    return size - 1 - abs(size - 1 - abs(i))
