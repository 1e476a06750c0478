"""Convolution whose weights a style scales, as in StyleGAN2."""

import math

from .. import ops
from ..errors import ShapeError, brief
from ..kernels import geometry
from ..kernels.geometry import Pads, Pair, frozen
from ..random import Stream
from ..tensor import Tensor, as_tensor
from . import init
from .checks import flag, integer, number
from .layers import LARGE, kernel_weight
from .module import Module
from .style import affine

FILTER = (0.125, 0.375, 0.375, 0.125)  # of StyleGAN2's resampling, along both axes


class ModulatedConv2d(Module):
    """A convolution with w'[n,o,i,k] = s[n,i] w[o,i,k], and, demodulated, w'' = w' / sqrt(sum_ik w'^2 + eps).

    Karras et al. 2020 (StyleGAN2, equations 1 to 3): s (N, in_channels) = affine(style) scales what each input channel
    adds, and the outputs get unit variance again, if the inputs have it. Neither weight is made: x is scaled by s
    before the convolution with w, and the result by 1 / sqrt(sum_i s[n,i]^2 sum_k w[o,i,k]^2 + eps) after it, which is
    the same. `weight` (out_channels, in_channels, kh, kw) is N(0, 1 / fan in) at first, affine's N(0, 1 / style_dim)
    with a bias of 1. There is no bias: it comes after the noise.

    With `up` 2 images become twice as large: by a transposed 3x3 convolution of stride 2 in place of the convolution,
    and the filter 1 3 3 1 behind it, which takes a quarter of the time of a convolution of the larger images.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        style_dim: int,
        demodulate: bool = True,
        padding: int | Pair | Pads | str = "same",
        eps: float = 1e-8,
        up: int = 1,
        *,
        rng: Stream | None = None,
    ) -> None:
        inner = integer("ModulatedConv2d: in_channels", in_channels, 1)
        outer = integer("ModulatedConv2d: out_channels", out_channels, 1)
        self.demodulate = flag("ModulatedConv2d: demodulate", demodulate)
        self.padding = frozen("ModulatedConv2d: padding", padding)
        self.eps = number("ModulatedConv2d: eps", eps, least=0)
        self.weight = kernel_weight("ModulatedConv2d", outer, inner, kernel_size, 1, rng)
        self.up = integer("ModulatedConv2d: up", up, 1)
        if self.up > 2 or (self.up == 2 and (self.weight.shape[2:] != (3, 3) or padding != "same")):
            raise ShapeError(
                "ModulatedConv2d: up is 1, or 2 with a window of 3x3 and its own padding, "
                f"got {up}, {brief(kernel_size)} and {brief(padding)}"
            )
        geometry.convolution("ModulatedConv2d", (1, inner, *LARGE), self.weight.shape, 1, self.padding, 1, 1)
        init.normal_(self.weight, std=1 / math.sqrt(math.prod(self.weight.shape[1:])), rng=rng)
        self.affine = affine("ModulatedConv2d", style_dim, inner, 1.0, rng)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, out_channels, OH, OW) of x (N, in_channels, H, W) and styles (N, style_dim)."""
        x, style = as_tensor(x, "ModulatedConv2d"), as_tensor(style, "ModulatedConv2d")
        outer, inner = self.weight.shape[:2]
        if x.ndim != 4 or x.shape[1] != inner or style.shape != (x.shape[0], self.affine.weight.shape[1]):
            raise ShapeError(
                f"ModulatedConv2d: expected images (N, {inner}, H, W) and styles (N, {self.affine.weight.shape[1]}), "
                f"got {x.shape} and {style.shape}"
            )
        w, s = self.weight, self.affine(style)
        y = self._convolved(x * ops.reshape(s, (*s.shape, 1, 1)), w)
        if not self.demodulate:
            return y
        squares = ops.sum(ops.square(w), (2, 3))
        scale = ops.rsqrt(ops.linear(ops.square(s), squares) + self.eps)
        return y * ops.reshape(scale, (x.shape[0], outer, 1, 1))

    def _convolved(self, x: Tensor, w: Tensor) -> Tensor:
        if self.up == 1:
            return ops.conv2d(x, w, padding=self.padding)
        y = ops.conv_transpose2d(x, ops.transpose(w, (1, 0, 2, 3)), stride=2)
        return ops.upfirdn2d(y, FILTER, padding=1, gain=4)

    def extra_repr(self) -> str:
        """Channels, window, what a style is."""
        outer, inner, *kernel = self.weight.shape
        told = ("" if self.demodulate else ", demodulate=False") + (f", up={self.up}" if self.up > 1 else "")
        return f"{inner}, {outer}, {tuple(kernel)}, {self.affine.weight.shape[1]}{told}"
