"""Noise between layers.

With `rng=None` a game decides it from its seed and step, as it decides the masks of Dropout.
"""

from .. import ops, random
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from .checks import integer, number
from .module import Module, Parameter


class GaussianNoise(Module):
    """x + N(0, std^2) in training, x itself in evaluation mode."""

    def __init__(self, std: float, *, rng: Stream | None = None) -> None:
        self.std = number("GaussianNoise: std", std, least=0)
        self.rng = rng

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        x = as_tensor(x, "GaussianNoise")
        if not self.training or self.std == 0:
            return x
        return x + Tensor((self.rng or random.default()).normal(x.shape, 0.0, self.std, x.dtype, x.device))

    def extra_repr(self) -> str:
        """The standard deviation."""
        return f"{self.std}"


class NoiseInjection(Module):
    """x + weight * noise, one map of N(0, 1) for each image, in evaluation mode too (Karras et al. 2019, StyleGAN).

    The weight, learnt and 0 at first, is one for each channel, or one for all (`channels` 1), as in StyleGAN2.
    """

    def __init__(self, channels: int = 1, *, rng: Stream | None = None) -> None:
        self.weight = Parameter(zeros(integer("NoiseInjection: channels", channels, 1)))
        self.rng = rng

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W); ShapeError if there is neither one weight nor as many as channels."""
        x = as_tensor(x, "NoiseInjection")
        count = self.weight.shape[0]
        if x.ndim != 4 or count not in (1, x.shape[1]):
            channels = "C" if count == 1 else count
            raise ShapeError(f"NoiseInjection: expected images (N, {channels}, H, W), got {x.shape}")
        n, _, height, width = x.shape
        noise = Tensor((self.rng or random.default()).normal((n, height, width), dtype=x.dtype, device=x.device))
        # as a convolution their product is channels-last in memory
        return x + ops.conv2d(ops.reshape(noise, (n, 1, height, width)), ops.reshape(self.weight, (count, 1, 1, 1)))

    def extra_repr(self) -> str:
        """How many weights."""
        return f"{self.weight.shape[0]}"
