"""pix2pix (Isola et al. 2017): a translator learns from pairs, by a distance and by a discriminator of patches."""

from typing import Any

from ... import ops
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, nonsaturating
from .base import Translation, scores_move
from .distances import l1


class Pix2Pix(Translation):
    """G makes y' = G(x) of a source x. D scores patches of (x, y) and (x, y'), joined in the channels.

    D minimises `d_weight` times the loss of its scores (paper: a half, so that it learns more slowly), then G the
    loss of the scores of y' + `l1_weight` * E |y' - y|. With `adversarial` 0 there is no discriminator's say: a
    translator that is trained by the distance alone, to compare with. A step is that of the authors' program: both
    players see the same y', G is scored by the D that has moved.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        l1_weight: float = 100.0,
        adversarial: float = 1.0,
        d_weight: float = 0.5,
        **parts: Any,
    ) -> None:
        not_negative("Pix2Pix", l1_weight=l1_weight, adversarial=adversarial, d_weight=d_weight)
        self.generator, self.discriminator = generator, discriminator
        self.loss = loss
        self.l1_weight, self.adversarial, self.d_weight = l1_weight, adversarial, d_weight
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            **parts,
        )

    def players_turn(self, batch: Batch) -> Losses:
        """D moves, then G."""
        x, y = self.sides(batch)
        fake = self.generator(x)
        apart = l1(fake, y)
        shown: Losses = {"l1": apart.detach()}
        g_loss = self.l1_weight * apart
        if self.adversarial:
            scores = self._scores(x, y), self._scores(x, fake.detach())
            shown |= scores_move(self.optimizers["discriminator"], self.loss, *scores, self.d_weight)
            real = self._scores(x, y) if self.loss.compares else None
            of_scores = self.loss.generator(self._scores(x, fake), real)
            g_loss = g_loss + self.adversarial * of_scores
            shown["g_loss"] = of_scores.detach()
        self.optimizers["generator"].minimize(g_loss)
        self.average()
        return shown

    def _scores(self, x: Tensor, image: Tensor) -> Tensor:
        """The discriminator's scores of an image that is to be one of x."""
        return self.discriminator(ops.concatenate([x, image], 1))
