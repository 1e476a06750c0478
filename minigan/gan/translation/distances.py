"""How far images are apart, for a translator to make it small: 0-d tensors."""

from collections.abc import Callable, Sequence

from ... import ops
from ...tensor import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]


def l1(a: Tensor, b: Tensor) -> Tensor:
    """E |a - b|."""
    return ops.mean(ops.absolute(a - b))


def l2(a: Tensor, b: Tensor) -> Tensor:
    """E (a - b)^2."""
    return ops.mean_of(a - b, ops.square)


def squared_length(a: Tensor, b: Tensor) -> Tensor:
    """E |a - b|^2 over vectors (N, F)."""
    return ops.mean(ops.sum(ops.square(a - b), 1))


def taxicab(a: Tensor, b: Tensor) -> Tensor:
    """E of the sum of |a - b| over vectors (N, F)."""
    return ops.mean(ops.sum(ops.absolute(a - b), 1))


def of_features(a: Sequence[Sequence[Tensor]], b: Sequence[Sequence[Tensor]]) -> Tensor:
    """The sum of E |a - b| over layers of a discriminator, in the mean over several discriminators.

    Feature matching of Wang et al. 2018 (pix2pixHD); features are `models.with_activations`.
    """
    apart = [l1(*layers) for each in zip(a, b, strict=True) for layers in zip(*each, strict=True)]
    return sum(apart[1:], apart[0]) * (1 / len(a))


def total_variation(x: Tensor) -> Tensor:
    """E |x - x'| over pixels x of images and their neighbours x' below, and to the right (Rudin et al. 1992)."""
    down, right = x[:, :, 1:] - x[:, :, :-1], x[:, :, :, 1:] - x[:, :, :, :-1]
    return ops.mean(ops.absolute(down)) + ops.mean(ops.absolute(right))
