"""Kernels that run as they are on NumPy and on CuPy."""

import math
from collections.abc import Sequence

from ..backend import Array, xp
from .geometry import Geometry

__all__ = [
    "adam",
    "block_images",
    "channels_last",
    "empty_image",
    "leaky_relu",
    "leaky_relu_grad",
    "pool_max",
    "pool_put",
    "pool_spread",
    "pool_sum",
    "pool_take",
    "pool_winner",
    "rmsprop",
    "sgd",
    "zero_image",
]


def channels_last(x: Array) -> Array:
    """`x` (N, C, H, W) with its memory in the order N, H, W, C; the same object if it is so already."""
    nhwc = x.transpose(0, 2, 3, 1)
    return x if nhwc.flags.c_contiguous else xp(x).ascontiguousarray(nhwc).transpose(0, 3, 1, 2)


def empty_image(like: Array, shape: tuple[int, ...]) -> Array:
    """An uninitialised (N, C, H, W) array, channels-last in memory, of the type of `like`."""
    n, c, h, w = shape
    return xp(like).empty((n, h, w, c), dtype=like.dtype).transpose(0, 3, 1, 2)


def zero_image(like: Array, shape: tuple[int, ...]) -> Array:
    """Zeros (N, C, H, W), channels-last in memory, of the type of `like`."""
    n, c, h, w = shape
    return xp(like).zeros((n, h, w, c), dtype=like.dtype).transpose(0, 3, 1, 2)


def leaky_relu(x: Array, slope: float) -> Array:
    """x where x > 0, slope * x elsewhere; slope >= 0."""
    y = x * slope
    lib = xp(x)
    return lib.maximum(x, y, out=y) if slope <= 1 else lib.minimum(x, y, out=y)


def leaky_relu_grad(g: Array, y: Array, slope: float) -> Array:
    """g where y > 0, slope * g elsewhere."""
    positive = (y > 0).astype(g.dtype)
    if slope:
        positive *= 1 - slope
        positive += slope
    positive *= g
    return positive


# --- pooling: `s` is the geometry of windows over x; a winner is its row-major position in the window -------


def pool_max(x: Array, s: Geometry) -> Array:
    """The largest element of each window."""
    lib = xp(x)
    slices = [x[:, :, rows, columns] for _, _, rows, columns in s.taps()]
    if len(slices) == 1:
        return channels_last(slices[0].copy())
    y = lib.maximum(slices[0], slices[1], out=empty_image(x, s.y))
    for piece in slices[2:]:
        lib.maximum(y, piece, out=y)
    return y


def pool_winner(x: Array, s: Geometry) -> Array:
    """Which element of each window is the largest (the first of equals)."""
    lib = xp(x)
    y = pool_max(x, s)
    taps = s.taps()
    winner = lib.full_like(y, len(taps) - 1, dtype="uint16")
    for k, (_, _, rows, columns) in reversed(list(enumerate(taps[:-1]))):
        lib.copyto(winner, winner.dtype.type(k), where=x[:, :, rows, columns] == y)
    return winner


def pool_take(x: Array, winner: Array, s: Geometry) -> Array:
    """The element of each window that `winner` points at."""
    y = zero_image(x, s.y)
    for k, (_, _, rows, columns) in enumerate(s.taps()):
        y += x[:, :, rows, columns] * (winner == k)
    return y


def pool_put(g: Array, winner: Array, s: Geometry) -> Array:
    """Zeros of the shape of x, with each g added where its window's winner lies."""
    x = zero_image(g, s.x)
    for k, (_, _, rows, columns) in enumerate(s.taps()):
        x[:, :, rows, columns] += g * (winner == k)
    return x


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


# --- optimizer updates, in place; the same formulas as Tensors stand in minigan/optim.py --------------------


def sgd(p: Array, g: Array, buffer: Array | None, *, lr: Array, momentum: float, nesterov: bool) -> None:
    """Stochastic gradient descent with (Nesterov) momentum, in place in p and buffer."""
    if buffer is not None:
        buffer *= momentum
        buffer += g
        g = g + momentum * buffer if nesterov else buffer
    p -= lr * g


def rmsprop(p: Array, g: Array, square_avg: Array, *, lr: Array, alpha: float, eps: float) -> None:
    """RMSProp, in place in p and square_avg."""
    square_avg *= alpha
    square_avg += (1 - alpha) * g * g
    p -= lr * g / (xp(p).sqrt(square_avg) + eps)


def adam(
    p: Array, g: Array, m: Array, v: Array, *, rate: Array, root: Array, betas: Sequence[float], eps: float
) -> None:
    """Adam, in place in p, m and v; rate = lr / (1 - beta1^t), root = sqrt(1 - beta2^t)."""
    beta1, beta2 = betas
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    denominator = xp(p).sqrt(v)
    denominator /= root
    denominator += eps
    step = m / denominator
    step *= rate
    p -= step


def block_images(s: Geometry, itemsize: int, budget: int = 1 << 20) -> int:
    """How many images to lower at a time so that their columns take about `budget` bytes, at least one."""
    columns = math.prod(s.y[2:]) * math.prod(s.w[1:]) * s.groups * itemsize
    return max(1, budget // max(columns, 1))
