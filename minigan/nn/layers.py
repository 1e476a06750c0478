"""Layers with PyTorch's names, arguments and weight layouts."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops, random
from ..backend import Array
from ..errors import DTypeError, ShapeError, brief
from ..kernels import geometry
from ..kernels.calls import made
from ..kernels.geometry import Pads, Pair, frozen, pair
from ..kernels.portable import channels_last
from ..ops.linalg import linear  # its arguments are looked at here already
from ..random import Stream
from ..tensor import Tensor, as_tensor, full, ones, zeros
from . import init
from .checks import flag, integer, number
from .module import Module, Parameter


class Linear(Module):
    """y = x W^T + b: x (..., in_features), weight (out_features, in_features), bias (out_features,)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Stream | None = None) -> None:
        shape = integer("Linear: out_features", out_features, 1), integer("Linear: in_features", in_features, 1)
        self.weight = Parameter(zeros(shape))
        init.kaiming_uniform_(self.weight, math.sqrt(5), rng=rng)
        self.bias = uniform_bias(out_features, in_features, rng) if flag("Linear: bias", bias) else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., out_features)."""
        x = as_tensor(x, "Linear")
        if x.ndim < 1 or x.shape[-1] != self.weight.shape[1]:
            raise ShapeError(f"Linear: expected (..., {self.weight.shape[1]}), got {x.shape}")
        return linear(x, self.weight, self.bias)

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
        options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self.options = {option: frozen(f"Conv2d: {option}", value) for option, value in options.items()}
        inner, outer = integer("Conv2d: in_channels", in_channels, 1), integer("Conv2d: out_channels", out_channels, 1)
        self.weight = kernel_weight("Conv2d", outer, inner, kernel_size, groups, rng)
        geometry.convolution("Conv2d", (1, inner, *LARGE), self.weight.shape, **self.options)
        self.bias = uniform_bias(outer, math.prod(self.weight.shape[1:]), rng) if flag("Conv2d: bias", bias) else None

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
        options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options |= {"output_padding": output_padding, "output_size": None}
        name = "ConvTranspose2d"
        self.options = {option: frozen(f"{name}: {option}", value) for option, value in options.items()}
        outer = integer(f"{name}: in_channels", in_channels, 1)
        inner = integer(f"{name}: out_channels", out_channels, 1)
        self.weight = kernel_weight(name, outer, inner, kernel_size, groups, rng)
        geometry.transposed(name, (1, outer, *LARGE), self.weight.shape, **self.options)
        if output_size is not None:
            self.options["output_size"] = pair(output_size, f"{name}: output_size", 1)
        self.bias = uniform_bias(inner, math.prod(self.weight.shape[1:]), rng) if flag(f"{name}: bias", bias) else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, OH, OW)."""
        return ops.conv_transpose2d(x, self.weight, self.bias, **self.options)

    def extra_repr(self) -> str:
        """Weight shape and options."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, {self.weight.shape[2:]}{_options(self.options)}"


class Embedding(Module):
    """Rows of weight (num_embeddings, embedding_dim), N(0, 1) at first, picked by integer indices."""

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng: Stream | None = None) -> None:
        rows = integer("Embedding: num_embeddings", num_embeddings, 1)
        self.weight = Parameter(zeros((rows, integer("Embedding: embedding_dim", embedding_dim, 1))))
        init.normal_(self.weight, rng=rng)

    def forward(self, indices: Tensor) -> Tensor:
        """(*indices.shape, embedding_dim); DTypeError if they are no integers, ShapeError if there is no such row.

        On a GPU nothing reads them back, and what they name is not looked at.
        """
        indices = as_tensor(indices, "Embedding")
        if indices.dtype.kind not in "iu":
            raise DTypeError(f"Embedding: expected integers as indices, got {indices.dtype} of shape {indices.shape}")
        rows = len(self.weight)
        if indices.device == "cpu" and indices.size and not 0 <= indices.data.min() <= indices.data.max() < rows:
            found = f"{indices.data.min()} to {indices.data.max()}"
            raise ShapeError(f"Embedding: expected indices from 0 to {rows - 1}, got {found}")
        return self.weight[indices]

    def extra_repr(self) -> str:
        """How many rows, of how many numbers."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class Dropout(Module):
    """In training each element is zeroed with probability p and the rest scaled by 1 / (1 - p) (Srivastava 2014).

    With `rng=None` a game decides the mask from its seed and step, so that a resumed run is the same run; a stream
    given here is its owner's to save. With `always` evaluation changes nothing: in a generator dropout is a source of
    noise (Isola et al. 2017), and the running statistics of a batch norm behind it are those of dropped elements.
    """

    def __init__(self, p: float = 0.5, *, always: bool = False, rng: Stream | None = None) -> None:
        self.p = number("Dropout: p", p, least=0, below=1)
        self.always = flag("Dropout: always", always)
        self.rng = rng

    def forward(self, x: Tensor) -> Tensor:
        """x with elements dropped; x itself in evaluation mode, unless `always`."""
        x = as_tensor(x, "Dropout")
        if not (self.training or self.always) or self.p == 0:
            return x
        drawn = (self.rng or random.default()).uniform(x.shape, dtype=x.dtype, device=x.device)
        return x * Tensor(made(_kept, drawn, self.p))


def _kept(drawn: Array, p: float) -> Array:
    """1 / (1 - p) where the number drawn is p or more, else 0."""
    return (drawn >= p).astype(drawn.dtype) * (1 / (1 - p))


class Flatten(Module):
    """(N, ...) to (N, product of the rest), in the order of the logical axes."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, features)."""
        x = as_tensor(x, "Flatten")
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Unflatten(Module):
    """Axis `dim` of x cut into several: (N, features) to (N, *unflattened_size) for dim 1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        if not isinstance(unflattened_size, Sequence) or not unflattened_size:
            raise ShapeError(f"Unflatten: expected the sizes of at least one axis, got {brief(unflattened_size)}")
        self.dim = integer("Unflatten: dim", dim)
        self.unflattened_size = tuple(integer("Unflatten: a size", size, -1) for size in unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """(..., *unflattened_size, ...); ShapeError if x has no such axis, or one of another size."""
        x = as_tensor(x, "Unflatten")
        if not -x.ndim <= self.dim < x.ndim:
            raise ShapeError(f"Unflatten: {x.shape} has no axis {self.dim}")
        return ops.reshape(x, (*x.shape[: self.dim], *self.unflattened_size, *x.shape[self.dim :][1:]))

    def extra_repr(self) -> str:
        """The axis and its new shape."""
        return f"{self.dim}, {self.unflattened_size}"


class _Function(Module):
    """A module that applies a function of one tensor, with options but no parameters."""

    function: Callable[..., Tensor]
    options: tuple[Any, ...] = ()

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
        flag("ReLU: inplace", inplace)


class LeakyReLU(_Function):
    """x where x > 0, negative_slope * x elsewhere."""

    function = staticmethod(ops.leaky_relu)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.options = (number("LeakyReLU: negative_slope", negative_slope, least=0),)


class PReLU(Module):
    """x where x > 0, weight * x elsewhere, the weight learnt: one, or one for each channel, axis 1 (He et al. 2015)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        count = integer("PReLU: num_parameters", num_parameters, 1)
        self.weight = Parameter(full(count, number("PReLU: init", init)))

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape; ShapeError if there is neither one weight nor as many as channels."""
        x = as_tensor(x, "PReLU")
        count = self.weight.shape[0]
        if count != 1 and (x.ndim < 2 or x.shape[1] != count):
            raise ShapeError(f"PReLU: expected {count} channels on axis 1, got {x.shape}")
        slope = ops.reshape(self.weight, (count,)[: x.ndim] + (1,) * (x.ndim - 2))
        return ops.where(x > 0, x, slope * x)

    def extra_repr(self) -> str:
        """How many weights."""
        return f"{self.weight.shape[0]}"


class ELU(_Function):
    """x where x > 0, alpha * (e^x - 1) elsewhere."""

    function = staticmethod(ops.elu)

    def __init__(self, alpha: float = 1.0) -> None:
        self.options = (number("ELU: alpha", alpha, above=0),)


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
        self.options = (integer("Softmax: dim", dim),)


class GLU(Module):
    """a sigmoid(b) of the two halves of x along an axis, which has an even size: a gate (Dauphin et al. 2017)."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = integer("GLU: dim", dim)

    def forward(self, x: Tensor) -> Tensor:
        """Of half x's size along the axis; ShapeError if x has no such axis, or one of an odd size."""
        x = as_tensor(x, "GLU")
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] % 2:
            raise ShapeError(f"GLU: expected an axis {self.dim} of an even size, got {x.shape}")
        a, b = ops.split(x, 2, axis=self.dim)
        return a * ops.sigmoid(b)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class MaxPool2d(_Function):
    """The largest element of each window: (N, C, H, W) to (N, C, OH, OW)."""

    function = staticmethod(ops.max_pool2d)

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None) -> None:
        self.options = _window("MaxPool2d", kernel_size, stride)


class AvgPool2d(_Function):
    """The mean of each window: (N, C, H, W) to (N, C, OH, OW)."""

    function = staticmethod(ops.avg_pool2d)

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None) -> None:
        self.options = _window("AvgPool2d", kernel_size, stride)


class UpsampleNearest(_Function):
    """Each pixel repeated into a block of `scale` pixels: (N, C, H, W) to (N, C, H scale, W scale)."""

    function = staticmethod(ops.upsample_nearest)

    def __init__(self, scale: int | Pair = 2) -> None:
        self.options = (pair(scale, "UpsampleNearest: scale", 1),)


class PixelShuffle(_Function):
    """(N, C r r, H, W) to (N, C, H r, W r), r = factor."""

    function = staticmethod(ops.pixel_shuffle)

    def __init__(self, factor: int) -> None:
        self.options = (integer("PixelShuffle: factor", factor, 1),)


def _window(name: str, kernel_size: int | Pair, stride: int | Pair | None) -> tuple[Pair, Pair]:
    """(size, step) of a pooling window."""
    size = pair(kernel_size, f"{name}: kernel_size", 1)
    return size, size if stride is None else pair(stride, f"{name}: stride", 1)


# An image that every window fits into: with it the geometry says if a convolution's options make sense.
LARGE = (1 << 20, 1 << 20)


def kernel_weight(name: str, outer: int, inner: int, size: int | Pair, groups: int, rng: Stream | None) -> Parameter:
    """A weight (outer, inner / groups, kh, kw), channels-last in memory, with PyTorch's default initialisation."""
    kernel = pair(size, f"{name}: kernel_size", 1)
    groups = integer(f"{name}: groups", groups, 1)
    if outer % groups or inner % groups:
        raise ShapeError(f"{name}: groups must divide both {outer} and {inner} channels, got {groups}")
    weight = Parameter(channels_last(ones((outer, inner // groups, *kernel)).data))
    init.kaiming_uniform_(weight, math.sqrt(5), rng=rng)
    return weight


def uniform_bias(features: int, fan_in: int, rng: Stream | None) -> Parameter:
    """A bias (features,) from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), PyTorch's default."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    bias = Parameter(zeros(features))
    init.uniform_(bias, -bound, bound, rng=rng)
    return bias


def _options(options: dict[str, Any]) -> str:
    """The options that differ from their defaults, each after a comma."""
    usual = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0, "output_padding": 0, "output_size": None}
    return "".join(f", {k}={v}" for k, v in options.items() if v != usual[k])
