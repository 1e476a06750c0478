"""Images drawn anew from other places of their own: turned, scaled or moved by anything, each in its own way.

A new pixel is a mean of the four that lie around a place, so the gradient is one of the new image, of any order.
"""

from .. import ops
from ..backend import Array, xp
from ..kernels.calls import made
from ..tensor import Tensor


def warped(x: Tensor, places: Array) -> Tensor:
    """Images (N, C, H, W) whose pixel (i, j) is what x has at `places` (2, N, H, W), row and column, of [:, :, i, j].

    Between pixels values are interpolated linearly: exact at pixels and for whatever rises evenly, else off by at most
    an eighth of the second difference along each axis. Beyond its edge an image is reflected. On a GPU a gradient is
    added up in any order, so its last bits are not the same each time.
    """
    n, channels, height, width = x.shape
    places = made(_reflected, places)
    flat = ops.reshape(ops.transpose(ops.reshape(x, (n, channels, height * width)), (0, 2, 1)), (-1,))  # as in memory
    around = ops.reshape(flat[Tensor(made(_around, places, channels))], (4, n * height * width, channels))
    seen = ops.reshape(ops.sum(around * Tensor(made(_shares, places)), 0), (n, height * width, channels))
    return ops.reshape(ops.transpose(seen, (0, 2, 1)), x.shape)


# --- on arrays --------------------------------------------------------------------------------------------------------


def turned(down: Array, right: Array, angle: Array) -> tuple[Array, Array]:
    """Where points (N, H, W) come from that are turned by an angle (N,), to the left as np.rot90 does, about (0, 0)."""
    cos, sin = (f(angle)[:, None, None] for f in (xp(angle).cos, xp(angle).sin))
    return cos * down + sin * right, cos * right - sin * down


def middles(n: int, height: int, width: int, like: Array) -> tuple[Array, Array]:
    """How far each pixel is below the middle of its image and to the right of it, (N, H, W) each."""
    lib = xp(like)
    down, right = (lib.arange(size, dtype=like.dtype) - (size - 1) / 2 for size in (height, width))
    return lib.broadcast_to(down[:, None], (n, height, width)), lib.broadcast_to(right, (n, height, width))


def from_middle(down: Array, right: Array) -> Array:
    """Places (2, N, H, W) of points so far from the middle of their image."""
    return xp(down).stack([down + (down.shape[1] - 1) / 2, right + (right.shape[2] - 1) / 2])


def _reflected(places: Array) -> Array:
    """Places within images of as many pixels as there are places: there and back again is a period."""
    ends = enumerate(_last(places))
    return xp(places).stack([(end - abs(end - abs(places[k]) % max(2 * end, 1))).clip(0, end) for k, end in ends])


def _shares(places: Array) -> Array:
    """How much each of four pixels counts, (4, N H W, 1), in the order of `_around`."""
    after = places - xp(places).floor(places)
    found = [row * column for row in (1 - after[0], after[0]) for column in (1 - after[1], after[1])]
    return xp(places).stack(found).reshape(4, -1, 1)


def _around(places: Array, channels: int) -> Array:
    """Where the four pixels around each place stand among all numbers of images (N, H, W, C): (4 N H W C,)."""
    lib, (_, n, height, width) = xp(places), places.shape
    first = lib.floor(places).astype("int64")
    rows, columns = ((first[k], lib.minimum(first[k] + 1, end)) for k, end in enumerate(_last(places)))
    images = height * lib.arange(n)[:, None, None]
    pixels = lib.stack([(images + row) * width + column for row in rows for column in columns])
    return (channels * pixels[..., None] + lib.arange(channels)).reshape(-1)


def _last(places: Array) -> tuple[int, int]:
    """The last row and column."""
    return places.shape[2] - 1, places.shape[3] - 1
