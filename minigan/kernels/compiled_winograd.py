"""A convolution with fewer multiplications in C (c/winograd.h has the mathematics): where it may be done, at what cost.

F(m, r) makes m x m pixels of a result at once, of a kernel with r x r taps. The larger m, the fewer multiplications
there are and the larger is what cancels out: an error may be ten times that of a sum over windows (`ERROR`).
"""

import math
from functools import lru_cache

import numpy as np

from ..backend import Array
from .geometry import Geometry
from .library import address, call
from .portable import channels_last, empty_image
from .threads import get_num_threads

# No element of a result of F(m, r) is further from the exact one than this times the largest sum of the absolute values
# of what is added up for one. The direct kernels: 1e-6.
ERROR = {
    (2, 2): 1e-6,
    (3, 2): 1e-6,
    (4, 2): 4e-6,
    (2, 3): 2e-6,
    (4, 3): 5e-6,
    (2, 5): 5e-6,
    (4, 5): 1.5e-5,
}

# What else is done is counted in the multiplications that would take as long.
_TRANSFORM = 20  # of an element of V or E
_KERNEL = 24  # of an element of U, which is written once and read for each block of tiles


def taps(s: Geometry) -> int | None:
    """r = k / stride of a square kernel without holes or groups whose stride divides it; None for any other."""
    kernel, stride = s.w[2], s.stride[0]
    if s.w[3] != kernel or s.stride[1] != stride or s.dilation != (1, 1) or s.groups > 1 or kernel % stride:
        return None
    return kernel // stride


@lru_cache(maxsize=1024)
def best(s: Geometry) -> tuple[int, float]:
    """(the m that takes least time, the number of multiplications that take as long); (0, inf) if there is none."""
    costs = [(_cost(s, m), m) for m, r in ERROR if r == taps(s)]
    return min(costs, default=(math.inf, 0))[::-1]


def _cost(s: Geometry, m: int) -> float:
    stride = s.stride[0]
    n, o, oh, ow = s.y
    tiles = n * -(-oh // m) * -(-ow // m)
    depth = s.w[1] * stride**2
    each = (tiles + _KERNEL) * depth * o + _TRANSFORM * tiles * (depth + o)
    return (m + s.w[2] // stride - 1) ** 2 * float(each)


def conv(x: Array, w: Array, s: Geometry, m: int, b: Array = None, slope: float = 1.0) -> Array:
    """y = act(conv(x, w) + b), act(z) = z where z > 0, slope z elsewhere: (N, O, OH, OW), channels-last in memory."""
    x, w = channels_last(x), channels_last(w)
    y = empty_image(x, s.y)
    _call("winograd_conv", s, m, address(x), address(w), 0 if b is None else address(b), slope, address(y))
    return y


def conv_input(w: Array, y: Array, s: Geometry, m: int, b: Array = None) -> Array:
    """The x-slot of the trilinear form plus b: (N, C, H, W), channels-last in memory."""
    w, y = channels_last(w), channels_last(y)
    x = empty_image(y, s.x)
    _call("winograd_input", s, m, address(w), address(y), 0 if b is None else address(b), address(x))
    return x


def conv_weight(x: Array, y: Array, s: Geometry, m: int) -> Array:
    """The w-slot of the trilinear form: (O, C, kh, kw), channels-last in memory."""
    x, y = channels_last(x), channels_last(y)
    w = empty_image(x, s.w)
    _call("winograd_weight", s, m, address(x), address(y), address(w))
    return w


def _call(name: str, s: Geometry, m: int, *args: float) -> None:
    get_num_threads()  # which the compiled kernels learn by the way
    call(name, address(_struct(s)), m, *args)


@lru_cache(maxsize=1024)
def _struct(s: Geometry) -> Array:
    """struct geometry of the C sources."""
    (n, c, h, w), (o, _, kh, kw), (oh, ow) = s.x, s.w, s.y[2:]
    (top, _), (left, _) = s.pads
    numbers = (n, c, h, w, kh, kw, o, oh, ow, *s.stride, top, left, *s.dilation, s.groups)
    return np.array(numbers, dtype=np.int64)
