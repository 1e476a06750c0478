"""CUT (Park et al. 2020): one translator between two domains, whose patches stay what they were, by contrast."""

from typing import Any

from ... import ops
from ...models.translators import PatchHeads
from ...nn import Sequential
from ...nn.checks import not_negative, number
from ...nn.module import Module
from ...optim import Optimizer
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, lsgan
from .base import Translation, scores_move


class CUT(Translation):
    """G makes targets of sources; each patch of G(x) is to be told by what that patch of x was, among others of x.

    `heads` H make vectors of unit length of what the first layers of G see, at the same places in G(x) and in x. G and
    H minimise, over places i and layers, those of x held constant,

        E ln sum_j exp(H(G(x))_i . H(x)_j / temperature) - H(G(x))_i . H(x)_i / temperature

    times `nce`; with `identity` the mean of that and of the same for targets y and G(y), so that those stay as they
    are; and `adversarial` times the loss of the scores of G(x). Places are drawn by chance, each at most once. lsgan
    has its 1/2: adversarial 2 is the paper's 1.
    """

    moved_within = True

    def __init__(
        self,
        generator: Sequential,
        heads: PatchHeads,
        discriminator: Module,
        *,
        translator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = lsgan,
        adversarial: float = 2.0,
        nce: float = 1.0,
        identity: bool = True,
        temperature: float = 0.07,
        **parts: Any,
    ) -> None:
        not_negative("CUT", adversarial=adversarial, nce=nce)
        self.generator, self.heads, self.discriminator = generator, heads, discriminator
        self.loss, self.adversarial, self.nce, self.identity = loss, adversarial, nce, identity
        self.temperature = number("CUT: temperature", temperature, above=0)
        super().__init__(
            {"generator": generator, "heads": heads, "discriminator": discriminator},
            {"translator": translator_optimizer, "discriminator": discriminator_optimizer},
            **parts,
        )

    def players_turn(self, batch: Batch) -> Losses:
        """The discriminator moves, then the generator with the heads."""
        x, y = self.sides(batch)
        fake = self.generator(x)
        critic = self.discriminator
        shown = scores_move(self.optimizers["discriminator"], self.loss, critic(y), critic(fake.detach()))
        of_scores = self.loss.generator(critic(fake))
        contrast = self._contrast(batch, x, fake)
        shown |= {"g_loss": of_scores.detach(), "nce": contrast.detach()}
        if self.identity:
            same = self._contrast(batch, y, self.generator(y))
            shown["identity"] = same.detach()
            contrast = 0.5 * (contrast + same)
        self.optimizers["translator"].minimize(self.adversarial * of_scores + self.nce * contrast)
        self.average()
        return shown

    def _contrast(self, batch: Batch, before: Tensor, after: Tensor) -> Tensor:
        """How hard it is to tell by the patches of `before` which of them a patch of `after` was made of."""
        known = self.heads.features(self.generator, before)
        found = self.heads.features(self.generator, after)
        total: Tensor | None = None
        for k, (a, b) in enumerate(zip(found, known, strict=True)):
            places = self.heads.places(a, batch.rng)
            asked, answers = self.heads.vectors(k, a, places), self.heads.vectors(k, b.detach(), places).detach()
            alike = ops.matmul(asked, ops.transpose(answers, (0, 2, 1))) / self.temperature
            right = ops.sum(asked * answers, 2) / self.temperature
            each = ops.mean(ops.logsumexp(alike, 2) - right)
            total = each if total is None else total + each
        assert total is not None
        return total / len(found)
