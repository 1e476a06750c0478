"""Noise between layers."""

from .. import random
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .checks import number
from .module import Module


class GaussianNoise(Module):
    """x + N(0, std^2) in training, x itself in evaluation mode.

    With `rng=None` a game decides the noise from its seed and step, as it decides the masks of Dropout.
    """

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
