"""The last layer of a discriminator as a direction among features, learnt apart from them (SAN: Takida et al. 2024)."""

import math

from .. import ops
from ..errors import ShapeError
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, as_tensor, zeros
from . import init
from .checks import flag, integer
from .layers import uniform_bias
from .module import Module, Parameter


class SlicedLinear(Module):
    """y = scale <w, x> + b with unit directions w, the rows of `weight` (out_features, in_features) over their lengths.

    In training it gives two Tensors of the same numbers, (y, y'): y moves what makes x, the scale (out_features,) and
    the bias, and holds w constant; y', without the bias, moves w alone. A game that trains a discriminator with it adds
    to the loss of y that of y' (`gan.slicing`). In evaluation mode it gives y. At first it computes what Linear does.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Stream | None = None) -> None:
        outer = integer("SlicedLinear: out_features", out_features, 1)
        inner = integer("SlicedLinear: in_features", in_features, 1)
        self.weight = Parameter(zeros((outer, inner)))
        init.kaiming_uniform_(self.weight, math.sqrt(5), rng=rng)
        self.scale = Parameter(zeros(outer))
        self.bias = uniform_bias(outer, inner, rng) if flag("SlicedLinear: bias", bias) else None
        self.rescale()

    def rescale(self) -> None:
        """Let the scale be the lengths of the weight's rows, so that the layer computes x W^T + b."""
        with no_grad():
            self.scale.copy_(ops.reshape(_lengths(self.weight), (-1,)), by="SlicedLinear.rescale")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(..., out_features); in training twice."""
        x = as_tensor(x, "SlicedLinear")
        if x.ndim < 1 or x.shape[-1] != self.weight.shape[1]:
            raise ShapeError(f"SlicedLinear: expected (..., {self.weight.shape[1]}), got {x.shape}")
        unit, scale = self.weight / _lengths(self.weight), ops.reshape(self.scale, (-1, 1))
        if not self.training:
            return ops.linear(x, scale * unit, self.bias)
        return ops.linear(x, scale * unit.detach(), self.bias), ops.linear(x.detach(), scale.detach() * unit)

    def extra_repr(self) -> str:
        """in_features, out_features."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


def _lengths(weight: Tensor) -> Tensor:
    """Of each row: (rows, 1)."""
    return ops.sqrt(ops.sum(ops.square(weight), 1, keepdims=True))
