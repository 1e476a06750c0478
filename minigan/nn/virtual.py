"""Virtual batch normalisation: samples normalised by a reference batch that stays the same."""

from collections.abc import Sequence
from typing import Any

from .. import ops, random
from ..errors import ShapeError, brief
from ..random import Stream
from ..tensor import Tensor, as_tensor, ones, zeros
from .checks import integer, number
from .module import Buffer, Module, Parameter


class VirtualBatchNorm2d(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, by the statistics of a reference batch and x itself.

    Salimans et al. 2016, section 3.4: unlike in batch norm a sample does not depend on the others of its batch. The
    first `reference` images given are the reference batch, as `VirtualBatch` arranges it. They are normalised by their
    own statistics, of R images; every other image by those of R + 1, the reference batch and itself, per channel.
    """

    def __init__(self, num_features: int, reference: int, eps: float = 1e-5) -> None:
        channels = integer("VirtualBatchNorm2d: num_features", num_features, 1)
        self.reference = integer("VirtualBatchNorm2d: reference", reference, 1)
        self.eps = number("VirtualBatchNorm2d: eps", eps, least=0)
        self.weight = Parameter(ones(channels))
        self.bias = Parameter(zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (R + N, C, H, W)."""
        x = as_tensor(x, "VirtualBatchNorm2d")
        channels, r = self.weight.shape[0], self.reference
        if x.ndim != 4 or x.shape[1] != channels or x.shape[0] < r:
            raise ShapeError(
                f"VirtualBatchNorm2d: expected {r} images of reference and others, (N, {channels}, H, W), got {x.shape}"
            )
        means = ops.mean(x, (2, 3), keepdims=True)
        variances = ops.var(x, (2, 3), keepdims=True)
        mean = ops.mean(means[:r], 0, keepdims=True)
        var = ops.mean(variances[:r], 0, keepdims=True) + ops.var(means[:r], 0, keepdims=True)
        apart = means[r:] - mean
        own_var = (variances[r:] + r * var) * (1 / (r + 1)) + ops.square(apart) * (r / (r + 1) ** 2)
        shape = (r, channels, 1, 1)
        mean_of_each = ops.concatenate([ops.broadcast_to(mean, shape), mean + apart * (1 / (r + 1))])
        var_of_each = ops.concatenate([ops.broadcast_to(var, shape), own_var])
        of_channels = (1, channels, 1, 1)
        scale = ops.rsqrt(var_of_each + self.eps) * ops.reshape(self.weight, of_channels)
        return (x - mean_of_each) * scale + ops.reshape(self.bias, of_channels)

    def extra_repr(self) -> str:
        """Channels, how many images are the reference, eps."""
        return f"{self.weight.shape[0]}, {self.reference}, eps={self.eps}"


class VirtualBatch(Module):
    """A network with `VirtualBatchNorm2d` in it, given its reference batch together with each batch.

    The reference, a buffer of the shape that is named, (R, ...), is N(0, 1) at first, which is right for a generator
    of such noise; `fix` makes it other samples, such as real ones. Each call computes R samples more than it gives.
    """

    def __init__(self, network: Module, shape: Sequence[int], *, rng: Stream | None = None) -> None:
        if not isinstance(network, Module):
            raise ShapeError(f"VirtualBatch: expected a network, got {brief(network)}")
        if not isinstance(shape, Sequence) or len(shape) < 2:
            raise ShapeError(f"VirtualBatch: expected the shape of a batch (R, ...), got {brief(shape)}")
        sizes = tuple(integer("VirtualBatch: a size of the reference batch", size, 1) for size in shape)
        self.network = network
        self.reference = Buffer((rng or random.default()).normal(sizes))

    def fix(self, samples: Any) -> "VirtualBatch":
        """This module with these samples, of the named shape, as its reference batch."""
        samples = as_tensor(samples, "VirtualBatch")
        if samples.shape != self.reference.shape:
            raise ShapeError(f"VirtualBatch: expected samples {self.reference.shape}, got {samples.shape}")
        self.reference.copy_(samples, by="VirtualBatch.fix")
        return self

    def forward(self, x: Tensor) -> Tensor:
        """What the network gives for x (N, ...): its results without those of the reference batch."""
        x = as_tensor(x, "VirtualBatch")
        if x.shape[1:] != self.reference.shape[1:] or not x.ndim:
            raise ShapeError(f"VirtualBatch: expected samples (N, {self.reference.shape[1:]}), got {x.shape}")
        return self.network(ops.concatenate([self.reference, x]))[len(self.reference) :]
