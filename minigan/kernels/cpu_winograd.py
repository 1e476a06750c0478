"""The gradients of a convolution with fewer multiplications (Winograd 1980, Lavin and Gray 2016).

The trilinear form T(x, w, y) of ops/conv.py can be computed tile by tile, m x m pixels of y at a time, as

    T(x, w, y) = sum over tiles and k, l of <V_kl U_kl^T, E_kl>
    V = B x B^T (m + r - 1 pixels to R)    U = G w G^T (r taps to R)    E = A y A^T (m pixels to R)

with small matrices of 0, 1 and -1, R rows each. A direct convolution of r x r taps needs m^2 r^2 products for a tile,
this one R^2: 16 become 9 for two taps, 36 become 16 for three. A convolution of stride s is one of stride 1 over
s x s times the channels, the phases of the image, with a kernel of r = k / s taps; so a 4 x 4 kernel with stride 2 has
two taps. A face transforms the two slots it is given, multiplies R^2 matrices and applies the transpose of the
third transform. Tiles overlap by r - 1 <= m pixels.

On a CPU the transforms cost about what copying the windows does, so the convolution itself stays as it is. Its input
gradient is better off, whose windows are added up and not just copied, and so is its weight gradient if the channels
are many (benches/kernels.py).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..backend import Array
from . import memory
from .geometry import Geometry
from .portable import channels_last
from .threads import scratch, share


@dataclass(frozen=True)
class _Algorithm:
    """F(m, r): m results of an r-tap filter from R products. The factors belong to the rows of G."""

    B: np.ndarray  # (R, m + r - 1)
    G: np.ndarray  # (R, r)
    A: np.ndarray  # (R, m)
    factors: tuple[float, ...]

    @property
    def m(self) -> int:
        return self.A.shape[1]


_FOUR = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])  # interpolation at 0, 1, -1, infinity

_ALGORITHMS = {  # for each number of taps
    2: (
        _Algorithm(
            B=np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]),
            G=np.array([[1, 0], [1, 1], [0, 1]]),
            A=np.array([[1, 0], [1, 1], [0, 1]]),
            factors=(1, 1, 1),
        ),
        _Algorithm(
            B=_FOUR,
            G=np.array([[1, 0], [1, 1], [1, -1], [0, 1]]),
            A=np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]]),
            factors=(1, 0.5, 0.5, 1),
        ),
    ),
    3: (
        _Algorithm(
            B=_FOUR,
            G=np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]]),
            A=np.array([[1, 0], [1, 1], [1, -1], [0, 1]]),
            factors=(1, 0.5, 0.5, 1),
        ),
    ),
}

_FEW = 16  # channels of y
_DEEP = 128  # phases times channels of x: with fewer, the transforms cost more than the products save
MANY = 128  # channels of x from which it also pays for the weight gradient

_TILES = 256  # whose products are made at once: enough rows for a matrix product to run at full speed
_SHARED_KERNEL = 1 << 16  # elements of a kernel from which threads share its transform
_SAVES = 0.6  # as a share of the multiplications: with more left, the transforms cost what they save


@dataclass(frozen=True)
class Plan:
    """How one geometry is cut: an algorithm, the stride, taps and tiles along each axis, and images to a block."""

    algorithm: _Algorithm
    stride: int
    taps: int
    tiles: tuple[int, int]
    block: int

    @property
    def window(self) -> int:
        """How many pixels of the image, in phases, a tile sees along an axis."""
        return self.algorithm.m + self.taps - 1

    @property
    def factors(self) -> list[tuple[tuple[int, int], float]]:
        """((i, j), the factor of U_ij) where that is not 1."""
        f = self.algorithm.factors
        return [((i, j), a * b) for i, a in enumerate(f) for j, b in enumerate(f) if a * b != 1]

    def blocks(self, images: slice) -> Iterator[slice]:
        """`images` in blocks of about the same size, no larger than is good."""
        n = images.stop - images.start
        count = max(1, round(n / self.block))
        edges = [images.start + n * i // count for i in range(count + 1)]
        return (slice(a, b) for a, b in itertools.pairwise(edges))


@lru_cache(maxsize=1024)
def plan(s: Geometry) -> Plan | None:
    """How to do with fewer multiplications; None if that would not pay."""
    (n, o, oh, ow), (_, c, kh, kw), stride = s.y, s.w, s.stride[0]
    if kh // stride not in _ALGORITHMS or kh % stride or kh != kw or s.stride != (stride, stride):
        return None
    if s.groups > 1 or s.dilation != (1, 1) or stride**2 * c < _DEEP or o < _FEW:
        return None

    def tiles(algorithm: _Algorithm) -> tuple[int, int]:
        return -(-oh // algorithm.m), -(-ow // algorithm.m)

    def products(algorithm: _Algorithm) -> int:
        return len(algorithm.B) ** 2 * math.prod(tiles(algorithm)) * stride**2

    best = min(_ALGORITHMS[kh // stride], key=products)
    each = math.prod(tiles(best))
    if products(best) > _SAVES * oh * ow * kh * kw or n * each < _TILES:
        return None
    return Plan(best, stride, kh // stride, tiles(best), max(1, _TILES // each))


def conv_input(w: Array, y: Array, s: Geometry, p: Plan, b: Array = None) -> Array:
    """x = B^T (E U) + b: (N, C, H, W), channels-last in memory."""
    n, c, height, width = s.x
    result = channels_last(y).transpose(0, 2, 3, 1)
    x = memory.empty((n, height, width, c), dtype=y.dtype)
    u = _transform_kernel(w, p)

    def part(images: slice) -> None:
        for block in p.blocks(images):
            e = _transform_result(result[block], p)
            v = np.matmul(e, u, out=scratch("products", (*e.shape[:2], u.shape[2]), y.dtype))
            _restore_image(v, x[block], s, p)
            if b is not None:
                x[block] += b

    share(part, n, least=p.block)
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry, p: Plan) -> Array:
    """w = G^T (E^T V): (O, C, kh, kw), channels-last in memory."""
    image, result = (channels_last(a).transpose(0, 2, 3, 1) for a in (x, y))

    def part(images: slice) -> Array:
        total = None
        for block in p.blocks(images):
            v, e = _transform_image(image[block], s, p), _transform_result(result[block], p).transpose(0, 2, 1)
            if total is None:
                total = np.matmul(e, v, out=memory.empty((*e.shape[:2], v.shape[2]), e.dtype))
            else:
                total += np.matmul(e, v, out=scratch("products", total.shape, x.dtype))
        return total

    total, *rest = share(part, s.y[0], least=p.block, per_thread=2)
    for u in rest:
        total += u
    return _restore_kernel(total, s, p)


# --- the three transforms and their transposes, along rows and then along columns ----------------------------
#
# Axes: R R the two rows of the algorithm, b images, t tiles down and across, m pixels of a tile, r taps, s phases of
# the stride. An image has a tile more than there are results, for what the last window sees of it.


def _transform_image(image: Array, s: Geometry, p: Plan) -> Array:
    """V of `image` (b, H, W, C): (R R, b t t, s s C)."""
    (b, height, width, c), (th, tw), m, st = image.shape, p.tiles, p.algorithm.m, p.stride
    (top, _), (left, _) = s.pads
    padded = scratch("padded", (b, (th + 1) * m * st, (tw + 1) * m * st, c), image.dtype)
    height, width = min(height, padded.shape[1] - top), min(width, padded.shape[2] - left)
    padded[:, :top] = padded[:, top + height :] = padded[:, :, :left] = padded[:, :, left + width :] = 0
    padded[:, top : top + height, left : left + width] = image[:, :height, :width]
    size = len(p.algorithm.B)
    lines = padded.reshape(b, th + 1, m, st, -1)
    rows = scratch("rows", (size, b, th, st, (tw + 1) * m * st * c), image.dtype)
    _combine(p.algorithm.B, [lines[:, t // m : t // m + th, t % m] for t in range(p.window)], rows)
    pixels = rows.reshape(size, b, th, st, tw + 1, m, st * c)
    v = scratch("image tiles", (size, size, b, th, tw, st, st * c), image.dtype)
    _combine(
        p.algorithm.B,
        [pixels[..., t // m : t // m + tw, t % m, :] for t in range(p.window)],
        [v[:, k].swapaxes(3, 4) for k in range(size)],
    )
    return v.reshape(size * size, b * th * tw, st * st * c)


def _restore_image(v: Array, image: Array, s: Geometry, p: Plan) -> None:
    """The transpose of `_transform_image`, into `image` (b, H, W, C)."""
    (b, height, width, c), (th, tw), m, st = image.shape, p.tiles, p.algorithm.m, p.stride
    (top, _), (left, _) = s.pads
    size = len(p.algorithm.B)
    v = v.reshape(size, size, b, th, tw, st, st * c)
    tiles = [v[:, k].swapaxes(3, 4) for k in range(size)]
    pixels = scratch("rows", (size, b, th, st, tw + 1, m, st * c), v.dtype)
    pixels[..., tw, :, :] = 0
    _combine(p.algorithm.B.T[:m], tiles, [pixels[..., :tw, t, :] for t in range(m)])
    _combine(p.algorithm.B.T[m:], tiles, [pixels[..., 1:, t, :] for t in range(p.window - m)], add=True)
    rows = pixels.reshape(size, b, th, st, -1)
    lines = scratch("padded", (b, th + 1, m, st, rows.shape[-1]), v.dtype)
    lines[:, th] = 0
    _combine(p.algorithm.B.T[:m], rows, [lines[:, :th, t] for t in range(m)])
    _combine(p.algorithm.B.T[m:], rows, [lines[:, 1:, t] for t in range(p.window - m)], add=True)
    padded = lines.reshape(b, (th + 1) * m * st, (tw + 1) * m * st, c)
    found = padded[:, top : top + height, left : left + width]
    image[:, : found.shape[1], : found.shape[2]] = found
    image[:, found.shape[1] :] = image[:, :, found.shape[2] :] = 0  # pixels that no window sees


def _transform_result(result: Array, p: Plan) -> Array:
    """E of `result` (b, OH, OW, O): (R R, b t t, O)."""
    (b, oh, ow, o), (th, tw), m = result.shape, p.tiles, p.algorithm.m
    if (oh, ow) != (th * m, tw * m):
        whole = scratch("result", (b, th * m, tw * m, o), result.dtype)
        whole[:, oh:] = whole[:, :, ow:] = 0
        whole[:, :oh, :ow] = result
        result = whole
    size = len(p.algorithm.A)
    lines = result.reshape(b, th, m, tw * m * o)
    rows = scratch("result rows", (size, b, th, tw * m * o), result.dtype)
    _combine(p.algorithm.A, [lines[:, :, t] for t in range(m)], rows)
    pixels = rows.reshape(size, b, th, tw, m, o)
    e = scratch("result tiles", (size, size, b, th, tw, o), result.dtype)
    _combine(p.algorithm.A, [pixels[..., t, :] for t in range(m)], [e[:, k] for k in range(size)])
    return e.reshape(size * size, b * th * tw, o)


def _transform_kernel(w: Array, p: Plan) -> Array:
    """U of w (O, C, kh, kw), with the algorithm's factors: (R R, O, s s C)."""
    (o, c), r, st, size = w.shape[:2], p.taps, p.stride, len(p.algorithm.G)
    taps = channels_last(w).transpose(0, 2, 3, 1).reshape(o, r, st, r * st * c)
    u = scratch("kernels", (size, size, o, st, st * c), w.dtype)

    def part(outs: slice) -> None:
        rows = scratch("kernel rows", (size, outs.stop - outs.start, st, r * st * c), w.dtype)
        _combine(p.algorithm.G, [taps[outs, t] for t in range(r)], rows)
        columns = rows.reshape(*rows.shape[:3], r, st * c)
        _combine(p.algorithm.G, [columns[..., t, :] for t in range(r)], [u[:, k, outs] for k in range(size)])
        for (i, j), factor in p.factors:
            u[i, j, outs] *= factor

    share(part, o, w.size > _SHARED_KERNEL, per_thread=1)
    return u.reshape(size * size, o, st * st * c)


def _restore_kernel(u: Array, s: Geometry, p: Plan) -> Array:
    """The transpose of `_transform_kernel`: (O, C, kh, kw), channels-last in memory."""
    (o, c, kh, kw), r, st, size = s.w, p.taps, p.stride, len(p.algorithm.G)
    u = u.reshape(size, size, o, st, st * c)
    w = memory.empty((o, kh, kw, c), dtype=u.dtype)
    taps = w.reshape(o, r, st, r * st * c)

    def part(outs: slice) -> None:
        for (i, j), factor in p.factors:
            u[i, j, outs] *= factor
        rows = scratch("kernel rows", (size, outs.stop - outs.start, st, r * st * c), u.dtype)
        columns = rows.reshape(*rows.shape[:3], r, st * c)
        _combine(p.algorithm.G.T, [u[:, k, outs] for k in range(size)], [columns[..., t, :] for t in range(r)])
        _combine(p.algorithm.G.T, rows, [taps[outs, t] for t in range(r)])

    share(part, o, w.size > _SHARED_KERNEL, per_thread=1)
    return w.transpose(0, 3, 1, 2)


def _combine(matrix: Array, parts: Sequence[Array], targets: Sequence[Array], add: bool = False) -> None:
    """targets[i] = sum over j of matrix[i, j] parts[j], the matrix of 0, 1 and -1; added to targets[i] with `add`."""
    for row, target in zip(matrix, targets, strict=True):
        terms = [(sign, part) for sign, part in zip(row, parts, strict=True) if sign]
        if not add:
            terms.sort(key=lambda term: -term[0])
            (sign, first), *terms = terms
            if sign < 0:
                np.negative(first, out=target)
            elif terms:
                (sign, second), *terms = terms
                (np.add if sign > 0 else np.subtract)(first, second, out=target)
            else:
                np.copyto(target, first)
        for sign, part in terms:
            (np.add if sign > 0 else np.subtract)(target, part, out=target)
