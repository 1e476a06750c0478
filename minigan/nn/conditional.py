"""Normalisation that is told the class of each sample, or a vector."""

from .. import ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor
from . import init
from .checks import integer
from .layers import Embedding
from .module import Module
from .norm import BatchNorm2d, GroupNorm
from .style import affine


class _Conditional(Module):
    """A norm without a scale of its own, and `gain` and `bias` of each channel, by class or by vector."""

    norm: Module

    def _tell(self, channels: int, num_classes: int | None, style_dim: int | None, rng: Stream | None) -> None:
        """Make the gains and biases."""
        name = type(self).__name__
        if (num_classes is None) == (style_dim is None):
            raise ShapeError(
                f"{name}: expected either num_classes or style_dim, "
                f"got num_classes={num_classes}, style_dim={style_dim}"
            )
        if style_dim is not None:
            self.style_dim: int | None = integer(f"{name}: style_dim", style_dim, 1)
            self.gain: Module = affine(name, style_dim, channels, 1.0, rng)
            self.bias: Module = affine(name, style_dim, channels, 0.0, rng)
        else:
            classes = integer(f"{name}: num_classes", num_classes, 1)
            self.style_dim = None
            self.gain, self.bias = Embedding(classes, channels), Embedding(classes, channels)
            init.ones_(self.gain.weight)
            init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Of x's shape (N, C, ...); the condition is integer labels (N,), or vectors (N, style_dim)."""
        name = type(self).__name__
        x, condition = as_tensor(x, name), as_tensor(condition, name)
        if self.style_dim is None:
            _check_labels(name, x, condition)
        elif condition.shape != (*x.shape[:1], self.style_dim):
            raise ShapeError(
                f"{name}: expected a vector of {self.style_dim} numbers for each sample of {x.shape}, "
                f"got {condition.shape}"
            )
        return self._scaled(x, self.gain(condition), self.bias(condition))

    def _scaled(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """x (N, C, ...), normalised, times a gain and plus a bias (N, C)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _scaled")


class ConditionalBatchNorm2d(_Conditional):
    """Batch norm whose scale and shift depend on the class, or on a vector: gain(y) x^ + bias(y).

    `norm` is a BatchNorm2d without a scale of its own. Told `num_classes`, gain and bias are embeddings of labels,
    (num_classes, num_features), 1 and 0 at first (Dumoulin et al. 2017, Miyato and Koyama 2018); told `style_dim`
    instead, they are dense layers of vectors, with biases of 1 and 0 (BigGAN: Brock et al. 2019).
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        style_dim: int | None = None,
        rng: Stream | None = None,
    ) -> None:
        self.norm = BatchNorm2d(num_features, eps, momentum, affine=False)
        self._tell(num_features, num_classes, style_dim, rng)

    def _scaled(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        of_each = (*x.shape[:2], *(1 for _ in x.shape[2:]))
        return self.norm(x) * ops.reshape(gain, of_each) + ops.reshape(bias, of_each)


class ConditionalGroupNorm(_Conditional):
    """Group norm whose scale and shift depend on the class, or on a vector: gain(y) x^ + bias(y).

    `norm` is a GroupNorm without a scale of its own. Told `num_classes`, gain and bias are embeddings of labels,
    (num_classes, num_channels), 1 and 0 at first; told `style_dim` instead, they are dense layers of vectors, with
    biases of 1 and 0.
    """

    norm: GroupNorm

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        num_classes: int | None = None,
        *,
        style_dim: int | None = None,
        eps: float = 1e-5,
        rng: Stream | None = None,
    ) -> None:
        self.norm = GroupNorm(num_groups, num_channels, eps, affine=False)
        self._tell(num_channels, num_classes, style_dim, rng)

    def _scaled(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        return self.norm.scaled(x, gain, bias)


def _check_labels(name: str, x: Tensor, labels: Tensor) -> None:
    if labels.shape != x.shape[:1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: expected one integer label for each sample of {x.shape}, got {labels.dtype} {labels.shape}"
        )
