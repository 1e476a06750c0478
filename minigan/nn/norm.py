"""Normalisation layers, composed of ops: their derivatives follow to any order."""

from collections.abc import Callable, Sequence

import numpy as np

from .. import ops, processes
from ..errors import ShapeError
from ..kernels import kernels
from ..system.once import once
from ..tensor import Tensor, as_tensor, ones, tensor, zeros
from .checks import flag, integer, number
from .module import Buffer, Module, Parameter


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean, mean, var) over `axes`, which are kept for broadcasting; the variance is the biased one."""
    mean = ops.mean(x, axes, keepdims=True)
    centred = x - mean
    var = ops.mean(ops.square(centred), axes, keepdims=True)
    return centred, mean, var


class _BatchNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, per channel over the batch (Ioffe and Szegedy 2015).

    In training the statistics are the batch's own and the running ones move towards them:
    running = (1 - momentum) running + momentum batch, with the unbiased variance. In evaluation mode the
    running ones are used. Of several processes that train together each has the statistics of the whole batch.
    """

    axes: tuple[int, ...]  # over which the statistics are taken
    mixes_samples = True

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        name = type(self).__name__
        channels = integer(f"{name}: num_features", num_features, 1)
        self.eps = number(f"{name}: eps", eps, least=0)
        self.momentum = number(f"{name}: momentum", momentum, least=0, most=1)
        self.weight = Parameter(ones(channels)) if flag(f"{name}: affine", affine) else None
        self.bias = Parameter(zeros(channels)) if affine else None
        self.running_mean = Buffer(zeros(channels))
        self.running_var = Buffer(ones(channels))
        self.num_batches_tracked = Buffer(tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        x = as_tensor(x, type(self).__name__)
        channels = self.running_mean.shape[0]
        if x.ndim != len(self.axes) + 1 or x.shape[1] != channels:
            raise ShapeError(
                f"{type(self).__name__}: expected {channels} channels on {len(self.axes) + 1} axes, got {x.shape}"
            )
        if self.training:
            if self.weight is None or self.bias is None:
                y, mean, r = ops.sync_channel_norm(x, self.eps)
            else:
                y, mean, r = ops.sync_batch_norm(x, self.weight, self.bias, self.eps)
            count = x.size // channels * processes.statistics().size
            once(lambda: self._track(mean, r, count))
            return y
        scale = ops.rsqrt(self.running_var + self.eps)
        shift = -self.running_mean * scale
        if self.weight is not None and self.bias is not None:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return ops.scale_shift(x, scale, shift)

    def _track(self, mean: Tensor, r: Tensor, count: int) -> None:
        if count < 2:
            raise ShapeError(f"{type(self).__name__}: training needs more than one value per channel, got {count}")
        tracked = self.running_mean, self.running_var, self.num_batches_tracked
        arrays = [t.data for t in (*tracked, mean, r)]
        kernels(mean.data).track(*arrays, count, self.momentum, self.eps)
        for t in tracked:
            t.written("BatchNorm")

    def extra_repr(self) -> str:
        """Channels and settings."""
        return f"{self.running_mean.shape[0]}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C)."""

    axes = (0,)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W), per channel."""

    axes = (0, 2, 3)


def take_standing_statistics(network: Module, batch: Callable[[int], object], count: int) -> None:
    """Have each batch norm of `network` take its running statistics anew, as their mean over `count` batches.

    `batch(k)` puts the k-th of them through the network, in training mode. Brock et al. 2019, "standing statistics":
    the running ones belong to weights of the past, and to nobody's if weights are averaged. Does nothing to a network
    without batch norm.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    try:
        for k in range(count if norms else 0):
            for norm in norms:
                norm.momentum = 1 / (k + 1)
            batch(k)
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


class LayerNorm(Module):
    """Each sample normalised over its last axes, weight and bias of that shape (Ba et al. 2016)."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        self.normalized_shape = _last_axes("LayerNorm", normalized_shape)
        self.eps = number("LayerNorm: eps", eps, least=0)
        affine = flag("LayerNorm: elementwise_affine", elementwise_affine)
        self.weight = Parameter(ones(self.normalized_shape)) if affine else None
        self.bias = Parameter(zeros(self.normalized_shape)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        x = as_tensor(x, "LayerNorm")
        centred, _, var = _moments(x, _axes_of("LayerNorm", x, self.normalized_shape))
        y = centred * ops.rsqrt(var + self.eps)
        return y if self.weight is None or self.bias is None else y * self.weight + self.bias

    def extra_repr(self) -> str:
        """Shape and eps."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axes of each sample (Zhang and Sennrich 2019).

    As torch.nn.RMSNorm: without eps it is the distance from 1 to the next number of x's type.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        self.normalized_shape = _last_axes("RMSNorm", normalized_shape)
        self.eps = None if eps is None else number("RMSNorm: eps", eps, least=0)
        affine = flag("RMSNorm: elementwise_affine", elementwise_affine)
        self.weight = Parameter(ones(self.normalized_shape)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        x = as_tensor(x, "RMSNorm")
        axes = _axes_of("RMSNorm", x, self.normalized_shape)
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        y = x * ops.rsqrt(ops.mean(ops.square(x), axes, keepdims=True) + eps)
        return y if self.weight is None else y * self.weight

    def extra_repr(self) -> str:
        """Shape and eps."""
        return f"{self.normalized_shape}, eps={self.eps}"


def _last_axes(name: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of the axes to normalise over, of which there is at least one."""
    sizes = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
    shape = tuple(integer(f"{name}: a size of normalized_shape", size, 1) for size in sizes)
    if not shape:
        raise ShapeError(f"{name}: expected at least one axis to normalise over, got none")
    return shape


def _axes_of(name: str, x: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes of x, which are of that shape."""
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(f"{name}: expected (..., {shape}), got {x.shape}")
    return tuple(range(x.ndim - len(shape), x.ndim))


class PixelNorm(Module):
    """x / sqrt(mean of x^2 over the channels, axis 1, + eps): each pixel gets length sqrt(C) (Karras et al. 2018)."""

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = number("PixelNorm: eps", eps, least=0)

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, ...)."""
        x = as_tensor(x, "PixelNorm")
        if x.ndim < 2:
            raise ShapeError(f"PixelNorm: expected (N, C, ...), got {x.shape}")
        return x * ops.rsqrt(ops.mean(ops.square(x), 1, keepdims=True) + self.eps)

    def extra_repr(self) -> str:
        """The eps."""
        return f"{self.eps}"


class GroupNorm(Module):
    """Each sample's channels normalised in `num_groups` groups, over the group and the image (Wu and He 2018)."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        name = type(self).__name__
        self.num_channels = integer(f"{name}: the number of channels", num_channels, 1)
        self.num_groups = integer(f"{name}: num_groups", num_groups, 1)
        if self.num_channels % self.num_groups:
            raise ShapeError(f"{name}: {num_channels} channels do not split into {num_groups} groups")
        self.eps = number(f"{name}: eps", eps, least=0)
        self.weight = Parameter(ones(self.num_channels)) if flag(f"{name}: affine", affine) else None
        self.bias = Parameter(zeros(self.num_channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, ...)."""
        return self.scaled(x, self.weight, self.bias)

    def scaled(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """The same with another weight and bias: (C,), or (N, C) with a row for each sample."""
        x = as_tensor(x, type(self).__name__)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(f"{type(self).__name__}: expected {self.num_channels} channels, got {x.shape}")
        return ops.group_norm(x, self.num_groups, weight, bias, self.eps)

    def extra_repr(self) -> str:
        """Groups, channels, eps."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class InstanceNorm2d(GroupNorm):
    """Each channel of each image normalised by itself (Ulyanov et al. 2016): as many groups as channels."""

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__(num_features, num_features, eps, affine)
