"""Random filters that blur images, or let them ring, and images filtered by one each (Wang et al. 2021). On arrays."""

import math
from typing import NamedTuple

from ...backend import Array, xp
from ...kernels import kernels

Range = tuple[float, float]

SIZE = 21  # pixels a side of the largest filter
SIZES = (SIZE - 7) // 2 + 1  # how many there are: 7, 9, ... pixels
BAND = 32  # columns at most that are filtered by one matrix
POINTS = 48  # of the integral of a Bessel function up to 50: exact to ten digits


class Blur(NamedTuple):
    """How the filters of a blur are drawn.

    `kinds` are the probabilities of Gaussian filters, generalised ones and plateaus, each as (round, of two widths). A
    power below 1 is as likely as one above.
    """

    sinc: float  # how likely, before any of the others
    sigma: Range
    kinds: tuple[Range, Range, Range] = ((0.45, 0.25), (0.12, 0.03), (0.12, 0.03))
    generalised: Range = (0.5, 4.0)  # powers
    plateau: Range = (1.0, 2.0)


class BlurDraws(NamedTuple):
    """Uniform numbers (N,) that a filter is made of."""

    sinc: Array
    kind: Array
    size: Array
    first: Array
    second: Array
    turn: Array
    side: Array
    power: Array


def blurring(u: BlurDraws, about: Blur) -> Array:
    """(N, SIZE, SIZE), the sum of each 1: random filters of 7, 9, ... SIZE pixels a side, 0 around them.

    With q the squared distance in units of two widths along two axes that are turned by any angle, a Gaussian filter is
    exp(-q / 2), a generalised one exp(-q^power / 2), a plateau 1 / (1 + q^power); some are `ringing`.
    """
    lib = xp(u.kind)
    (gauss, gauss_long), (general, general_long), (flat, _) = about.kinds
    starts = [gauss, gauss + gauss_long]
    starts += [starts[1] + general, starts[1] + general + general_long]
    round_ = (u.kind < starts[0]) | ((u.kind >= starts[1]) & (u.kind < starts[2]))
    round_ = round_ | ((u.kind >= starts[3]) & (u.kind < starts[3] + flat))
    plateau = u.kind >= starts[3]
    widths = [between(about.sigma, each) for each in (u.first, u.second)]
    q = _distance(widths[0], lib.where(round_, widths[0], widths[1]), math.tau * u.turn)
    power = lib.where(plateau, _power(u, about.plateau), _power(u, about.generalised))
    power = lib.where(u.kind < starts[1], 1, power)
    raised = q ** power[:, None, None]
    smooth = lib.where(plateau[:, None, None], 1 / (1 + raised), lib.exp(-raised / 2))
    rings = _ringing(u.first, lib.where(u.size * SIZES < 3, 1 / 3, 1 / 5))  # those below 13 pixels
    return _cut(lib.where((u.sinc < about.sinc)[:, None, None], rings, smooth), u.size)


def ringing(size: Array, cutoff: Array) -> Array:
    """(N, SIZE, SIZE), the sum of each 1: sinc filters of 7, 9, ... SIZE pixels a side, by two uniform numbers (N,).

    Their frequency w lies between pi / 3 and pi: w J1(w r) / (2 pi r) at a distance of r pixels from the middle.
    """
    return _cut(_ringing(cutoff, 1 / 3), size)


def untouched(filters: Array, which: Array) -> Array:
    """Filters, but for those of which `which` (N,) is true: 1 in the middle, and 0."""
    lib = xp(filters)
    middle = lib.arange(SIZE) == SIZE // 2
    single = (middle[:, None] & middle).astype(filters.dtype)
    return lib.where(which[:, None, None], single, filters)


def between(bounds: Range, u: Array) -> Array:
    """Uniform numbers of [0, 1) as ones between these bounds."""
    low, high = bounds
    return low + (high - low) * u


def filtered(x: Array, sides: tuple[Array, Array], filters: Array) -> Array:
    """Images (N, C, H, W) correlated with a filter each, reflected at their edges: `sides` pixels (N,) of each count.

    Each row of the filters is a product with a matrix, the same for all bands of an image's columns. A matrix for all
    of the columns at once would be zeros for the most part.
    """
    lib, (n, channels, height, width) = xp(x), x.shape
    count = -(-width // BAND)
    across = -(-width // count)
    bands, matrices = _bands(x, sides, across, count), _matrices(filters, across)
    total = lib.zeros((n, height * channels * count, across), x.dtype)
    for k in range(SIZE):
        seen = bands[:, k : k + height].reshape(*total.shape[:2], bands.shape[-1])
        total += kernels(x).matmul(seen, matrices[:, k])
    total = total.reshape(n, height, channels, count * across)[..., :width]
    return lib.ascontiguousarray(total.transpose(0, 2, 1, 3))


def picked(x: Array, rows: Array, columns: Array) -> Array:
    """The pixels of images (N, C, H, W) in these rows (N, R) and columns (N, S) of each: (N, C, R, S)."""
    lib = xp(x)
    samples = lib.arange(len(x))[:, None, None, None]
    channels = lib.arange(x.shape[1])[:, None, None]
    return x[samples, channels, rows[:, None, :, None], columns[:, None, None, :]]


def _bands(x: Array, sides: tuple[Array, Array], across: int, count: int) -> Array:
    """(N, H + SIZE - 1, C, count, across + SIZE - 1): what bands of so many columns are correlated from."""
    lib, reach = xp(x), SIZE // 2
    high, seen = x.shape[2] + 2 * reach, across + 2 * reach
    rows = _reflected(lib.arange(high) - reach, sides[0])
    places = across * lib.arange(count)[:, None] + lib.arange(seen) - reach
    found = picked(x, rows, _reflected(places.ravel(), sides[1]))
    return lib.ascontiguousarray(found.transpose(0, 2, 1, 3)).reshape(len(x), high, x.shape[1], count, seen)


def _matrices(filters: Array, across: int) -> Array:
    """(N, SIZE, across + SIZE - 1, across): what correlates so many columns with each row of the filters."""
    lib = xp(filters)
    offsets = lib.arange(across + SIZE - 1)[:, None] - lib.arange(across)
    inside = (offsets >= 0) & (offsets < SIZE)
    return lib.where(inside, filters[:, :, lib.where(inside, offsets, 0)], 0)


def _reflected(at: Array, size: Array) -> Array:
    """(N, P): the pixels 0 .. size - 1 that are seen at those places (P,), with a mirror at either edge of each."""
    last = size[:, None] - 1
    return last - abs(last - abs(at) % xp(at).maximum(2 * last, 1))


def _distance(first: Array, second: Array, angle: Array) -> Array:
    """(N, SIZE, SIZE): squared distances from the middle, along axes at an angle, in units of two widths."""
    lib = xp(angle)
    first, second, angle = (each[:, None, None] for each in (first, second, angle))
    along = lib.arange(-(SIZE // 2), SIZE // 2 + 1).astype(angle.dtype)
    down, across = along[:, None], along
    cos, sin = lib.cos(angle), lib.sin(angle)
    return ((cos * across + sin * down) / first) ** 2 + ((cos * down - sin * across) / second) ** 2


def _power(u: BlurDraws, bounds: Range) -> Array:
    """Below 1 as often as above."""
    low, high = bounds
    return xp(u.side).where(u.side < 0.5, between((low, 1), u.power), between((1, high), u.power))


def _ringing(cutoff: Array, least: Array | float) -> Array:
    """Sinc filters (N, SIZE, SIZE), to be cut, of frequencies between `least` times pi and pi."""
    lib = xp(cutoff)
    w = (math.pi * (least + (1 - least) * cutoff)).astype(cutoff.dtype)[:, None, None]
    one = lib.ones_like(cutoff)
    r = lib.sqrt(_distance(one, one, 0 * one))
    return lib.where(r > 0, w * _bessel(w * r) / (math.tau * lib.maximum(r, 1)), w**2 / (4 * math.pi))


def _bessel(x: Array) -> Array:
    """J1(x), the mean of cos(t - x sin t) over t from 0 to pi."""
    lib = xp(x)
    t = ((lib.arange(POINTS) + 0.5) * (math.pi / POINTS)).astype(x.dtype)
    return lib.cos(t - x[..., None] * lib.sin(t)).mean(-1)


def _cut(filters: Array, size: Array) -> Array:
    """Filters that are 0 outside of 7, 9, ... SIZE pixels a side, as uniform numbers (N,) say, and of sum 1."""
    lib = xp(filters)
    reach = 3 + lib.floor(size * SIZES)
    inside = abs(lib.arange(-(SIZE // 2), SIZE // 2 + 1)) <= reach[:, None]
    kept = lib.where(inside[:, :, None] & inside[:, None, :], filters, 0)
    return kept / kept.sum((1, 2), keepdims=True)
