"""Random mirrored and shifted copies of a batch: which ones, is a function of the seed and its number alone."""

from ..backend import Array, device_of, xp
from ..errors import DataError
from ..random import Stream


class Augment:
    """Images mirrored left to right with probability 1/2 (`flip`), and cropped at random out of a mirrored border.

    `crop` is the width of that border in pixels: the image is moved by -crop .. crop in each direction, and what comes
    in beyond its edge is the image reflected, so that no frame of another colour is learnt. With neither, images are
    left as they are (`idle`). Sources of one `stream` mirror and move alike. Raises DataError for a border that is as
    wide as the image.
    """

    def __init__(self, flip: bool, crop: int, seed: int, side: tuple[int, ...], stream: str = "batches") -> None:
        if crop and not 0 < crop < min(side):
            raise DataError(f"crop: expected 0 to {min(side) - 1} pixels for images of {side}, got {crop}")
        self._flip, self._crop = flip, crop
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
        if self._crop:
            down, right = (draw.integers(2 * self._crop + 1, (n, 1), device) - self._crop for _ in range(2))
            rows, columns = _reflected(rows + down, h), _reflected(columns + right, w)
        if self._flip:
            columns = lib.where(draw.integers(2, (n, 1), device) == 1, w - 1 - columns, columns)
        pixels = (lib.arange(n)[:, None, None] * h + rows[:, :, None]) * w + columns[:, None, :]
        return lib.take(images.reshape(-1, c), pixels, axis=0)


def _reflected(i: Array, size: int) -> Array:
    """The pixel 0 .. size - 1 that is seen at i, -size < i < 2 size - 1, with a mirror at either edge."""
    return size - 1 - abs(size - 1 - abs(i))
