"""Layers that a style vector steers."""

import math

from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from . import init
from .checks import integer
from .layers import Linear
from .module import Module
from .norm import InstanceNorm2d


def affine(name: str, style_dim: int, features: int, bias: float, rng: Stream | None) -> Linear:
    """A dense layer of styles (N, style_dim), its weight N(0, 1 / style_dim) and its bias that number at first."""
    layer = Linear(integer(f"{name}: style_dim", style_dim, 1), features, rng=rng)
    init.normal_(layer.weight, std=1 / math.sqrt(style_dim), rng=rng)
    if layer.bias is not None:
        init.constant_(layer.bias, bias)
    return layer


class AdaptiveInstanceNorm2d(Module):
    """y = (1 + s) x^ + b, x^ each channel of each image normalised by itself, (s, b) = affine(style).

    AdaIN (Huang and Belongie 2017) as in StyleGAN (Karras et al. 2019). `affine` makes 2 num_features numbers of a
    style, the scales first; its bias is 0 at first.
    """

    def __init__(self, num_features: int, style_dim: int, eps: float = 1e-5, *, rng: Stream | None = None) -> None:
        self.num_features = integer("AdaptiveInstanceNorm2d: num_features", num_features, 1)
        self.norm = InstanceNorm2d(self.num_features, eps)
        self.affine = affine("AdaptiveInstanceNorm2d", style_dim, 2 * self.num_features, 0.0, rng)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W); styles are (N, style_dim)."""
        x, style = as_tensor(x, "AdaptiveInstanceNorm2d"), as_tensor(style, "AdaptiveInstanceNorm2d")
        c, width = self.num_features, self.affine.weight.shape[1]
        if x.ndim != 4 or x.shape[1] != c or style.shape != (x.shape[0], width):
            raise ShapeError(
                f"AdaptiveInstanceNorm2d: expected images (N, {c}, H, W) and styles (N, {width}), "
                f"got {x.shape} and {style.shape}"
            )
        both = self.affine(style)
        return self.norm.scaled(x, 1 + both[:, :c], both[:, c:])
