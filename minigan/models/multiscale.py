"""A discriminator of several sizes: one for the image, one for the image halved, and so on."""

import math
from collections.abc import Sequence

from .. import nn, ops
from ..errors import ShapeError
from ..tensor import Tensor, as_tensor


class MultiScaleDiscriminator(nn.Module):
    """Scores (N, S) of several discriminators, the k-th of which sees images halved k times, by the mean of 2x2 pixels.

    Wang et al. 2018 ("pix2pixHD"): the same network at each size, with weights of its own. Each weighs alike in a mean
    over scores, whatever their number: those of one that gives fewer are there several times. What is told beside
    images, labels say, all are told. Of discriminators that give two Tensors of scores (`nn.SlicedLinear`) both are.
    """

    def __init__(self, discriminators: Sequence[nn.Module]) -> None:
        if not discriminators:
            raise ShapeError("MultiScaleDiscriminator: expected at least one discriminator, got none")
        self.discriminators = list(discriminators)

    def forward(self, x: Tensor, *told: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Scores (N, S) of images (N, C, H, W)."""
        x = as_tensor(x, "MultiScaleDiscriminator")
        found = []
        for k, discriminator in enumerate(self.discriminators):
            if k > 0:
                x = ops.avg_pool2d(x, 2)
            found.append(discriminator(x, *told))
        if isinstance(found[0], tuple):
            return tuple(map(_joined, zip(*found, strict=True)))
        return _joined(found)


def _joined(scores: Sequence[Tensor]) -> Tensor:
    """(N, S) of scores (N, ...), each of which is there as often as the others have more."""
    flat = [ops.reshape(each, (len(each), each.size // len(each))) for each in scores]
    most = math.lcm(*(each.shape[1] for each in flat))
    return ops.concatenate([part for each in flat for part in [each] * (most // each.shape[1])], 1)
