"""Convolution on CuPy arrays: a strided view of the windows, copied once, and one 2-D matrix product per group."""

from ..backend import Array, xp
from .geometry import Geometry
from .portable import *  # noqa: F403  offered as kernels of this device as they are
from .portable import channels_last, kernel_matrix


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    n, o, oh, ow = s.y
    lib = xp(x)
    y = lib.empty((n * oh * ow, o), dtype=x.dtype)
    for columns, (_, outs) in zip(_columns(x, s), s.group_slices(), strict=True):
        y[:, outs] = columns @ kernel_matrix(w[outs]).T
    if b is not None:
        y += b
    return y.reshape(n, oh, ow, o).transpose(0, 3, 1, 2)


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    n, o, oh, ow = s.y
    lib = xp(y)
    flat = channels_last(y).transpose(0, 2, 3, 1).reshape(n * oh * ow, o)
    padded = lib.zeros(s.padded, dtype=y.dtype)
    _, c, kh, kw = s.w
    for channels, outs in s.group_slices():
        columns = (flat[:, outs] @ kernel_matrix(w[outs])).reshape(n, oh, ow, kh, kw, c)
        for i, j, rows, cols in s.taps():
            padded[:, rows, cols, channels] += columns[:, :, :, i, j]
    (top, _), (left, _) = s.pads
    inside = padded[:, top : top + s.x[2], left : left + s.x[3]]
    x = lib.ascontiguousarray(inside) if b is None else inside + b
    return x.transpose(0, 3, 1, 2)


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    n, o, oh, ow = s.y
    lib = xp(x)
    flat = channels_last(y).transpose(0, 2, 3, 1).reshape(n * oh * ow, o)
    _, c, kh, kw = s.w
    w = lib.empty((o, kh * kw * c), dtype=x.dtype)
    for columns, (_, outs) in zip(_columns(x, s), s.group_slices(), strict=True):
        w[outs] = flat[:, outs].T @ columns
    return w.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def matmul(a: Array, b: Array) -> Array:
    """a @ b."""
    return a @ b


def linear(x: Array, w: Array, b: Array = None) -> Array:
    """x w^T + b."""
    y = x @ w.T
    if b is not None:
        y += b
    return y


def linear_weight(x: Array, y: Array) -> Array:
    """The sum over rows of y^T x."""
    return y.reshape(-1, y.shape[-1]).T @ x.reshape(-1, x.shape[-1])


def _columns(x: Array, s: Geometry) -> list[Array]:
    """Per group, every window of padded x as a row: (N OH OW, kh kw C / groups)."""
    lib = xp(x)
    pads = ((0, 0), *s.pads, (0, 0))
    padded = lib.pad(channels_last(x).transpose(0, 2, 3, 1), pads)
    (sh, sw), (dh, dw) = s.stride, s.dilation
    _, c, kh, kw = s.w
    n, _, oh, ow = s.y
    extent = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    windows = lib.lib.stride_tricks.sliding_window_view(padded, extent, axis=(1, 2))
    windows = windows[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)
    return [
        lib.ascontiguousarray(windows[..., channels]).reshape(n * oh * ow, kh * kw * c)
        for channels, _ in s.group_slices()
    ]
