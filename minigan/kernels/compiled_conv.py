"""The three faces of a convolution of float32 images in C; what no C kernel fits goes NumPy's way (cpu_conv.py).

Which way a face takes is decided in one place, `way`, by the geometry alone:

    winograd  all faces with fewer multiplications (compiled_winograd.py, c/winograd.c)
    direct    rows of windows times the kernel (c/direct.c, c/direct_weight.c)
    planes    the input gradient for images of few channels (c/planes.c)
    numpy     too small to be worth a call; groups so narrow that a vector would be nearly empty
"""

from functools import lru_cache
from typing import Literal

import numpy as np

from ..backend import Array
from . import compiled_winograd as winograd
from . import cpu_conv
from .geometry import Geometry
from .library import address, call
from .portable import channels_last, empty_image, kernel_matrix
from .threads import get_num_threads

Face = Literal["conv", "conv_input", "conv_weight"]

_F32 = np.dtype("float32")
_SMALL = 2e5  # floating-point operations below which a call costs more than it saves
_FEW = 8  # channels of x below which its pixels make poor columns


@lru_cache(maxsize=1024)
def way(face: Face, s: Geometry) -> str:
    """How a face of the convolution is computed: what the name of its function in C begins with, or "numpy"."""
    if s.flops < _SMALL or not all((*s.x, *s.w, *s.y)):
        return "numpy"
    if winograd.tile(s):
        return "winograd"
    return "planes" if face == "conv_input" and s.w[1] < _FEW else "direct"


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    taken = _way("conv", s, x, w)
    if taken == "numpy":
        return cpu_conv.conv(x, w, s, b)
    x, w, b, y = _plain(x), _kernel(w), _bias(b), empty_image(x, s.y)
    call(f"{taken}_conv", address(_packed(s)), *_tile(taken, s), address(x), address(w), _at(b), 1.0, address(y))
    return y


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    taken = _way("conv_input", s, w, y)
    if taken == "numpy":
        return cpu_conv.conv_input(w, y, s, b)
    w, y, b, x = _kernel(w), _plain(y), _bias(b), empty_image(y, s.x)
    call(f"{taken}_input", address(_packed(s)), *_tile(taken, s), address(w), address(y), _at(b), address(x))
    return x


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    taken = _way("conv_weight", s, x, y)
    if taken == "numpy":
        return cpu_conv.conv_weight(x, y, s)
    x, y, w = _plain(x), _plain(y), empty_image(x, s.w)
    call(f"{taken}_weight", address(_packed(s)), *_tile(taken, s), address(x), address(y), address(w))
    return w


def _way(face: Face, s: Geometry, *arrays: Array) -> str:
    get_num_threads()  # which the compiled kernels learn by the way
    return way(face, s) if all(a.dtype == _F32 for a in arrays) else "numpy"


def _tile(taken: str, s: Geometry) -> list[int | None]:
    """What a function of C is told after the geometry: for Winograd, how large a tile is."""
    return [winograd.tile(s)] if taken == "winograd" else []


@lru_cache(maxsize=1024)
def _packed(s: Geometry) -> Array:
    """`s` as the struct of c/windows.h."""
    (top, _), (left, _) = s.pads
    return np.array((*s.x, *s.w[2:], *s.y[1:], *s.stride, top, left, *s.dilation, s.groups), np.int64)


def _plain(x: Array) -> Array:
    """`x` with its channels last in memory, where a float may lie."""
    x = channels_last(x)
    return x if x.flags.aligned else x.copy("K")


def _kernel(w: Array) -> Array:
    """The kernel as (O, kh kw C / groups) in C order."""
    return np.require(kernel_matrix(w), requirements=["C", "A"])


def _bias(b: Array) -> Array:
    return None if b is None else np.require(b, _F32, ["C", "A"])


def _at(b: Array) -> int:
    return 0 if b is None else address(b)
