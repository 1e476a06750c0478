"""Layers with PyTorch's names, arguments and weight layouts."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops, random
from ..errors import ShapeError
from ..kernels.geometry import Pads, Pair, pair
from ..kernels.portable import channels_last
from ..random import Stream
from ..tensor import Tensor, as_tensor, full, ones, zeros
from . import init
from .module import Module, Parameter


class Linear(Module):
    """y = x W^T + b: x (..., in_features), weight (out_features, in_features), bias (out_features,)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Stream | None = None) -> None:
        self.weight = Parameter(zeros((out_features, in_features)))
        init.kaiming_uniform_(self.weight, math.sqrt(5), rng=rng)
        self.bias = _bias(out_features, in_features, rng) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., out_features)."""
        x = as_tensor(x, "Linear")
        if x.ndim < 1 or x.shape[-1] != self.weight.shape[1]:
            raise ShapeError(f"Linear: expected (..., {self.weight.shape[1]}), got {x.shape}")
        return ops.linear(x, self.weight) if self.bias is None else ops.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """in_features, out_features."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


class Conv2d(Module):
    """`mg.conv2d` with weight (out_channels, in_channels / groups, kh, kw) and bias (out_channels,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | Pads | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: Stream | None = None,
    ) -> None:
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        kernel = pair(kernel_size, "Conv2d: kernel_size", 1)
        self.weight = _kernel("Conv2d", out_channels, in_channels, kernel, groups, rng)
        self.bias = _bias(out_channels, math.prod(self.weight.shape[1:]), rng) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, OH, OW)."""
        return ops.conv2d(x, self.weight, self.bias, **self.options)

    def extra_repr(self) -> str:
        """Weight shape and options."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, {self.weight.shape[2:]}{_options(self.options)}"


class ConvTranspose2d(Module):
    """`mg.conv_transpose2d` with weight (in_channels, out_channels / groups, kh, kw) and bias (out_channels,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | Pads | str = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        *,
        output_size: int | Pair | None = None,
        rng: Stream | None = None,
    ) -> None:
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self.options |= {"output_padding": output_padding, "output_size": output_size}
        kernel = pair(kernel_size, "ConvTranspose2d: kernel_size", 1)
        self.weight = _kernel("ConvTranspose2d", in_channels, out_channels, kernel, groups, rng)
        self.bias = _bias(out_channels, math.prod(self.weight.shape[1:]), rng) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, OH, OW)."""
        return ops.conv_transpose2d(x, self.weight, self.bias, **self.options)

    def extra_repr(self) -> str:
        """Weight shape and options."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, {self.weight.shape[2:]}{_options(self.options)}"


class Embedding(Module):
    """Rows of weight (num_embeddings, embedding_dim), N(0, 1) at first, picked by integer indices."""

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng: Stream | None = None) -> None:
        self.weight = Parameter(zeros((num_embeddings, embedding_dim)))
        init.normal_(self.weight, rng=rng)

    def forward(self, indices: Tensor) -> Tensor:
        """(*indices.shape, embedding_dim)."""
        return self.weight[indices]


class Dropout(Module):
    """In training each element is zeroed with probability p and the rest scaled by 1 / (1 - p) (Srivastava 2014).

    With `rng=None` a game decides the mask from its seed and step, so that a resumed run is the same run; a stream
    given here is its owner's to save. With `always` evaluation changes nothing: in a generator dropout is a source of
    noise (Isola et al. 2017), and the running statistics of a batch norm behind it are those of dropped elements.
    """

    def __init__(self, p: float = 0.5, *, always: bool = False, rng: Stream | None = None) -> None:
        if not 0 <= p < 1:
            raise ShapeError(f"Dropout: expected a probability 0 <= p < 1, got {p}")
        self.p = p
        self.always = always
        self.rng = rng

    def forward(self, x: Tensor) -> Tensor:
        """x with elements dropped; x itself in evaluation mode, unless `always`."""
        x = as_tensor(x, "Dropout")
        if not (self.training or self.always) or self.p == 0:
            return x
        kept = (self.rng or random.default()).uniform(x.shape, dtype=x.dtype, device=x.device) >= self.p
        return x * Tensor(kept.astype(x.dtype) * (1 / (1 - self.p)))


class Flatten(Module):
    """(N, ...) to (N, product of the rest), in the order of the logical axes."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, features)."""
        x = as_tensor(x, "Flatten")
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Unflatten(Module):
    """Axis `dim` of x cut into several: (N, features) to (N, *unflattened_size) for dim 1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """(..., *unflattened_size, ...)."""
        x = as_tensor(x, "Unflatten")
        return ops.reshape(x, (*x.shape[: self.dim], *self.unflattened_size, *x.shape[self.dim :][1:]))

    def extra_repr(self) -> str:
        """The axis and its new shape."""
        return f"{self.dim}, {self.unflattened_size}"


class _Function(Module):
    """A module that applies a function of one tensor, with options but no parameters."""

    function: Callable[..., Tensor]

    def __init__(self, *options: Any) -> None:
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        """function(x, *options)."""
        return self.function(x, *self.options)

    def extra_repr(self) -> str:
        """The options."""
        return ", ".join(map(str, self.options))


class ReLU(_Function):
    """max(x, 0), never in place."""

    function = staticmethod(ops.relu)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()


class LeakyReLU(_Function):
    """x where x > 0, negative_slope * x elsewhere."""

    function = staticmethod(ops.leaky_relu)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope)


class PReLU(Module):
    """x where x > 0, weight * x elsewhere, the weight learnt: one, or one for each channel, axis 1 (He et al. 2015)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.weight = Parameter(full(num_parameters, init))

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape; ShapeError if there is neither one weight nor as many as channels."""
        x = as_tensor(x, "PReLU")
        count = self.weight.shape[0]
        if count != 1 and (x.ndim < 2 or x.shape[1] != count):
            raise ShapeError(f"PReLU: expected {count} channels on axis 1, got {x.shape}")
        slope = self.weight if x.ndim < 2 else ops.reshape(self.weight, (count,) + (1,) * (x.ndim - 2))
        return ops.where(x > 0, x, slope * x)

    def extra_repr(self) -> str:
        """How many weights."""
        return f"{self.weight.shape[0]}"


class ELU(_Function):
    """x where x > 0, alpha * (e^x - 1) elsewhere."""

    function = staticmethod(ops.elu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)


class Tanh(_Function):
    """tanh x."""

    function = staticmethod(ops.tanh)


class Sigmoid(_Function):
    """1 / (1 + e^-x)."""

    function = staticmethod(ops.sigmoid)


class Softplus(_Function):
    """ln(1 + e^x)."""

    function = staticmethod(ops.softplus)


class Softmax(_Function):
    """e^x / sum(e^x) over an axis."""

    function = staticmethod(ops.softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim)


class MaxPool2d(_Function):
    """The largest element of each window: (N, C, H, W) to (N, C, OH, OW)."""

    function = staticmethod(ops.max_pool2d)

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None) -> None:
        super().__init__(kernel_size, stride)


class AvgPool2d(_Function):
    """The mean of each window: (N, C, H, W) to (N, C, OH, OW)."""

    function = staticmethod(ops.avg_pool2d)

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None) -> None:
        super().__init__(kernel_size, stride)


class UpsampleNearest(_Function):
    """Each pixel repeated into a block of `scale` pixels: (N, C, H, W) to (N, C, H scale, W scale)."""

    function = staticmethod(ops.upsample_nearest)

    def __init__(self, scale: int | Pair = 2) -> None:
        super().__init__(scale)


class PixelShuffle(_Function):
    """(N, C r r, H, W) to (N, C, H r, W r), r = factor."""

    function = staticmethod(ops.pixel_shuffle)

    def __init__(self, factor: int) -> None:
        super().__init__(factor)


def _kernel(name: str, outer: int, inner: int, kernel: Pair, groups: int, rng: Stream | None) -> Parameter:
    """A weight (outer, inner / groups, kh, kw), channels-last in memory, with PyTorch's default initialisation."""
    if groups < 1 or outer % groups or inner % groups:
        raise ShapeError(f"{name}: groups must divide both {outer} and {inner} channels, got {groups}")
    weight = Parameter(channels_last(ones((outer, inner // groups, *kernel)).data))
    init.kaiming_uniform_(weight, math.sqrt(5), rng=rng)
    return weight


def _bias(features: int, fan_in: int, rng: Stream | None) -> Parameter:
    """A bias (features,) from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), PyTorch's default."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    bias = Parameter(zeros(features))
    init.uniform_(bias, -bound, bound, rng=rng)
    return bias


def _options(options: dict[str, Any]) -> str:
    """The options that differ from their defaults, each after a comma."""
    usual = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0, "output_padding": 0, "output_size": None}
    return "".join(f", {k}={v}" for k, v in options.items() if v != usual[k])
