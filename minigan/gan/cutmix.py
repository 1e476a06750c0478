"""Images cut together from real ones and fakes, for a discriminator that scores each pixel (Schonfeld et al. 2020).

In a share of its steps D learns from such images instead of real ones and fakes: the image as a whole is fake, or G
would learn to cut, and a pixel is what it was cut from. And it is to score the pixels as it did before they were cut
together, which holds its scores by what is seen, and not by where it is.
"""

from collections.abc import Callable

from .. import ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor, zeros_like

Pair = tuple[Tensor, Tensor]  # of real images, of fakes


class Cut:
    """Real images and fakes cut together, mix(x, G): each pixel of one of both; what D makes of them.

    `samples` are (N, C, H, W), `scores` theirs, (N, 2, H, W): those of pixels second. `score` is D. ShapeError for
    scores of anything but pixels.
    """

    def __init__(self, samples: Pair, scores: Pair, score: Callable[[Tensor], Tensor], rng: Stream) -> None:
        real, fake = samples
        if real.ndim != 4 or scores[0].shape != (len(real), 2, *real.shape[2:]):
            raise ShapeError(
                "cutmix: expected scores of each pixel, as the discriminator of unet gives them, "
                f"got {scores[0].shape} for {real.shape}"
            )
        self.fakes = cuts(real, rng)
        self.before = ops.where(self.fakes, scores[1][:, 1:], scores[0][:, 1:])
        self.scores = score(ops.where(self.fakes, fake, real))

    def consistency(self) -> Tensor:
        """E (D(mix(x, G)) - mix(D(x), D(G)))^2 over pixels (equation 9): a 0-d tensor."""
        return ops.mean_of(self.scores[:, 1:] - self.before, ops.square)

    def loss(self, discriminator: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """D's loss of these scores, that of the image as a fake's and that of each pixel as what it is of: 0-d.

        For `discriminator`(r, f) = E a(r) + E b(f) it is E b of images + E (a or b) of pixels, up to a number that no
        weight moves: as large as what D pays for real images and fakes, the mean of both their scores.
        """
        real, nothing = Tensor(made(_real, self.fakes.data)), zeros_like(self.scores)
        of_each = discriminator(ops.where(real, self.scores, nothing), ops.where(real, nothing, self.scores))
        return 2 * of_each - discriminator(nothing, nothing)


def now(share: float, steps: int | None, step: Tensor, like: Tensor, rng: Stream) -> Tensor:
    """1 with probability `share`, else 0: a 0-d tensor; with `steps` it rises from 0 in so many of `step`."""
    return Tensor(made(_drawn, rng.uniform((), device=like.device), step.data, share, steps, like.dtype))


def cuts(x: Tensor, rng: Stream) -> Tensor:
    """(N, 1, H, W), True where a fake is to be seen: in a rectangle of an image, or, as likely, around it."""
    inside = rectangles(x, rng)
    return Tensor(made(_exchanged, inside.data, rng.integers(2, len(x), x.device)))


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


def _exchanged(inside: Array, drawn: Array) -> Array:
    return inside != (drawn == 1)[:, None, None, None]


def _real(fakes: Array) -> Array:
    """(N, 2, H, W): no image is real, and a pixel is where it is no fake's."""
    lib = xp(fakes)
    return lib.concatenate([lib.zeros_like(fakes), ~fakes], 1)


def _drawn(u: Array, step: Array, share: float, steps: int | None, dtype: object) -> Array:
    reached = 1.0 if steps is None else (step / steps).clip(None, 1.0)
    return (u < share * reached).astype(dtype)
