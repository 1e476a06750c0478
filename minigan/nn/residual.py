"""Residual blocks: what is added to an image, of its size, of twice its size or of half."""

import math
from typing import Any

from .. import ops
from ..errors import ShapeError, brief
from ..random import Stream
from ..tensor import Tensor, as_tensor
from . import init
from .checks import flag, integer
from .conditional import ConditionalBatchNorm2d, ConditionalGroupNorm
from .layers import AvgPool2d, Conv2d, UpsampleNearest
from .module import Module, Sequential
from .norm import BatchNorm2d, GroupNorm

_NORMS = "batch", "layer"
_SLOPE = 0.2  # of the leaky ReLUs of R3GAN


class ResidualBlock(Module):
    """shortcut(x) + conv2(relu(norm2(conv1(relu(norm1(x)))))): the block of WGAN-GP and SNGAN.

    Gulrajani et al. 2017, Miyato et al. 2018: conv1 and conv2 are 3x3. With `resample` "up" the image is doubled before
    conv1, by repeating pixels, with "down" halved after conv2, by the mean of 2x2; so is the shortcut, a convolution
    1x1 where the number of channels or the size changes, else x. `norm` is "batch", "layer" (over a whole sample) or
    None; with `num_classes` it is told the class, with `style_dim` a vector, as in BigGAN (Brock et al. 2019). conv1
    makes `hidden_channels`, by default out_channels if it goes up, else in_channels. Without `preactivation`, for
    images themselves, norm1 and its ReLU are left out, and the shortcut is halved before its convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        resample: str | None = None,
        *,
        norm: str | None = None,
        num_classes: int | None = None,
        style_dim: int | None = None,
        hidden_channels: int | None = None,
        preactivation: bool = True,
        rng: Stream | None = None,
    ) -> None:
        inner = integer("ResidualBlock: in_channels", in_channels, 1)
        outer = integer("ResidualBlock: out_channels", out_channels, 1)
        if resample not in (None, "up", "down"):
            raise ShapeError(f'ResidualBlock: resample must be "up", "down" or None, got {brief(resample)}')
        self.told = "labels" if num_classes is not None else "vectors" if style_dim is not None else ""
        if norm not in (None, *_NORMS) or (norm is None and self.told):
            raise ShapeError(
                f'ResidualBlock: norm must be "batch", "layer" or None, and not None with num_classes or style_dim, '
                f"got norm={brief(norm)}, num_classes={brief(num_classes)}, style_dim={brief(style_dim)}"
            )
        told = {"num_classes": num_classes, "style_dim": style_dim, "rng": rng} if self.told else None
        self.preactivation = flag("ResidualBlock: preactivation", preactivation)
        usual = outer if resample == "up" else inner
        hidden = usual if hidden_channels is None else integer("ResidualBlock: hidden_channels", hidden_channels, 1)
        self.norm1 = _norm(norm if preactivation else None, inner, told)
        self.conv1 = Conv2d(inner, hidden, 3, padding=1, rng=rng)
        self.norm2 = _norm(norm, hidden, told)
        self.conv2 = Conv2d(hidden, outer, 3, padding=1, rng=rng)
        changes = resample is not None or inner != outer
        self.shortcut = Conv2d(inner, outer, 1, rng=rng) if changes else Sequential()
        self.up = UpsampleNearest(2) if resample == "up" else Sequential()
        self.down = AvgPool2d(2) if resample == "down" else Sequential()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, out_channels, H', W') of x (N, in_channels, H, W), and of what it is told: labels (N,) or vectors."""
        x = as_tensor(x, "ResidualBlock")
        if (condition is not None) != bool(self.told):
            expected = self.told or "nothing"
            raise ShapeError(f"ResidualBlock: expected {expected} beside x {x.shape}, got {brief(condition)}")
        told = () if condition is None else (condition,)
        h = ops.relu(self.norm1(x, *told)) if self.preactivation else x
        h = ops.relu(self.norm2(self.conv1(self.up(h)), *told))
        h = self.down(self.conv2(h))
        x = self.up(x)
        return h + (self.down(self.shortcut(x)) if self.preactivation else self.shortcut(self.down(x)))


def _norm(name: str | None, channels: int, told: dict[str, Any] | None) -> Module:
    """The normalisation of that name, and what it is told; one that does nothing for None."""
    if name is None:
        return Sequential()
    if name == "batch":
        return BatchNorm2d(channels) if told is None else ConditionalBatchNorm2d(channels, **told)
    return GroupNorm(1, channels) if told is None else ConditionalGroupNorm(1, channels, **told)


class GroupedResidualBlock(Module):
    """x + conv3(leaky(conv2(leaky(conv1(x))))), 1x1, 3x3 in groups and 1x1: R3GAN's block, without normalisation.

    Huang et al. 2024: conv1 makes expansion * channels maps, conv2 works on `group_width` of them at a time, conv3 has
    no bias and is 0 at first, so that a network begins as its other layers. Of L = `blocks` in a network the first two
    weights are N(0, gain^2 L^(-1/2) / fan in) as Fixup has it (Zhang et al. 2019), a factor of L^(-1/4) each, with the
    gain of a leaky ReLU, sqrt(2 / (1 + 0.2^2)); their biases are 0.
    """

    def __init__(
        self,
        channels: int,
        blocks: int = 1,
        expansion: int = 2,
        group_width: int = 16,
        *,
        rng: Stream | None = None,
    ) -> None:
        name = "GroupedResidualBlock"
        channels, blocks = integer(f"{name}: channels", channels, 1), integer(f"{name}: blocks", blocks, 1)
        maps = channels * integer(f"{name}: expansion", expansion, 1)
        width = integer(f"{name}: group_width", group_width, 1)
        if maps % width:
            raise ShapeError(f"{name}: {maps} maps do not split into groups of {width}")
        self.conv1 = Conv2d(channels, maps, 1, rng=rng)
        self.conv2 = Conv2d(maps, maps, 3, padding=1, groups=maps // width, rng=rng)
        self.conv3 = Conv2d(maps, channels, 1, bias=False, rng=rng)
        gain = math.sqrt(2 / (1 + _SLOPE**2)) * blocks**-0.25
        for layer in (self.conv1, self.conv2):
            init.normal_(layer.weight, std=gain / math.sqrt(init.fans(layer.weight)[0]), rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
        init.zeros_(self.conv3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W)."""
        x = as_tensor(x, "GroupedResidualBlock")
        h = ops.leaky_relu(self.conv1(x), _SLOPE)
        return x + self.conv3(ops.leaky_relu(self.conv2(h), _SLOPE))
