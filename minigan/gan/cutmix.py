"""Images cut together from real ones and fakes, whose pixels a discriminator is to score as it did before."""

from collections.abc import Callable

from .. import ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor


def consistency(
    samples: tuple[Tensor, Tensor], scores: tuple[Tensor, Tensor], score: Callable[[Tensor], Tensor], rng: Stream
) -> Tensor:
    """E (D(mix(x, G)) - mix(D(x), D(G)))^2 over pixels: a 0-d tensor (Schonfeld et al. 2020, equation 9).

    mix takes a random rectangle of each fake, else the real image. Scores are (N, 2, H, W), those of pixels second.
    ShapeError for scores of anything but pixels.
    """
    real, fake = samples
    if real.ndim != 4 or scores[0].shape != (len(real), 2, *real.shape[2:]):
        raise ShapeError(
            "cutmix: expected scores of each pixel, as the discriminator of unet gives them, "
            f"got {scores[0].shape} for {real.shape}"
        )
    inside = rectangles(real, rng)
    of_mixed = score(ops.where(inside, fake, real))[:, 1:]
    mixed = ops.where(inside, scores[1][:, 1:], scores[0][:, 1:])
    return ops.mean_of(of_mixed - mixed, ops.square)


def rectangles(x: Tensor, rng: Stream) -> Tensor:
    """(N, 1, H, W), True in a rectangle of each image: its middle is any pixel, its area u of the image, u ~ U[0, 1).

    What of it lies beyond the image is cut off (Yun et al. 2019).
    """
    drawn = rng.uniform((len(x), 3), dtype=x.dtype, device=x.device)
    return Tensor(made(_inside, drawn, *x.shape[2:]))


def _inside(u: Array, height: int, width: int) -> Array:
    lib = xp(u)
    half = lib.sqrt(u[:, 0]) / 2

    def along(k: int, size: int) -> Array:
        places = (lib.arange(size, dtype=u.dtype) + 0.5) / size
        return abs(places - u[:, k, None]) < half[:, None]

    return (along(1, height)[:, :, None] & along(2, width)[:, None])[:, None]
