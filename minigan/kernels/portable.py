"""Kernels that run as they are on NumPy and on CuPy."""

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, is_cuda, xp
from . import memory
from .geometry import Geometry
from .portable_channels import (  # noqa: F401  offered as kernels of either device
    batch_norm,
    batch_norm_grad,
    channel_dot,
    channel_stats,
    channel_sums,
    pair,
    sample_affine,
    sample_moments,
    sample_sums,
    scale_shift,
    track,
)

_NUMBERS = (int, float)  # a tuple, as `int | float` would be made anew in every call


def is_image(x: Array) -> bool:
    """True if x is images (N, C, H, W) that lie channels-last in memory."""
    return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous


def channels_last(x: Array) -> Array:
    """`x` (N, C, H, W) with its memory in the order N, H, W, C; the same object if it is so already."""
    nhwc = x.transpose(0, 2, 3, 1)
    if nhwc.flags.c_contiguous:
        return x
    y = memory.maker(x).empty(nhwc.shape, dtype=x.dtype)
    y[...] = nhwc
    return y.transpose(0, 3, 1, 2)


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """x in another shape, its elements in C order: a view of it where that is possible."""
    if x.flags.c_contiguous or not isinstance(x, np.ndarray) or x.nbytes < memory.LARGE:
        return x.reshape(shape)
    try:
        return np.reshape(x, shape, copy=False)
    except ValueError:
        y = memory.empty(x.shape, x.dtype)
        y[...] = x
        return y.reshape(shape)


def lie_alike(a: Array, b: Array) -> bool:
    """True if the elements of a and b, of one shape, lie in the same places: an axis of length 1 has no say."""
    return a.strides == b.strides or all(
        n == 1 or i == j for n, i, j in zip(a.shape, a.strides, b.strides, strict=True)
    )


def laid_out_as(like: Array, x: Array) -> Array:
    """x in the memory order of `like`, whose shape it has; x itself if it is so already."""
    if lie_alike(x, like):
        return x
    y = memory.maker(like).empty_like(like)
    y[...] = x
    return y


def kernel_matrix(w: Array) -> Array:
    """A convolution's kernel as a matrix (O, kh kw C): one row for each channel of y, as windows are laid out."""
    return w.transpose(0, 2, 3, 1).reshape(w.shape[0], -1)


def as_rows(x: Array) -> Array:
    """x (..., C) as a matrix with one row for each of its vectors of C, none of which need have an element."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def empty_image(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """An uninitialised (N, C, H, W) array, channels-last in memory, of the type of `like` unless one is given."""
    n, c, h, w = shape
    dtype = like.dtype if dtype is None else dtype
    return memory.maker(like).empty((n, h, w, c), dtype=dtype).transpose(0, 3, 1, 2)


def zero_image(like: Array, shape: tuple[int, ...]) -> Array:
    """Zeros (N, C, H, W), channels-last in memory, of the type of `like`."""
    n, c, h, w = shape
    return memory.maker(like).zeros((n, h, w, c), dtype=like.dtype).transpose(0, 3, 1, 2)


def leaky_relu(x: Array, slope: float, out: Array = None) -> Array:
    """x where x > 0, slope * x elsewhere, in `out` if given; slope >= 0."""
    lib = xp(x)
    if not slope:  # 0 * infinity would be NaN
        return lib.maximum(x, 0, out=out)
    y = lib.multiply(x, slope, out=out)
    return lib.maximum(x, y, out=y) if slope <= 1 else lib.minimum(x, y, out=y)


def leaky_relu_grad(g: Array, y: Array, slope: float, out: Array = None) -> Array:
    """g where y > 0, slope * g elsewhere; in `out` if given, which may not be g."""
    lib = xp(g)
    out = memory.maker(g).empty_like(y) if out is None else out
    if not slope:
        return selected(g, y > 0, out)
    out[...] = y > 0
    if slope > 1:
        out *= 1 - slope
        out += slope
    else:
        lib.maximum(out, slope, out=out)
    out *= g
    return out


def extreme(name: str, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The "max" or "min" of x over `axes`."""
    return getattr(x, name)(axis=axes, keepdims=keepdims)


def selected(x: Array, mask: Array, out: Array = None) -> Array:
    """x where `mask`, 0 elsewhere; in `out` if given, which may not be x.

    The bits are multiplied by 1 or 0: a product of floats would make infinity * 0 NaN, and a choice for each
    element is many times slower.
    """
    out = memory.maker(x).empty_like(x) if out is None else out
    integer = f"i{x.itemsize}"
    bits = out.view(integer)
    bits[...] = mask
    bits *= x.view(integer)
    return out


def where(mask: Array, a: Array | float, b: Array | float) -> Array:
    """a where `mask`, b elsewhere; either may be a number."""
    if _is_zero_beside(a, b, mask):
        return selected(b, ~mask)
    if _is_zero_beside(b, a, mask):
        return selected(a, mask)
    return xp(mask).where(mask, a, b)


def _is_zero_beside(value: Array | float, x: Array | float, mask: Array) -> bool:
    """Is `value` the number 0, and x an array of floats of the mask's shape?"""
    is_zero = isinstance(value, _NUMBERS) and value == 0 and math.copysign(1, value) > 0
    return is_zero and not isinstance(x, _NUMBERS) and x.shape == mask.shape and x.dtype.kind == "f"


def softplus(x: Array) -> Array:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|): finite for every finite x."""
    lib = xp(x)
    return lib.maximum(x, 0) + lib.log1p(lib.exp(-abs(x)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), accurate on both tails: e^-|x| never overflows and never cancels."""
    lib = xp(x)
    small = lib.exp(-abs(x))
    return lib.where(x >= 0, 1, small) / (1 + small)


def arithmetic(name: str, a: Array, b: Array) -> Array:
    """NumPy's function of that name of a and b, one of which may be a number."""
    return getattr(xp(a, b), name)(a, b)


def concatenate(xs: Sequence[Array], axis: int) -> Array:
    """The arrays joined along `axis`."""
    return xp(*xs).concatenate(xs, axis)


def flattened(xs: Sequence[Array], by: float) -> Array:
    """The elements of all arrays times `by`, behind each other."""
    flat = memory.maker(xs[0]).empty((builtins.sum(x.size for x in xs),), dtype=xs[0].dtype)
    end = 0
    for x in xs:
        begin, end = end, end + x.size
        xp(x).multiply(x, by, out=flat[begin:end].reshape(x.shape))
    return flat


def function(name: str, x: Array) -> Array:
    """NumPy's function of that name of each element of x, floats or integers that stay what they are."""
    return getattr(xp(x), name)(x)


def sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum of x over `axes`."""
    return x.sum(axis=axes, keepdims=keepdims)


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    """e^x / sum(e^x) over `axes`; NaN where one is infinity, or all are -infinity."""
    lib = xp(x)
    y = memory.maker(x).empty_like(x)
    if not x.size:
        return y
    with np.errstate(invalid="ignore"):
        lib.subtract(x, x.max(axis=axes, keepdims=True), out=y)
    lib.exp(y, out=y)
    y *= 1 / y.sum(axis=axes, keepdims=True)
    return y


def softmax_grad(g: Array, y: Array, axes: tuple[int, ...]) -> Array:
    """y (g - sum(g y) over `axes`)."""
    lib, x = xp(g), memory.maker(y).empty_like(y)
    lib.multiply(g, y, out=x)
    lib.subtract(g, x.sum(axis=axes, keepdims=True), out=x)
    x *= y
    return x


# --- pooling: `s` is the geometry of windows over x; a winner is its row-major position in the window -------


def pool_max(x: Array, s: Geometry) -> Array:
    """The largest element of each window."""
    lib = xp(x)
    first, *rest = [x[:, :, rows, columns] for _, _, rows, columns in s.taps()]
    y = empty_image(x, s.y)
    if not rest:
        y[...] = first
    for piece in rest:
        lib.maximum(first, piece, out=y)
        first = y
    return y


def pool_winner(x: Array, y: Array, s: Geometry) -> Array:
    """Which element of each window is its largest, y: the number of elements before the first that equals it.

    A NaN is larger than any number.
    """
    taps = s.taps()
    winner = memory.maker(x).empty_like(y, dtype=winner_dtype(s))
    winner[...] = 0
    unmatched: Array = True
    may_be_nan = is_cuda(y) or np.isnan(y).any()  # a GPU would have to be waited for
    for _, _, rows, columns in taps[:-1]:
        piece = x[:, :, rows, columns]
        unmatched = unmatched & (piece != y)
        if may_be_nan:
            unmatched &= piece == piece
        winner += unmatched
    return winner


def winner_dtype(s: Geometry) -> str:
    """The type of a position in a window."""
    return "uint8" if len(s.taps()) <= 256 else "uint16"


def pool_take(x: Array, winner: Array, s: Geometry) -> Array:
    """The element of each window that `winner` points at."""
    y = zero_image(x, s.y)
    for k, (_, _, rows, columns) in enumerate(s.taps()):
        y += selected(x[:, :, rows, columns], winner == k)
    return y


def pool_put(g: Array, winner: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's winner lies."""
    x = empty_image(g, s.x)
    tiled = s.stride == s.w[2:] and s.x[2:] == (s.y[2] * s.w[2], s.y[3] * s.w[3])  # each pixel lies in one window
    if not tiled:
        x[...] = 0
    for k, (_, _, rows, columns) in enumerate(s.taps()):
        if tiled:
            selected(g, winner == k, x[:, :, rows, columns])
        else:
            x[:, :, rows, columns] += selected(g, winner == k)
    return x


def pool_max_grad(g: Array, x: Array, y: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's first element equal to its largest, y, lies."""
    return pool_put(g, pool_winner(x, y, s), s)


def pool_sum(x: Array, s: Geometry) -> Array:
    """The sum of each window."""
    y = zero_image(x, s.y)
    for _, _, rows, columns in s.taps():
        y += x[:, :, rows, columns]
    return y


def pool_spread(g: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added to every element of its window."""
    x = zero_image(g, s.x)
    for _, _, rows, columns in s.taps():
        x[:, :, rows, columns] += g
    return x


# --- batches ------------------------------------------------------------------------------------------------


def scaled(images: Array) -> Array:
    """uint8 images as float32 in [-1, 1]: x (1 / 127.5) - 1."""
    x = memory.maker(images).empty_like(images, dtype="float32")
    x[...] = images
    x *= 1 / 127.5
    x -= 1
    return x


def gather_images(images: Array, order: Array, k: int, per_epoch: int, batch: int) -> Array:
    """The k-th batch, in this order, of uint8 images (N, ...) as float32 in [-1, 1]."""
    first = k % per_epoch * batch
    return scaled(images[order[first : first + batch]])


# --- optimizer updates, in place; the same formulas as Tensors stand in minigan/optim/ ----------------------


def update(rule: Callable[..., None], rows: Sequence[Sequence[Array]], **options: Any) -> None:
    """rule(parameter, gradient, *slots, **options) for each row of these arrays."""
    for row in rows:
        rule(*row, **options)


def average(shadow: Array, parameter: Array, *, decay: Array) -> None:
    """The exponential moving average of `parameter`, in place in `shadow`; decay is 0-d."""
    shadow += (1 - decay).astype(shadow.dtype) * (parameter - shadow)


def total(p: Array, *shares: Array) -> None:
    """The sum of two arrays or more, in place in p."""
    first, second, *rest = shares
    xp(p).add(first, second, out=p)
    for share in rest:
        p += share


def sgd(p: Array, g: Array, *slots: Array, lr: Array, momentum: float, weight_decay: float, nesterov: bool) -> None:
    """Stochastic gradient descent with (Nesterov) momentum, in place in p and slots: (v,) or none."""
    g = _limited(g + weight_decay * p if weight_decay else g)
    if slots:
        (v,) = slots
        v *= momentum
        v += g
        g = g + momentum * v if nesterov else v
    p -= lr.astype(p.dtype) * g


def rmsprop(
    p: Array,
    g: Array,
    s: Array,
    *slots: Array,
    lr: Array,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """RMSProp, in place in p, s and slots: the average of g if centered, the buffer if there is a momentum."""
    average = slots[0] if centered else None
    buffer = slots[-1] if momentum else None
    g = _limited(g + weight_decay * p if weight_decay else g)
    s *= alpha
    s += (1 - alpha) * g * g
    centred = s
    if average is not None:
        average *= alpha
        average += (1 - alpha) * g
        centred = _variance(s, average)
    step = g / (xp(p).sqrt(centred) + eps)
    if buffer is not None:
        buffer *= momentum
        buffer += step
        step = buffer
    p -= lr.astype(p.dtype) * step


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: Array,
    t: Array,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """Adam, in place in p, m and v; lr and t are 0-d arrays on the same device."""
    beta1, beta2 = betas
    rate = (lr / (1 - beta1**t)).astype(p.dtype)
    correction = ((1 - beta2**t) ** 0.5).astype(p.dtype)
    if weight_decay and decoupled:
        p *= (1 - lr * weight_decay).astype(p.dtype)
    elif weight_decay:
        g = g + weight_decay * p
    g = _limited(g)
    step = memory.maker(g).empty_like(g)
    xp(p).multiply(g, 1 - beta1, out=step)
    m *= beta1
    m += step
    xp(p).multiply(g, (1 - beta2) ** 0.5, out=step)
    xp(p).square(step, out=step)
    v *= beta2
    v += step
    xp(p).sqrt(v, out=step)
    step += eps * correction
    xp(p).divide(m, step, out=step)
    step *= rate * correction
    p -= step


def _limited(g: Array) -> Array:
    """g with infinities as the largest number: a step is then 0 where squares overflow, and not infinity / infinity."""
    if isinstance(g, np.ndarray) and math.isfinite(np.vdot(g, g)):  # faster than to limit what needs no limit
        return g
    limit = np.finfo(g.dtype).max
    return g.clip(-limit, limit)


def _variance(s: Array, average: Array) -> Array:
    """s - average^2, at least half a unit in the last place of s: less is rounding, which may lie below zero."""
    with np.errstate(invalid="ignore"):  # infinite less infinite: s, which is infinite, has the last word
        return xp(s).fmax(s - average * average, float(np.finfo(s.dtype).eps / 2) * s)
