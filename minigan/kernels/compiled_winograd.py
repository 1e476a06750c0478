"""Where a convolution in C is done with fewer multiplications, and how (c/winograd.h has the mathematics).

F(m, r) makes m x m pixels of a result at once, of a kernel with r x r taps. The larger m, the fewer multiplications
there are, the more numbers a transformed kernel has, and the larger is what cancels out: an error may be ten times
that of a sum over windows. Training does not notice (benches/rounding.py): runs part from direct ones as they do when
all weights are off by one rounding.
"""

import math
from functools import lru_cache

from .geometry import Geometry

# For each (m, r): no element of a result is further from the exact one than this times the largest sum of the absolute
# values of what is added up for one. The direct kernels: 1e-6.
ERROR = {
    (2, 2): 1e-6,
    (3, 2): 1e-6,
    (4, 2): 4e-6,
    (2, 3): 2e-6,
    (4, 3): 5e-6,
    (2, 5): 5e-6,
    (4, 5): 1.5e-5,
}

_FEW = 16  # channels that fill the widest vector
_MOST = 1 << 24  # numbers of a transformed kernel, which is memory that stays allocated

# What is done besides the products, in multiplications that take as long: measured with 16 floats to a vector.
_TRANSFORM = 20  # an element of V or E
_KERNEL = 24  # an element of U, written once and read for each block of tiles
_DIRECT = 1.1  # a multiplication of the direct kernels


@lru_cache(maxsize=1024)
def tile(s: Geometry) -> int | None:
    """The m that takes least time, for any face; None if the direct way takes less, or there is no other."""
    costs = [(_cost(s, m, r), m) for m, r in ERROR if r == _taps(s)]
    least, m = min(costs, default=(math.inf, 0))
    return m if least < _DIRECT * s.flops / 2 else None


def _taps(s: Geometry) -> int | None:
    """r = k / stride of a square kernel without holes or groups whose stride divides it; None for any other."""
    kernel, stride = s.w[2], s.stride[0]
    if s.w[3] != kernel or s.stride[1] != stride or s.dilation != (1, 1) or s.groups > 1 or kernel % stride:
        return None
    return kernel // stride


def _cost(s: Geometry, m: int, r: int) -> float:
    """How many multiplications take as long as a face."""
    n, o, oh, ow = s.y
    tiles, depth, products = n * -(-oh // m) * -(-ow // m), s.w[1] * s.stride[0] ** 2, (m + r - 1) ** 2
    if min(depth, o) < _FEW or products * depth * o > _MOST:
        return math.inf
    return products * ((tiles + _KERNEL) * depth * o + _TRANSFORM * tiles * (depth + o))
