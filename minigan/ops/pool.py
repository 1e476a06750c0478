"""Pooling and upsampling of images (N, C, H, W), each family closed under its rules."""

from ..backend import Array
from ..errors import ShapeError, brief
from ..kernels import geometry, kernels
from ..kernels.geometry import Geometry, Pair, frozen
from ..op import op, takes_tensors
from ..tensor import FLOAT32, Tensor
from .elementwise import astype
from .shape import reshape, transpose


@op(
    lambda g, y, x, s: _max_pool_grad(g, x, y, s),
    name="max_pool",
    formula="max over each window",
    flops=lambda y, x, s: y.size * s.w[2] * s.w[3],
)
def _max_pool(x: Array, s: Geometry) -> Array:
    return kernels(x).pool_max(x, s)


@op(
    lambda h, _x, _g, x, y, s: _max_pool_take(h, x, y, s),
    None,
    None,
    name="max_pool_grad",
    formula="zeros; each g added where its window's maximum is",
)
def _max_pool_grad(g: Array, x: Array, y: Array, s: Geometry) -> Array:
    return kernels(g).pool_max_grad(g, x, y, s)


@op(
    lambda g, _y, _h, x, y, s: _max_pool_grad(g, x, y, s),
    None,
    None,
    name="max_pool_take",
    formula="h where each window's maximum is",
)
def _max_pool_take(h: Array, x: Array, y: Array, s: Geometry) -> Array:
    return kernels(h).pool_take(h, kernels(h).pool_winner(x, y, s), s)


@op(
    lambda g, _y, _x, s: _pool_spread(g, s),
    name="pool_sum",
    formula="sum over each window",
    flops=lambda y, x, s: y.size * s.w[2] * s.w[3],
)
def _pool_sum(x: Array, s: Geometry) -> Array:
    return kernels(x).pool_sum(x, s)


@op(
    lambda h, _x, _g, s: _pool_sum(h, s),
    name="pool_spread",
    formula="zeros; each g added over its window",
    flops=lambda y, g, s: g.size * s.w[2] * s.w[3],
)
def _pool_spread(g: Array, s: Geometry) -> Array:
    return kernels(g).pool_spread(g, s)


def _windows(name: str, x: Tensor, window: int | Pair, stride: int | Pair | None) -> Geometry:
    return geometry.pooling(name, x.shape, frozen(f"{name}: kernel_size", window), frozen(f"{name}: stride", stride))


@takes_tensors("x")
def max_pool2d(x: Tensor, kernel_size: int | Pair, stride: int | Pair | None = None) -> Tensor:
    """The largest element of each window; `stride` defaults to the window. The first of equals gets the gradient."""
    return _max_pool(x, _windows("max_pool2d", x, kernel_size, stride))


@takes_tensors("x")
def avg_pool2d(x: Tensor, kernel_size: int | Pair, stride: int | Pair | None = None) -> Tensor:
    """The mean of each window; `stride` defaults to the window."""
    s = _windows("avg_pool2d", x, kernel_size, stride)
    floats = x if x.dtype.kind == "f" else astype(x, FLOAT32)
    return _pool_sum(floats, s) * (1 / (s.w[2] * s.w[3]))


@takes_tensors("x")
def upsample_nearest(x: Tensor, scale: int | Pair) -> Tensor:
    """Each pixel repeated into a block of `scale` pixels: (N, C, H, W) to (N, C, H scale, W scale)."""
    if x.ndim != 4:
        raise ShapeError(f"upsample_nearest: expected x of shape (N, C, H, W), got {x.shape}")
    sh, sw = geometry.pair(scale, "upsample_nearest: scale", 1)
    n, c, h, w = x.shape
    return _pool_spread(x, geometry.pooling("upsample_nearest", (n, c, h * sh, w * sw), (sh, sw), None))


@takes_tensors("x")
def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """(N, C r r, H, W) to (N, C, H r, W r): each block of r r channels becomes a square of pixels (Shi et al. 2016)."""
    r = frozen("pixel_shuffle: factor", factor)
    if not isinstance(r, int) or r < 1:
        raise ShapeError(f"pixel_shuffle: expected an integer factor >= 1, got {brief(factor)}")
    if x.ndim != 4 or x.shape[1] % r**2:
        raise ShapeError(f"pixel_shuffle: {x.shape} does not have a multiple of {r}^2 channels")
    n, c, h, w = x.shape
    y = reshape(x, (n, c // r**2, r, r, h, w))
    return reshape(transpose(y, (0, 1, 4, 2, 5, 3)), (n, c // r**2, h * r, w * r))
