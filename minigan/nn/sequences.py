"""Convolutions of sequences (N, C, L): those of images of height 1."""

import math
from typing import Any

from .. import ops
from ..errors import ShapeError
from ..kernels import geometry
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .checks import flag, integer
from .layers import LARGE, kernel_weight, uniform_bias
from .module import Module, Parameter


class Conv1d(Module):
    """A convolution of sequences, weight (out_channels, in_channels / groups, k) and bias (out_channels,).

    `padding` is a number of zeros at both ends, "valid" or "same".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: Stream | None = None,
    ) -> None:
        inner, outer = integer("Conv1d: in_channels", in_channels, 1), integer("Conv1d: out_channels", out_channels, 1)
        self.weight = _weight("Conv1d", outer, inner, kernel_size, groups, rng)
        self.options = _flat("Conv1d", stride, padding, dilation, groups)
        geometry.convolution("Conv1d", (1, inner, 1, LARGE[1]), _high(self.weight), **self.options)
        self.bias = uniform_bias(outer, math.prod(self.weight.shape[1:]), rng) if flag("Conv1d: bias", bias) else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, OL) of x (N, in_channels, L), OL as `mg.conv2d` has it for a width."""
        x = _sequences("Conv1d", x)
        weight = ops.reshape(self.weight, _high(self.weight))
        return _sequence(ops.conv2d(ops.reshape(x, _high(x)), weight, self.bias, **self.options))

    def extra_repr(self) -> str:
        """Channels, window and options."""
        outer, inner, size = self.weight.shape
        return f"{inner * self.options['groups']}, {outer}, {size}{_told(self.options)}"


class ConvTranspose1d(Module):
    """The transpose of a Conv1d, weight (in_channels, out_channels / groups, k) and bias (out_channels,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        output_padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int = 1,
        *,
        rng: Stream | None = None,
    ) -> None:
        name = "ConvTranspose1d"
        outer = integer(f"{name}: in_channels", in_channels, 1)
        inner = integer(f"{name}: out_channels", out_channels, 1)
        self.weight = _weight(name, outer, inner, kernel_size, groups, rng)
        self.options = _flat(name, stride, padding, dilation, groups)
        self.options["output_padding"] = 0, integer(f"{name}: output_padding", output_padding, 0)
        geometry.transposed(name, (1, outer, 1, LARGE[1]), _high(self.weight), **self.options, output_size=None)
        self.bias = uniform_bias(inner, math.prod(self.weight.shape[1:]), rng) if flag(f"{name}: bias", bias) else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, OL) of x (N, in_channels, L), OL as `mg.conv_transpose2d` has it for a width."""
        x = _sequences("ConvTranspose1d", x)
        weight = ops.reshape(self.weight, _high(self.weight))
        return _sequence(ops.conv_transpose2d(ops.reshape(x, _high(x)), weight, self.bias, **self.options))

    def extra_repr(self) -> str:
        """Channels, window and options."""
        outer, inner, size = self.weight.shape
        return f"{outer}, {inner * self.options['groups']}, {size}{_told(self.options)}"


def _weight(name: str, outer: int, inner: int, kernel_size: int, groups: int, rng: Stream | None) -> Parameter:
    """A weight (outer, inner / groups, k) with PyTorch's default initialisation."""
    size = integer(f"{name}: kernel_size", kernel_size, 1)
    image = kernel_weight(name, outer, inner, (1, size), groups, rng)
    return Parameter(image.data.reshape(outer, image.shape[1], size))


def _flat(name: str, stride: int, padding: int | str, dilation: int, groups: int) -> dict[str, Any]:
    """Options of the convolution of images of height 1."""
    if not isinstance(padding, str):
        ends = integer(f"{name}: padding", padding, 0)
        pads: Any = (0, 0), (ends, ends)
    return {
        "stride": (1, integer(f"{name}: stride", stride, 1)),
        "padding": padding if isinstance(padding, str) else pads,
        "dilation": (1, integer(f"{name}: dilation", dilation, 1)),
        "groups": groups,
    }


def _told(options: dict[str, Any]) -> str:
    """The options that differ from their defaults, each after a comma."""
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
    along = {name: value[1] if isinstance(value, tuple) else value for name, value in options.items()}
    along["padding"] = along["padding"] if isinstance(along["padding"], str) else along["padding"][0]
    return "".join(f", {name}={value}" for name, value in along.items() if value != usual[name])


def _high(x: Tensor) -> tuple[int, int, int, int]:
    """The shape of (N, C, L) as an image of height 1."""
    n, c, length = x.shape
    return n, c, 1, length


def _sequences(name: str, x: Any) -> Tensor:
    """x, which are sequences."""
    x = as_tensor(x, name)
    if x.ndim != 3:
        raise ShapeError(f"{name}: expected sequences (N, C, L), got {x.shape}")
    return x


def _sequence(image: Tensor) -> Tensor:
    """An image of height 1 as (N, C, L)."""
    n, c, _, length = image.shape
    return ops.reshape(image, (n, c, length))
