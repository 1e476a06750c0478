"""Random changes of the images that a discriminator is shown, real ones and fakes; a generator learns through them.

A discriminator that never sees an image twice does not learn a few of them by heart (Zhao et al. 2020). Each sample is
changed in its own way. Pixels are moved by a product with a matrix from the left and one from the right, whose rows
say of which pixels a new one is made: so the gradient is a product too, of any order.
"""

from collections.abc import Callable

from .. import ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor
from .diffusion import diffusion, even_diffusion

LARGEST_SHIFT = 0.125  # of a side
CUT = 0.5  # the sides of what is cut out, likewise


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


AUGMENTATIONS: dict[str, Callable[[Tensor, Stream], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
    "flip": flip,
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

    Mirrored; turned by quarters; moved by whole pixels, up to an eighth; 2^(0.2 n) times as large; 2^(0.2 n) times as
    high, and as much narrower; moved by n / 8 of the sides; n / 5 added; times 2^(n / 2); light and dark exchanged; 2^n
    times as saturated. n ~ N(0, 1) is drawn for each of them. They are the pixel blits, geometric and colour changes of
    Karras et al. 2020, appendix B, less rotation by any angle and that of hue. Between pixels values are interpolated
    linearly, and beyond its edge an image is reflected. ShapeError for images that are not square.
    """
    _check_images(x)
    n, _, height, width = x.shape
    if height != width:
        raise ShapeError(f"augment ada: images are turned by quarters, so they are square, got {x.shape}")
    u = rng.uniform((n, 15), dtype=x.dtype, device=x.device)
    normal = rng.normal((n, 7), dtype=x.dtype, device=x.device)
    turned = Tensor(made(_turned, u, p.data))
    down, across = (made(_sources, u, normal, p.data, axis, height, x.dtype) for axis in (0, 1))
    x = _resampled(x, down, across, turned)
    added, factor, inverted, saturation = (Tensor(made(_tint, u, normal, p.data, k, x.dtype)) for k in range(4))
    x = factor * (x + added)
    x = x - 2 * inverted * ops.mean(x, 1, keepdims=True)
    return _spread(x, 1, saturation)


def _check_images(x: Tensor) -> None:
    if x.ndim != 4:
        raise ShapeError(f"augment: expected images (N, C, H, W), got samples of shape {x.shape}")


def _spread(x: Tensor, axes: int | tuple[int, ...], factor: Tensor) -> Tensor:
    """x with its distance from its mean over `axes` multiplied by a factor for each sample; exactly x if that is 1."""
    return x + (factor - 1) * (x - ops.mean(x, axes, keepdims=True))


def _resampled(x: Tensor, down: Array, across: Array, turned: Tensor | None = None) -> Tensor:
    """Images whose pixel (i, j) is what x has at row down[:, i] and column across[:, j], each (N, side).

    Beyond its edge x is 0. With `turned` (N,) it is reflected there, and transposed before where that is true.
    """
    n, c, height, width = x.shape
    reflected = turned is not None
    rows = Tensor(made(_matrices, down, height, c, reflected))
    columns = Tensor(made(_matrices, across, width, 1, reflected))
    planes = ops.reshape(x, (n * c, height, width))
    if turned is not None:
        each = ops.reshape(ops.broadcast_to(ops.expand_dims(turned, 1), (n, c)), (n * c, 1, 1))
        planes = ops.where(each, ops.transpose(planes, (0, 2, 1)), planes)
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


def _matrices(sources: Array, size: int, copies: int, reflected: bool) -> Array:
    """(N copies, size, size): row i is for the pixels around sources[:, i], linearly; each sample's so many times."""
    lib = xp(sources)
    before = lib.floor(sources)
    after = (sources - before)[:, :, None]
    places = lib.arange(size, dtype=sources.dtype)

    def one(at: Array) -> Array:
        if reflected:  # there and back again is a period
            at = size - 1 - abs(size - 1 - abs(at) % max(2 * (size - 1), 1))
        return at[:, :, None] == places

    found = (1 - after) * one(before) + after * one(before + 1)
    return lib.repeat(found, copies, axis=0)


# Of the uniform numbers u (N, 15), the first ten say which changes happen, in the order of `varied`.


def _quarters(u: Array, p: Array) -> Array:
    """By how many quarters each image is turned, (N,)."""
    return xp(u).where(u[:, 1] < p, xp(u).floor(4 * u[:, 11]), 0)


def _turned(u: Array, p: Array) -> Array:
    """Is a quarter turn more than mirroring? Then the image is transposed, and mirrored as `_sources` has it."""
    return _quarters(u, p) % 2 == 1


def _sources(u: Array, normal: Array, p: Array, axis: int, size: int, dtype: object) -> Array:
    """Whence the pixels of a side come, (N, size): that axis mirrored, moved, scaled and moved again."""
    lib = xp(u)

    def sometimes(k: int, change: Array) -> Array:
        return lib.where(u[:, k] < p, change, 0)

    quarters = _quarters(u, p)
    if axis == 0:
        mirrored = (quarters == 1) | (quarters == 2)
    else:
        mirrored = (quarters >= 2) != ((u[:, 0] < p) & (u[:, 10] < 0.5))
    most = _largest_shift(size)
    pixels = sometimes(2, lib.floor((2 * most + 1) * u[:, 12 + axis]) - most)
    larger = 0.2 * (sometimes(3, normal[:, 0]) + (1 - 2 * axis) * sometimes(4, normal[:, 1]))
    moved = LARGEST_SHIFT * size * sometimes(5, normal[:, 2 + axis])
    middle = (size - 1) / 2
    places = (lib.arange(size) - middle - moved[:, None]) * 2 ** -larger[:, None] - pixels[:, None]
    return (lib.where(mirrored[:, None], -places, places) + middle).astype(dtype)


def _tint(u: Array, normal: Array, p: Array, k: int, dtype: object) -> Array:
    """The k-th of what is added, the factor, 1 where light and dark are exchanged, that of saturation: (N, 1, 1, 1)."""
    happens = u[:, 6 + k] < p
    if k == 2:
        found = happens & (u[:, 14] < 0.5)
    else:
        drawn = xp(u).where(happens, normal[:, 4 + min(k, 2)], 0)
        found = drawn / 5 if k == 0 else 2 ** (drawn / 2 if k == 1 else drawn)
    return found.astype(dtype)[:, None, None, None]
