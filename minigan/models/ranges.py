"""Between [-1, 1], where minigan's images lie, and [0, 1], where some papers have theirs."""

from .. import nn
from ..tensor import Tensor


class ToUnit(nn.Module):
    """(x + 1) / 2: from [-1, 1] to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        return 0.5 * x + 0.5


class FromUnit(nn.Module):
    """2 x - 1: from [0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        return 2 * x - 1
