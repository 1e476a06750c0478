"""What is added to the losses of a game beside a penalty, which keeps D steady where data are few."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import ops
from ..backend import Array
from ..errors import ShapeError
from ..kernels.calls import made
from ..nn import Module
from ..nn.checks import integer, not_negative, number
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full
from . import augmentations
from .averages import follow
from .orthogonality import orthogonal


@dataclass(frozen=True)
class Regularisers:
    """Weights of what is added to the losses beside a penalty. Each goes with every loss and penalty:

    - `drift`, to D's: E D(x)^2 of real samples x, so that its scores stay near 0 (Karras et al. 2018, appendix A.1);
    - `lecam`, to D's: E max(0, r - F)^2 + E max(0, R - f)^2 of scores r and f and their averages R and F over D's
      turns, with `lecam_decay` (Tseng et al. 2021); nothing in the first `lecam_after` rounds, in which the averages
      learn what scores are like: 1000 in their code for BigGAN, and 0 in that for StyleGAN2;
    - `consistency`, to D's: E (D(T x) - D(x))^2 for real samples x, and `fake_consistency` for fakes, where T changes
      images at random by the names in `consistency_by` (CR: Zhang et al. 2020; both are bCR: Zhao et al. 2021);
    - `latent_consistency`, to D's: E (D(G(z + d)) - D(G(z)))^2, d ~ N(0, latent_step^2); and to G's
      -`latent_variety` E (G(z + d) - G(z))^2, over pixels too (zCR; with bCR it is ICR: Zhao et al. 2021); what G
      draws itself is the same for both;
    - `cutmix`, to D's: E (D(mix(x, G(z))) - mix(D(x), D(G(z))))^2 of the scores that it gives pixels, mix from
      `gan.cutmix`; for a D that gives some, as `models.unet`. That is in the share `cutmix_share` of D's steps, rising
      from 0 in `cutmix_steps` if they are given, and D's loss of mix(x, G(z)) is in the place of that of x and G(z)
      then; with a share of 0 D always learns from these, and the term is in every step (Schonfeld et al. 2020);
    - `orthogonal`, to G's: `gan.orthogonal` of its layers, 1e-4 in BigGAN (Brock et al. 2019);
    - `reconstruction`, to D's: how far the real images that its decoders make of what it reads are from what it saw
      (Liu et al. 2021; `gan.decoding`).
    """

    lecam: float = 0.0
    lecam_decay: float = 0.99
    lecam_after: int = 1000
    consistency: float = 0.0
    fake_consistency: float = 0.0
    consistency_by: str = "translation"
    latent_consistency: float = 0.0
    latent_variety: float = 0.5
    latent_step: float = 0.03
    cutmix: float = 0.0
    cutmix_share: float = 0.5
    cutmix_steps: int | None = None
    orthogonal: float = 0.0
    reconstruction: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        integer("Regularisers: lecam_after", self.lecam_after, 0)
        if self.cutmix_steps is not None:
            integer("Regularisers: cutmix_steps", self.cutmix_steps, 1)
        others = ("consistency_by", "lecam_after", "cutmix_steps")
        not_negative("Regularisers", **{name: value for name, value in vars(self).items() if name not in others})
        number("Regularisers: lecam_decay", self.lecam_decay, least=0, below=1)
        number("Regularisers: cutmix_share", self.cutmix_share, most=1)
        if not augmentations.names("Regularisers: consistency_by", self.consistency_by):
            raise ShapeError("Regularisers: consistency_by: expected a change, got none")

    @property
    def compares(self) -> bool:
        """Is a score compared with that of the same sample, changed?"""
        return bool(self.consistency or self.fake_consistency or self.latent_consistency or self.cutmix)


class Term(NamedTuple):
    """What is added to D's loss: its name in the log, its weight, its value, a 0-d tensor."""

    name: str
    weight: float
    value: Tensor


def compared(
    weights: Regularisers,
    samples: tuple[Tensor, Tensor],
    near: Tensor | None,
    scores: tuple[Tensor, Tensor],
    score: Callable[[Tensor], Tensor],
    rng: Stream,
) -> list[Term]:
    """The terms of consistency: E (score(changed) - score)^2 of real samples and of fakes, and of fakes that are near.

    `samples` and their `scores` are real ones and fakes, `near` the fakes of noise that is near to theirs.
    """
    changes = augmentations.names("consistency_by", weights.consistency_by)
    names = ("consistency", "fake_consistency")
    terms = []
    for name, weight, x, before in zip(
        names, (weights.consistency, weights.fake_consistency), samples, scores, strict=True
    ):
        if weight:
            again = score(augmentations.augmented(x, changes, rng))
            terms.append(Term(name, weight, _apart(again, before)))
    if near is not None:
        terms.append(Term("latent_consistency", weights.latent_consistency, _apart(score(near), scores[1])))
    return terms


def of_generator(weights: Regularisers, generator: Module, fake: Tensor, near: Tensor | None) -> Tensor | None:
    """What is added to the generator's loss, a 0-d tensor: for fakes too like those that are near, for its layers."""
    terms = []
    if near is not None:
        terms.append(-weights.latent_variety * _apart(near, fake))
    if weights.orthogonal:
        terms.append(weights.orthogonal * orthogonal(generator))
    return functools.reduce(operator.add, terms) if terms else None


def _apart(a: Tensor, b: Tensor) -> Tensor:
    return ops.mean_of(a - b, ops.square)


class Anchors:
    """Moving averages R and F of the mean scores of real samples and of fakes, which belong to the state of a game.

    `lower` says that real samples have the lower scores, as energies are. `step` counts the rounds, of which the first
    `after` ask for nothing.
    """

    def __init__(self, decay: float, lower: bool, like: Tensor, step: Tensor, after: int) -> None:
        self.decay, self.lower = decay, lower
        self.step, self.after = step, after
        self.real, self.fake, self.count = (full((), 0.0, like.dtype, like.device) for _ in range(3))

    def move(self, real: Tensor, fake: Tensor) -> None:
        """Let the averages follow the scores of a batch; the first ones become those."""
        with no_grad():
            means = [ops.batch_mean(scores) for scores in (real, fake)]
        follow([self.real, self.fake], means, self.decay, self.count, by="Anchors.move")

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """E max(0, r - F)^2 + E max(0, R - f)^2 of scores r and f: how far each lies on its own side of the other's.

        Tseng et al. 2021; unweighted, a 0-d tensor, and 0 as long as nothing is asked for.
        """
        above, below = real - self.fake.detach(), self.real.detach() - fake
        if self.lower:
            above, below = -above, -below
        apart = ops.mean_of(ops.relu(above), ops.square) + ops.mean_of(ops.relu(below), ops.square)
        return Tensor(made(_reached, self.step.data, self.after, apart.dtype)) * apart if self.after else apart

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The averages by name, and whether they have begun, sharing memory."""
        return {f"{prefix}real": self.real, f"{prefix}fake": self.fake, f"{prefix}count": self.count}


def _reached(step: Array, after: int, dtype: Any) -> Array:
    """1 once so many rounds are over, else 0; the step is read where it lives."""
    return (step >= after).astype(dtype)
