"""Layers that weigh the channels of an image by what is in an image: that one, or a smaller one."""

from .. import ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .checks import integer
from .layers import Conv2d
from .module import Module


class SqueezeExcitation(Module):
    """y = x sigmoid(fc2(relu(fc1(mean of x over the pixels)))), a factor for each channel (Hu et al. 2018).

    fc1 and fc2 are 1x1 convolutions to channels / reduction and back, named as in torchvision.
    """

    def __init__(self, channels: int, reduction: int = 16, *, rng: Stream | None = None) -> None:
        channels = integer("SqueezeExcitation: channels", channels, 1)
        inner = channels // integer("SqueezeExcitation: reduction", reduction, 1)
        if not inner:
            raise ShapeError(f"SqueezeExcitation: {channels} channels, reduced by {reduction}, are none")
        self.fc1 = Conv2d(channels, inner, 1, rng=rng)
        self.fc2 = Conv2d(inner, channels, 1, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W)."""
        x = as_tensor(x, "SqueezeExcitation")
        if x.ndim != 4:
            raise ShapeError(f"SqueezeExcitation: expected images (N, C, H, W), got {x.shape}")
        squeezed = ops.mean(x, (2, 3), keepdims=True)
        return x * ops.sigmoid(self.fc2(ops.relu(self.fc1(squeezed))))


class SkipLayerExcitation(Module):
    """y = x sigmoid(fc2(leaky_relu(fc1(mean of a smaller image over a grid of 4x4)))): FastGAN's skip connection.

    Liu et al. 2021, equation 1: feature maps of a low resolution weigh the channels of those of a high one. fc1 is a
    convolution 4x4 to the high one's channels, fc2 one of 1x1, both without bias; the slope is 0.1.
    """

    def __init__(self, low_channels: int, high_channels: int, *, rng: Stream | None = None) -> None:
        low = integer("SkipLayerExcitation: low_channels", low_channels, 1)
        high = integer("SkipLayerExcitation: high_channels", high_channels, 1)
        self.fc1 = Conv2d(low, high, 4, bias=False, rng=rng)
        self.fc2 = Conv2d(high, high, 1, bias=False, rng=rng)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Of the shape of `high` (N, high_channels, H, W); ShapeError unless the sides of `low` are multiples of 4."""
        low, high = as_tensor(low, "SkipLayerExcitation"), as_tensor(high, "SkipLayerExcitation")
        few, many = self.fc1.weight.shape[1], self.fc1.weight.shape[0]
        fits = low.ndim == high.ndim == 4 and (low.shape[1], high.shape[1]) == (few, many) and len(low) == len(high)
        if not fits or low.shape[2] % 4 or low.shape[3] % 4 or not min(low.shape[2:]):
            raise ShapeError(
                f"SkipLayerExcitation: expected images (N, {few}, H, W) with sides that 4 divides, and "
                f"(N, {many}, H, W), got {low.shape} and {high.shape}"
            )
        squeezed = ops.avg_pool2d(low, (low.shape[2] // 4, low.shape[3] // 4))
        return high * ops.sigmoid(self.fc2(ops.leaky_relu(self.fc1(squeezed), 0.1)))
