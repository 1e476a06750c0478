"""The three faces of a convolution of float32 images in C; what no C kernel fits goes NumPy's way (cpu_conv.py).

Which way a face takes is decided in one place, `way`, by the geometry alone:

    winograd  all faces with fewer multiplications (compiled_winograd.py, c/winograd.c)
    direct    rows of windows times the kernel (c/direct.c, c/direct_weight.c)
    planes    the input gradient for images of few channels, which make poor columns of a product (c/planes.c)
    reversed  with stride 1 from many channels to few: as the gradient of the convolution that goes the other way,
              whose kernel is this one backwards
    numpy     too small to be worth a call; groups that make so few channels that a vector would be nearly empty
"""

from functools import lru_cache
from typing import Literal

import numpy as np

from ..backend import FLOAT32, Array
from . import compiled_winograd as winograd
from . import cpu_conv
from .geometry import Geometry
from .library import address, call
from .portable import channels_last, empty_image, kernel_matrix
from .threads import get_num_threads

Face = Literal["conv", "conv_input", "conv_weight"]

_SMALL = 2e5  # floating-point operations below which a call costs more than it saves
_THIN = 4  # channels that a group of several makes, below which NumPy adds them up as fast
_FEW = 8  # channels of an image below which its pixels make poor columns

Way = tuple[str] | tuple[str, int]


@lru_cache(maxsize=1024)
def way(face: Face, s: Geometry) -> Way:
    """How a face of the convolution is computed: what its function in C begins with, and a tile's size for Winograd."""
    if s.flops < _SMALL or not all((*s.x, *s.w, *s.y)):
        return ("numpy",)
    if m := winograd.tile(s):
        return "winograd", m
    outs = s.w[0] // s.groups
    if face == "conv_input":
        return ("planes" if s.w[1] < _FEW else "direct",)
    if s.groups > 1 and outs < _THIN:
        return ("numpy",)
    return ("reversed" if outs < min(_FEW, s.w[1]) and _is_reversible(s) else "direct",)


def conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    """y = conv(x, w) + b: (N, O, OH, OW), channels-last in memory."""
    taken, *tile = _way("conv", s, x, w)
    if taken == "numpy":
        return cpu_conv.conv(x, w, s, b)
    if taken == "reversed":
        return conv_input(_backwards(w), x, _reversed(s), b)
    x, w, b, y = _plain(x), _kernel(w), _bias(b), empty_image(x, s.y)
    call(f"{taken}_conv", address(_packed(s)), *tile, address(x), address(w), _at(b), 1.0, address(y))
    return y


def conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    """The x-slot of the convolution's trilinear form, its input gradient, its transpose, plus b. (N, C, H, W)."""
    taken, *tile = _way("conv_input", s, w, y)
    if taken == "numpy":
        return cpu_conv.conv_input(w, y, s, b)
    w, y, b, x = _kernel(w), _plain(y), _bias(b), empty_image(y, s.x)
    call(f"{taken}_input", address(_packed(s)), *tile, address(w), address(y), _at(b), address(x))
    return x


def conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    """The w-slot of the convolution's trilinear form: its weight gradient. (O, C / groups, kh, kw)."""
    taken, *tile = _way("conv_weight", s, x, y)
    if taken == "numpy":
        return cpu_conv.conv_weight(x, y, s)
    if taken == "reversed":
        return channels_last(_backwards(conv_weight(y, x, _reversed(s))))
    x, y, w = _plain(x), _plain(y), empty_image(x, s.w)
    call(f"{taken}_weight", address(_packed(s)), *tile, address(x), address(y), address(w))
    return w


def _way(face: Face, s: Geometry, *arrays: Array) -> Way:
    get_num_threads()  # which the compiled kernels learn by the way
    return way(face, s) if all(a.dtype == FLOAT32 for a in arrays) else ("numpy",)


def _is_reversible(s: Geometry) -> bool:
    """Is the convolution the input gradient of one that goes the other way?"""
    return s.groups == 1 and s.stride == (1, 1) and min(map(min, _reversed(s).pads)) >= 0


def _reversed(s: Geometry) -> Geometry:
    """The convolution from y to x whose input gradient, with the kernel backwards, is this one of stride 1."""
    pads = [
        [(kernel - 1) * dilation - pad for pad in of_axis]
        for kernel, dilation, of_axis in zip(s.w[2:], s.dilation, s.pads, strict=True)
    ]
    w = (s.w[1], s.w[0], *s.w[2:])
    return Geometry(s.y, w, s.x, s.stride, ((pads[0][0], pads[0][1]), (pads[1][0], pads[1][1])), s.dilation, 1)


def _backwards(w: Array) -> Array:
    """The kernel of the convolution that goes the other way."""
    return w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


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
    return np.require(kernel_matrix(w), requirements=("C", "A"))


def _bias(b: Array) -> Array:
    return None if b is None else np.require(b, FLOAT32, ("C", "A"))


def _at(b: Array) -> int:
    return 0 if b is None else address(b)
