"""Path lengths of StyleGAN2: a step of a style is to change an image as much wherever it is taken."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops, random
from ..errors import ShapeError
from ..grad import grad
from ..nn.checks import integer, not_negative, number
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full
from .averages import follow
from .latents import Latent


@dataclass(frozen=True)
class PathLengths:
    """`weight` E (|J^T y| - a)^2 is added to the generator's loss, J the derivative of an image by its styles.

    y is an image of noise N(0, 1 / (H W)), and a the moving average of the lengths |J^T y| with this `decay`, for the
    gradient a constant. It begins with the first ones: from 0, as in the paper's code, it takes hundreds of rounds to
    reach them, in which G learns above all to make them short. That is done in every `every`-th round, so many times
    as much, for 1/`shrink` of a batch of new noise (Karras et al. 2020, section 3.2 and appendix B).
    """

    weight: float = 2.0
    decay: float = 0.99
    every: int = 4
    shrink: int = 2

    def __post_init__(self) -> None:
        not_negative("PathLengths", weight=self.weight)
        number("PathLengths: decay", self.decay, least=0, below=1)
        integer("PathLengths: every", self.every, 1)
        integer("PathLengths: shrink", self.shrink, 1)


def path_lengths(
    synthesis: Callable[[Sequence[Tensor]], Tensor], styles: Sequence[Tensor], rng: Stream | None = None
) -> Tensor:
    """|J^T y| of each image, (N,): sqrt of the mean over layers of sum_d (d<image, y> / d style[layer, d])^2.

    `styles` has the style (N, D) of each layer, which may be the same one, and `synthesis` makes images (N, C, H, W) of
    them; y ~ N(0, 1 / (H W)) is drawn from `rng`. The lengths can be differentiated again, up to noise and weights.
    """
    own = [style * 1.0 for style in styles]  # a layer's slope is its own, even where all have the same style
    images = synthesis(own)
    std = 1 / math.sqrt(math.prod(images.shape[2:]))
    y = (rng or random.default()).normal(images.shape, 0.0, std, images.dtype, images.device)
    slopes = grad(images, own, Tensor(y), create_graph=True)
    return ops.sqrt(ops.mean(ops.stack([ops.sum(ops.square(slope), 1) for slope in slopes]), 0))


class Paths:
    """What a game adds for path lengths to its generator's loss; their average belongs to its state.

    The generator has `styles(z)`, a style (N, D) for each layer, and `synthesis(styles)`, images (N, C, H, W) of these;
    ShapeError if it has not.
    """

    def __init__(self, weights: PathLengths, generator: Any, latent: Latent) -> None:
        if missing := [name for name in ("styles", "synthesis") if not callable(getattr(generator, name, None))]:
            raise ShapeError(
                "PathLengths: expected a generator with styles(z) and synthesis(styles), as StyleGenerator has them; "
                f"{type(generator).__name__} has no {' and no '.join(missing)}"
            )
        self.weights, self.generator, self.latent = weights, generator, latent
        like = generator.parameters()[0]
        self.average, self.begun = (full((), 0.0, like.dtype, like.device) for _ in range(2))

    def term(self, batch: int, rng: Stream) -> tuple[Tensor, Tensor]:
        """(what is added to the loss; the mean length): 0-d, of a share of a batch; the average moves first.

        ShapeError if the batch does not have such a share.
        """
        weights = self.weights
        count, left = divmod(batch, weights.shrink)
        if left or not count:
            raise ShapeError(f"PathLengths: a batch of {batch} has no share of 1/{weights.shrink}")
        z = self.latent(count, rng).to(self.average.device)
        lengths = path_lengths(self.generator.synthesis, self.generator.styles(z), rng)
        with no_grad():
            mean = ops.batch_mean(lengths)
        follow([self.average], [mean], weights.decay, self.begun, by="Paths.term")
        return weights.every * weights.weight * ops.mean_of(lengths - self.average, ops.square), mean

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The average by name, and whether it has begun, sharing memory."""
        return {f"{prefix}average": self.average, f"{prefix}begun": self.begun}
