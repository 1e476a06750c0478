"""Random changes of the images that a discriminator is shown, real ones and fakes; a generator learns through them.

A discriminator that never sees an image twice does not learn a few of them by heart (Zhao et al. 2020). Each sample is
changed in its own way. Rows and columns are moved by a product with a matrix from the left and one from the right,
whose rows say of which pixels a new one is made: so the gradient is a product too, of any order. What turns or scales
images draws them anew (`warps`).
"""

import math
from collections.abc import Callable

from .. import ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor
from .diffusion import diffusion, even_diffusion
from .warps import from_middle, middles, turned, warped

LARGEST_SHIFT = 0.125  # of a side
CUT = 0.5  # the sides of what is cut out, likewise
SCALE = 0.2  # the deviation of how often an image is doubled


def color(x: Tensor, rng: Stream) -> Tensor:
    """Images (N, C, H, W) with u - 1/2 added, then 2 u times as saturated, then of u + 1/2 times the contrast.

    u ~ U[0, 1) is drawn for each of the three; saturation is the distance from the mean of the channels, contrast that
    from the mean of the image.
    """
    brightness, saturation, contrast = (
        Tensor(rng.uniform((len(x), 1, 1, 1), dtype=x.dtype, device=x.device)) for _ in range(3)
    )
    x = x + (brightness - 0.5)
    x = _spread(x, 1, 2 * saturation)
    return _spread(x, (1, 2, 3), contrast + 0.5)


def translation(x: Tensor, rng: Stream) -> Tensor:
    """Images moved by whole pixels, up to an eighth of each side; what comes in is 0, the grey of [-1, 1]."""
    sources = []
    for size in x.shape[2:]:
        most = _largest_shift(size)
        sources.append(made(_shifted, rng.integers(2 * most + 1, len(x), x.device), most, size, x.dtype))
    return _resampled(x, sources[0], sources[1])


def cutout(x: Tensor, rng: Stream) -> Tensor:
    """Images with zeros in a rectangle of half of each side, whose middle is any pixel."""
    cut = []
    for size in x.shape[2:]:
        length = int(size * CUT + 0.5)
        middle = rng.integers(size + 1 - length % 2, len(x), x.device)
        cut.append(Tensor(made(_within, middle, length, size, x.dtype)))
    return x * (1 - ops.expand_dims(cut[0], (1, 3)) * ops.expand_dims(cut[1], (1, 2)))


def flip(x: Tensor, rng: Stream) -> Tensor:
    """Images mirrored left to right, each with probability 1/2."""
    drawn, (height, width) = rng.integers(2, len(x), x.device), x.shape[2:]
    # never 2, so that rows stay
    down, across = made(_mirrored, drawn, 2, height, x.dtype), made(_mirrored, drawn, 1, width, x.dtype)
    return _resampled(x, down, across)


def rotation(x: Tensor, rng: Stream) -> Tensor:
    """Images turned about their middle by any angle, U[-pi, pi); beyond its edge an image is reflected."""
    angle = math.pi * (2 * rng.uniform((len(x),), dtype=x.dtype, device=x.device) - 1)
    return warped(x, made(_rotated, angle, *x.shape[2:]))


def scaling(x: Tensor, rng: Stream) -> Tensor:
    """Images 2^(0.2 n) times as large about their middle, n ~ N(0, 1); beyond its edge an image is reflected."""
    doublings = rng.normal((len(x),), 0.0, SCALE, x.dtype, x.device)
    return warped(x, made(_scaled, doublings, *x.shape[2:]))


AUGMENTATIONS: dict[str, Callable[[Tensor, Stream], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
    "flip": flip,
    "rotation": rotation,
    "scaling": scaling,
    "diffusion": diffusion,
    "even_diffusion": even_diffusion,
}
"""Every change by name; DiffAugment is the first three, in that order. The last two are of any samples."""
BY_DEGREES: dict[str, Callable[[Tensor, Stream, Tensor | None], Tensor]] = {
    "diffusion": diffusion,
    "even_diffusion": even_diffusion,
}
"""Changes that a probability makes larger, and not more frequent."""


def names(what: str, text: str) -> tuple[str, ...]:
    """The names of changes in `text`, with "," or "+" between; ShapeError for another name, or one twice."""
    found = tuple(text.replace("+", ",").split(",")) if text else ()
    if not AUGMENTATIONS.keys() >= {*found} or len({*found}) < len(found):
        raise ShapeError(f"{what}: expected some of {', '.join(AUGMENTATIONS)}, each once, got {text!r}")
    return found


def augmented(x: Tensor, which: tuple[str, ...], rng: Stream, p: Tensor | None = None) -> Tensor:
    """Images (N, C, H, W) after the changes of these names, each with probability p, a 0-d tensor, if that is given.

    Those BY_DEGREES go as far as p says. ShapeError if they are no images, and a change needs some.
    """
    if {*which} - BY_DEGREES.keys():
        _check_images(x)
    for name in which:
        if name in BY_DEGREES:
            x = BY_DEGREES[name](x, rng, p)
            continue
        changed = AUGMENTATIONS[name](x, rng)
        if p is not None:
            u = Tensor(rng.uniform((len(x), 1, 1, 1), dtype=x.dtype, device=x.device))
            changed = ops.where(ops.less(u, p.detach()), changed, x)
        x = changed
    return x


def varied(x: Tensor, p: Tensor, rng: Stream) -> Tensor:
    """Square images after each of these changes with probability p, a 0-d tensor: x itself where p is 0.

    Mirrored; turned by quarters; moved by whole pixels, up to an eighth; 2^(0.2 n) times as large; turned by any angle;
    2^(0.2 n) times as high, and as much narrower; turned by any angle; moved by n / 8 of the sides; n / 5 added; times
    2^(n / 2); light and dark exchanged; the hue of three channels turned by any angle; 2^n times as saturated.

    n ~ N(0, 1) is drawn for each of them, angles are U[-pi, pi). Of the two turns each has probability 1 - sqrt(1 - p),
    so that there is one with probability p. They are the pixel blits, geometric and colour changes of Karras et al.
    2020, appendix B; places are changed at once, and between pixels values are linear (`warped`), where the paper
    filters by a wavelet. ShapeError for images that are not square.
    """
    _check_images(x)
    n, channels, height, width = x.shape
    if height != width:
        raise ShapeError(f"augment ada: images are turned by quarters, so they are square, got {x.shape}")
    u = rng.uniform((n, 21), dtype=x.dtype, device=x.device)
    normal = rng.normal((n, 7), dtype=x.dtype, device=x.device)
    x = warped(x, made(_moved, u, normal, p.data, height))
    added, factor, inverted, hue, saturation = (Tensor(made(_tint, u, normal, p.data, k)) for k in range(5))
    x = factor * (x + added)
    x = x - 2 * inverted * ops.mean(x, 1, keepdims=True)
    return _spread(x, 1, saturation) if channels != 3 else _hued(x, hue, saturation)


def _check_images(x: Tensor) -> None:
    if x.ndim != 4:
        raise ShapeError(f"augment: expected images (N, C, H, W), got samples of shape {x.shape}")


def _spread(x: Tensor, axes: int | tuple[int, ...], factor: Tensor) -> Tensor:
    """x with its distance from its mean over `axes` multiplied by a factor for each sample; exactly x if that is 1."""
    return x + (factor - 1) * (x - ops.mean(x, axes, keepdims=True))


def _hued(x: Tensor, angle: Tensor, factor: Tensor) -> Tensor:
    """Images (N, 3, H, W) whose hue is turned by an angle and saturation multiplied by a factor, both (N, 1, 1, 1).

    m + factor (cos(angle) (x - m) + sin(angle) v x (x - m)): about the axis of greys v = (1, 1, 1) / sqrt(3), which
    leaves m, the mean of the channels, as it is.
    """
    red, green, blue = ops.split(x, 3, axis=1)
    across = ops.concatenate([blue - green, red - blue, green - red], 1) * (1 / math.sqrt(3))
    return _spread(x, 1, factor * ops.cos(angle)) + factor * ops.sin(angle) * across


def _resampled(x: Tensor, down: Array, across: Array) -> Tensor:
    """Images whose pixel (i, j) is that of x in row down[:, i] and column across[:, j], (N, side) each; 0 beyond."""
    n, c, height, width = x.shape
    rows, columns = Tensor(made(_matrices, down, height, c)), Tensor(made(_matrices, across, width, 1))
    planes = ops.reshape(x, (n * c, height, width))
    moved = ops.matmul(ops.reshape(planes, (n, c * height, width)), ops.transpose(columns, (0, 2, 1)))
    return ops.reshape(ops.matmul(rows, ops.reshape(moved, (n * c, height, width))), x.shape)


# --- on arrays --------------------------------------------------------------------------------------------------------


def _largest_shift(size: int) -> int:
    return int(size * LARGEST_SHIFT + 0.5)


def _shifted(drawn: Array, most: int, size: int, dtype: object) -> Array:
    """Whence pixels of a side come, (N, size), if it is moved by drawn - most."""
    return (xp(drawn).arange(size) + (drawn - most)[:, None]).astype(dtype)


def _mirrored(drawn: Array, number: int, size: int, dtype: object) -> Array:
    """Whence pixels of a side come, (N, size), if it is mirrored where that number was drawn."""
    places = xp(drawn).arange(size)
    mirrored = (drawn == number)[:, None]
    return xp(drawn).where(mirrored, size - 1 - places, places).astype(dtype)


def _within(middle: Array, length: int, size: int, dtype: object) -> Array:
    """(N, size): 1 in the stretch of that length around the middle, which may reach beyond the side, else 0."""
    first = (middle - length // 2)[:, None]
    places = xp(middle).arange(size)
    return ((places >= first) & (places < first + length)).astype(dtype)


def _matrices(sources: Array, size: int, copies: int) -> Array:
    """(N copies, size, size): row i is 1 at the place sources[:, i], if there is one; each sample's so many times."""
    lib = xp(sources)
    found = (sources[:, :, None] == lib.arange(size)).astype(sources.dtype)
    return lib.repeat(found, copies, axis=0)


def _rotated(angle: Array, height: int, width: int) -> Array:
    """Whence pixels come, (2, N, H, W), of images turned by an angle (N,)."""
    return from_middle(*turned(*middles(len(angle), height, width, angle), angle))


def _scaled(doublings: Array, height: int, width: int) -> Array:
    """Likewise of images that are doubled so often, (N,)."""
    smaller = 2 ** -doublings[:, None, None]
    down, right = middles(len(doublings), height, width, doublings)
    return from_middle(down * smaller, right * smaller)


# Of the uniform numbers u (N, 21), the first thirteen say which changes happen, in the order of `varied`.


def _moved(u: Array, normal: Array, p: Array, size: int) -> Array:
    """Whence pixels come, (2, N, size, size): from the last of the changes of places back to the first."""
    lib, most, any_angle = xp(u), _largest_shift(size), math.pi * (2 * u - 1)

    def sometimes(k: int, change: Array, chance: Array = p) -> Array:
        return lib.where(u[:, k] < chance, change, 0).astype(u.dtype)

    def each(k: int, change: Array, chance: Array = p) -> Array:
        return sometimes(k, change, chance)[:, None, None]

    once = 1 - lib.sqrt(1 - p)
    down, right = middles(len(u), size, size, u)
    down, right = (x - each(7, LARGEST_SHIFT * size * normal[:, 2 + k]) for k, x in enumerate((down, right)))
    down, right = turned(down, right, sometimes(6, any_angle[:, 19], once))
    higher = 2 ** each(5, SCALE * normal[:, 1])
    down, right = turned(down / higher, right * higher, sometimes(4, any_angle[:, 18], once))
    larger = 2 ** each(3, SCALE * normal[:, 0])
    down, right = (
        x / larger - each(2, lib.floor((2 * most + 1) * u[:, 15 + k]) - most) for k, x in enumerate((down, right))
    )
    right = right * (1 - 2 * each(0, u[:, 13] < 0.5))
    quarters = each(1, lib.floor(4 * u[:, 14]))
    odd, half = quarters % 2 == 1, 1 - 2 * lib.floor(quarters / 2)
    return from_middle(half * lib.where(odd, right, down), half * lib.where(odd, -down, right))


def _tint(u: Array, normal: Array, p: Array, k: int) -> Array:
    """The k-th of what is added, the factor, 1 where light and dark are exchanged, hue's angle, saturation's factor.

    (N, 1, 1, 1).
    """
    drawn = (normal[:, 4] / 5, 2 ** (normal[:, 5] / 2), u[:, 17] < 0.5, math.pi * (2 * u[:, 20] - 1), 2 ** normal[:, 6])
    unchanged = (0, 1, 0, 0, 1)[k]
    return xp(u).where(u[:, 8 + k] < p, drawn[k], unchanged).astype(u.dtype)[:, None, None, None]
