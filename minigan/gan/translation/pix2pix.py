"""pix2pix (Isola et al. 2017): a translator learns from pairs, by a distance and by a discriminator of patches."""

from typing import Any

from ... import ops
from ...models import with_activations
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ...recording import no_grad
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, nonsaturating
from .base import Translation, scores_move
from .distances import l1, of_features, total_variation


class Pix2Pix(Translation):
    """G makes y' = G(x) of a source x. D scores patches of (x, y) and (x, y'), joined in the channels.

    D minimises `d_weight` times the loss of its scores (paper: a half, so that it learns more slowly), then G the loss
    of the scores of y' + `l1_weight` * E |y' - y| + `feature_matching` times how far D's features of y' are from those
    of y (`of_features`; 10 in pix2pixHD, Wang et al. 2018) + `total_variation` times that of y', which smooths. With
    `adversarial` 0 D has no say: a translator that is trained by the distance alone, to compare with. A step is that of
    the authors' program: both players see the same y', G is scored by the D that has moved.
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
        feature_matching: float = 0.0,
        total_variation: float = 0.0,
        **parts: Any,
    ) -> None:
        weights = {"l1_weight": l1_weight, "adversarial": adversarial, "d_weight": d_weight}
        not_negative("Pix2Pix", **weights, feature_matching=feature_matching, total_variation=total_variation)
        self.generator, self.discriminator = generator, discriminator
        self.loss = loss
        self.l1_weight, self.adversarial, self.d_weight = l1_weight, adversarial, d_weight
        self.moved_within = adversarial > 0
        self.feature_matching, self.total_variation = feature_matching, total_variation
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
        if self.total_variation:
            varies = total_variation(fake)
            g_loss = g_loss + self.total_variation * varies
            shown["variation"] = varies.detach()
        if self.adversarial:
            scores = self._scores(x, y), self._scores(x, fake.detach())
            shown |= scores_move(self.optimizers["discriminator"], self.loss, *scores, self.d_weight)
            real = self._scores(x, y) if self.loss.compares else None
            if self.feature_matching:
                scored, differs = self._matched(x, y, fake)
                g_loss = g_loss + self.feature_matching * differs
                shown["features"] = differs.detach()
            else:
                scored = self._scores(x, fake)
            of_scores = self.loss.generator(scored, real)
            g_loss = g_loss + self.adversarial * of_scores
            shown["g_loss"] = of_scores.detach()
        self.optimizers["generator"].minimize(g_loss)
        self.average()
        return shown

    def _scores(self, x: Tensor, image: Tensor) -> Tensor:
        """The discriminator's scores of an image that is to be one of x."""
        return self.discriminator(ops.concatenate([x, image], 1))

    def _matched(self, x: Tensor, y: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """(the discriminator's scores of a fake of x, how far its features of it are from those of y)."""
        with no_grad():
            _, wanted = with_activations(self.discriminator, ops.concatenate([x, y], 1))
        scores, found = with_activations(self.discriminator, ops.concatenate([x, fake], 1))
        return scores, of_features(found, wanted)
