"""A discriminator that is to give back real images from what it reads of them, so that it looks at all of them.

Liu et al. 2021 ("Towards faster and stabilized GAN training"): small decoders make the whole image again, at less than
its size, of D's last maps, and a part of it of the same part of larger maps. They see real images alone, as D does, and
D learns with them. What has to be given back cannot be overlooked.
"""

from typing import Any

from .. import ops
from ..backend import Array
from ..errors import ShapeError
from ..kernels.calls import made
from ..nn import Module
from ..random import Stream
from ..tensor import Tensor


def decoders_of(discriminator: Module) -> Any:
    """The network in `discriminator` that has the decoders `whole` and `part`; ShapeError if none has."""
    for network in discriminator.modules():
        if hasattr(network, "whole") and hasattr(network, "part"):
            return network
    raise ShapeError(
        "reconstruction: expected a discriminator with decoders, as models.fastgan makes it, "
        f"got {type(discriminator).__name__}"
    )


def reconstruction_error(network: Any, seen: Tensor, read: Any, rng: Stream) -> Tensor:
    """E |x' - x| over pixels of whole images and of a quarter of each, added up: a 0-d tensor.

    `seen` are images (N, C, H, W) as the discriminator saw them, `read` the maps that it made of them: `large`, and
    `small` ones. The quarter is one of four, drawn for each image. The paper measures distances between features of a
    VGG network (LPIPS), which somebody would have to download; this one is between pixels, at the decoders' size.
    """
    whole = network.whole(read.small)
    u = rng.uniform((len(seen), 2), dtype=seen.dtype, device=seen.device)
    part = network.part(quarter(read.large, u))
    return _apart(whole, seen) + _apart(part, quarter(seen, u))


def quarter(x: Tensor, u: Array) -> Tensor:
    """(N, C, H / 2, W / 2): of each image the upper half where u (N, 2) is below 1/2, else the lower; so with sides."""
    for axis in (2, 3):
        before, after = ops.split(x, 2, axis=axis)
        x = ops.where(Tensor(made(_first, u, axis - 2)), before, after)
    return x


def _first(u: Array, k: int) -> Array:
    return (u[:, k] < 0.5).reshape(-1, 1, 1, 1)


def _apart(found: Tensor, images: Tensor) -> Tensor:
    """The mean distance of `found` from the images, brought to its size by the mean of their pixels."""
    smaller = images.shape[2] // found.shape[2]
    target = images if smaller == 1 else ops.avg_pool2d(images, smaller)
    return ops.mean(ops.absolute(found - target))
