"""InfoGAN: a generator whose codes can be read off its samples (Chen et al. 2016).

Part of the noise is a code c. A second head of the discriminator, Q, reads it from the sample, and both players want
it to succeed: E ln Q(c | G(z, c)) + H(c) is a lower bound of the mutual information of code and sample.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..models.labels import one_hot
from ..nn import Module, evaluating
from ..nn.checks import integer, not_negative
from ..random import Stream
from ..tensor import Tensor
from .game import Batch, Losses
from .score import ScoreGame


@dataclass(frozen=True)
class LatentCode:
    """What the generator takes, z (n, dim): noise U(-1, 1), then a one-hot category, then continuous codes U(-1, 1).

    As a sampler it is a `Latent`: (n, rng) -> z.
    """

    noise: int = 62
    categories: int = 10
    continuous: int = 2

    def __post_init__(self) -> None:
        integer("LatentCode: noise", self.noise, 0)
        integer("LatentCode: categories", self.categories, 1)
        integer("LatentCode: continuous", self.continuous, 0)

    @property
    def dim(self) -> int:
        """How many numbers z has."""
        return self.noise + self.categories + self.continuous

    @property
    def read(self) -> int:
        """How many numbers Q says of a sample: a logit for each category, a mean for each continuous code."""
        return self.categories + self.continuous

    def __call__(self, n: int, rng: Stream) -> Tensor:
        """z (n, dim) at random, the category uniform."""
        noise = rng.uniform((n, self.noise), -1, 1)
        category = rng.integers(self.categories, n)
        continuous = rng.uniform((n, self.continuous), -1, 1)
        return self.join(noise, category, continuous)

    def join(self, noise: Any, category: Any, continuous: Any) -> Tensor:
        """z (n, dim) of arrays: noise (n, self.noise), integers (n,), and codes (n, self.continuous)."""
        shapes = tuple(np.shape(part) for part in (noise, category, continuous))
        n = len(noise)
        if shapes != ((n, self.noise), (n,), (n, self.continuous)):
            raise ShapeError(f"LatentCode: noise, category and codes of shapes {shapes} do not make z of {self}")
        return Tensor(made(_joined, noise, one_hot(Tensor(category), self.categories).data, continuous))

    def information(self, z: Tensor, reading: Tensor) -> tuple[Tensor, Tensor]:
        """Lower bounds of the information in nats that `reading` (n, read) has of the category and of the codes of z.

        Category: ln categories + E ln Q(c). Codes: continuous * ln 2 + E ln Q(c), Q normal around the mean that was
        read, with deviation 1 as in the authors' code; it cannot exceed -0.23 for each, and grows as the mean squared
        error falls. Both are 0-d tensors; ShapeError if the shapes do not fit.
        """
        if z.shape[1:] != (self.dim,) or reading.shape != (len(z), self.read):
            raise ShapeError(f"LatentCode: z is {z.shape}, the reading {reading.shape}; expected {self}")
        category = z[:, self.noise : self.noise + self.categories]
        codes = z[:, self.noise + self.categories :]
        likelihood = ops.sum(category * ops.log_softmax(reading[:, : self.categories], 1), 1)
        errors = ops.sum(ops.square(reading[:, self.categories :] - codes), 1)
        constant = self.continuous * (math.log(2) - 0.5 * math.log(2 * math.pi))
        return ops.mean(likelihood) + math.log(self.categories), constant - 0.5 * ops.mean(errors)


class InfoGame(ScoreGame):
    """G(z) and a D(x) that gives (scores, reading), its second head Q; `code` says what z holds and Q reads.

    Both losses of a ScoreGame have -category_weight * I(category) - code_weight * I(codes) added, the bounds of
    `LatentCode.information` on fakes. As in the authors' code, Q's parameters move in D's turn: they are among those of
    D's optimizer. In the log, `information` is the bound of the category in nats, at most ln categories, and
    `code_error` the mean squared error of a continuous code, 1/3 for one that says nothing. UNSUITED switches are
    refused (ShapeError).
    """

    one_by_one = True

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        code: LatentCode,
        category_weight: float = 1.0,
        code_weight: float = 1.0,
        **parts: Any,
    ) -> None:
        not_negative("InfoGame", category_weight=category_weight, code_weight=code_weight)
        self.code = code
        self.category_weight, self.code_weight = category_weight, code_weight
        super().__init__(generator, discriminator, latent=code, **parts)
        if near := self.regularisers.latent_consistency:
            raise ShapeError(f"InfoGame: noise that has moved holds another code: no latent_consistency, got {near}")
        if step := self.moves.latent_optimisation:
            raise ShapeError(f"InfoGame: noise that has moved holds another code: no latent_optimisation, got {step}")

    def asked(self, batch: Batch, z: Tensor) -> Tensor:
        """The noise, with the code in it."""
        return z

    def of_readings(self, asked: Tensor, fake: Tensor, real: Tensor | None = None) -> tuple[Tensor, Losses]:
        """Minus the weighted bounds of what fakes tell of their code; what is read from real samples is not used."""
        category, codes = self.code.information(asked, fake)
        added = -(self.category_weight * category + self.code_weight * codes)
        if real is None:
            return added, {}
        shown = {"information": category.detach()}
        if k := self.code.continuous:
            shown["code_error"] = (math.log(2 / math.pi) - 2 / k * codes).detach()
        return added, shown

    def read(self, samples: Tensor, chunk: int = 1000) -> Tensor:
        """What Q reads of samples (n, ...) in evaluation mode, without a graph: (n, code.read)."""
        with evaluating(self.discriminator):
            parts = [samples[k : k + chunk].to(self.step.device) for k in range(0, len(samples), chunk)]
            return ops.concatenate([self.discriminator(part)[1] for part in parts])


def _joined(*parts: Array) -> Array:
    """Arrays (n, ...) side by side."""
    return xp(*parts).concatenate(parts, 1)
