"""Layers that change how large an image is, or blur it, without a parameter."""

import math
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError, brief
from ..kernels.geometry import Pads, Pair, frozen, pair
from ..ops.resample import asked_size, check_images, check_mode, filter_of, filtered_size
from ..tensor import Tensor, as_tensor
from .checks import flag
from .module import Module

Sides = tuple[int, int, int, int]


class Upsample(Module):
    """`mg.interpolate` to a size, or by a factor: (N, C, H, W) to (N, C, OH, OW)."""

    def __init__(
        self,
        size: int | Pair | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size, self.scale_factor = asked_size("Upsample", size, scale_factor)
        check_mode("Upsample", mode, align_corners)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = flag("Upsample: recompute_scale_factor", recompute_scale_factor or False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, OH, OW)."""
        asked = self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        return ops.interpolate(x, *asked)

    def target(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what it makes of images of `shape`."""
        if self.scale_factor is None:
            return *shape[:2], *(self.size or ())
        return *shape[:2], *(math.floor(n * f) for n, f in zip(shape[2:], self.scale_factor, strict=True))

    def extra_repr(self) -> str:
        """Size or factor, and mode."""
        asked = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        corners = "" if self.align_corners is None else f", align_corners={self.align_corners}"
        return f"{asked}, mode={self.mode!r}{corners}"


class Blur(Module):
    """A low-pass filter with resampling, as StyleGAN2 has before and after its convolutions (Karras et al. 2020).

    `mg.upfirdn2d` with the filter divided by its sum, and times up squared, so that a constant image stays one but for
    its border, and with the padding of zeros that keeps it centred: (N, C, H, W) to (N, C, H up / down, W up / down),
    rounded down if up is 1. With `down=2` it is the subsampling of Zhang 2019. The filter is a sequence of numbers for
    both axes, or a matrix; it is no part of the state.
    """

    def __init__(self, filter: Any = (1, 3, 3, 1), up: int | Pair = 1, down: int | Pair = 1) -> None:
        taps = filter_of("Blur", filter)
        total = taps.sum()
        if not abs(total) > 1e-12 * abs(taps).sum():
            raise ShapeError(f"Blur: filter: expected numbers whose sum is not 0, got {brief(filter)}")
        self.up, self.down = pair(up, "Blur: up", 1), pair(down, "Blur: down", 1)
        self.filter: np.ndarray = taps / total
        lengths = (taps.shape * 2)[:2]
        tops, lefts = (
            ((k + u - d) // 2, (k - max(u, d)) // 2) for k, u, d in zip(lengths, self.up, self.down, strict=True)
        )
        self.padding: Pads = (tops, lefts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, OH, OW)."""
        return ops.upfirdn2d(x, self.filter, self.up, self.down, self.padding, gain=math.prod(self.up))

    def target(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what it makes of images of `shape`."""
        return *shape[:2], *filtered_size("Blur", shape, self.filter, self.up, self.down, self.padding)

    def steepest(self) -> float:
        """What its Lipschitz constant is at most: zeros between pixels and pixels left out do not add to it."""
        per_axis = 2 if self.filter.ndim == 1 else 1
        return math.prod(self.up) * float(abs(self.filter).sum()) ** per_axis

    def extra_repr(self) -> str:
        """How long the filter is, and the factors that are not 1."""
        size = " x ".join(map(str, self.filter.shape))
        factors = {"up": self.up, "down": self.down}
        return size + "".join(f", {name}={value}" for name, value in factors.items() if value != (1, 1))


class _Padding(Module):
    """A border around images: one width for each side, or (left, right, top, bottom)."""

    mode: str

    def __init__(self, padding: int | Sides) -> None:
        name = type(self).__name__
        given = frozen(f"{name}: padding", None if isinstance(padding, bool) else padding)
        sides = (given,) * 4 if isinstance(given, int) else given
        if not isinstance(sides, tuple) or len(sides) != 4 or not all(isinstance(n, int) and n >= 0 for n in sides):
            raise ShapeError(f"{name}: padding: expected an integer >= 0 or four of them, got {brief(padding)}")
        self.padding: Sides = sides

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H + top + bottom, W + left + right); ShapeError if x has too few pixels to show in the border."""
        left, right, top, bottom = self.padding
        x = as_tensor(x, type(self).__name__)
        check_images(x, type(self).__name__)
        return ops.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=self.mode)

    def target(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what it makes of images of `shape`."""
        left, right, top, bottom = self.padding
        return *shape[:2], shape[2] + top + bottom, shape[3] + left + right

    def extra_repr(self) -> str:
        """(left, right, top, bottom)."""
        return str(self.padding)


class ZeroPad2d(_Padding):
    """Zeros around images."""

    mode = "constant"


class ReflectionPad2d(_Padding):
    """The pixels within the outermost, in reverse, around images: a border is narrower than the image."""

    mode = "reflect"


class ReplicationPad2d(_Padding):
    """The outermost pixels, again and again, around images."""

    mode = "edge"
