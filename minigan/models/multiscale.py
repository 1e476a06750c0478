"""A discriminator of several sizes: one for the image, one for the image halved, and so on."""

import math
from collections.abc import Iterator, Sequence

from .. import nn, ops
from ..errors import ShapeError
from ..nn.checks import integer
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .translators import patch_discriminator


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
        found = [discriminator(image, *told) for discriminator, image in self.with_images(x)]
        if isinstance(found[0], tuple):
            return tuple(map(_joined, zip(*found, strict=True)))
        return _joined(found)

    def with_images(self, x: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        """(a discriminator, the images that it sees) for each of them."""
        x = as_tensor(x, "MultiScaleDiscriminator")
        for k, discriminator in enumerate(self.discriminators):
            if k > 0:
                x = ops.avg_pool2d(x, 2)
            yield discriminator, x


def patch_discriminators(
    channels: int,
    side: int,
    scales: int = 1,
    *,
    width: int = 64,
    halvings: int = 3,
    norm: str | None = "batch",
    rng: Stream | None = None,
) -> nn.Sequential | MultiScaleDiscriminator:
    """A `patch_discriminator` for images of `side` pixels, or a MultiScaleDiscriminator of `scales` of them.

    ShapeError if the smallest images are too small for a score: of fewer than three pixels when they are halved.
    """
    integer("patch_discriminators: scales", scales, 1)
    least, smallest = 3 << halvings if halvings else 1, side >> (scales - 1)
    if smallest < least:
        raise ShapeError(
            f"patch_discriminators: with {halvings} halvings images have {least} pixels a side or more, and of {side} "
            f"the smallest of {scales} sizes has {smallest}"
        )
    parts = [patch_discriminator(channels, width=width, halvings=halvings, norm=norm, rng=rng) for _ in range(scales)]
    return parts[0] if scales == 1 else MultiScaleDiscriminator(parts)


def with_activations(discriminator: nn.Module, x: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """(scores of images, what each ReLU on the way to them gives): a list of these for each size of the images.

    Of a Sequential, or a MultiScaleDiscriminator of some; ShapeError for another network, whose layers are not known.
    """
    if not isinstance(discriminator, MultiScaleDiscriminator):
        scores, seen = _watched(discriminator, x)
        return scores, [seen]
    found = [_watched(*pair) for pair in discriminator.with_images(x)]
    return _joined([scores for scores, _ in found]), [seen for _, seen in found]


def _watched(layers: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """(what the layers make of x, what each ReLU among them gives)."""
    if not isinstance(layers, nn.Sequential):
        raise ShapeError(f"with_activations: expected a Sequential of layers, got {type(layers).__name__}")
    seen = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU | nn.ReLU):
            seen.append(x)
    return x, seen


def _joined(scores: Sequence[Tensor]) -> Tensor:
    """(N, S) of scores (N, ...), each of which is there as often as the others have more."""
    flat = [ops.reshape(each, (len(each), each.size // len(each))) for each in scores]
    most = math.lcm(*(each.shape[1] for each in flat))
    return ops.concatenate([part for each in flat for part in [each] * (most // each.shape[1])], 1)
