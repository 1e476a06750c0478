"""Super-resolution and repair: SRGAN, ESRGAN, the context encoder; a translator whose critic sees its images alone."""

from collections.abc import Callable
from typing import Any

from ...nn import Module
from ...nn.checks import integer, not_negative
from ...optim import Optimizer
from ...recording import no_grad
from ...tensor import Tensor
from ..game import Batch, Losses, Turn
from ..losses import Loss, nonsaturating
from .base import Translation, scores_move
from .distances import Distance, l1, squared_length, total_variation

Features = Callable[[Tensor], Tensor]


class Restoration(Translation):
    """G makes y' of a source x, what was lost of it. D scores images by themselves.

    G minimises, with `pixel`, `perceptual`, `adversarial` and `total_variation` as weights,

        pixel distance(y', y) + perceptual apart(f(y'), f(y)) + adversarial L(D(y')) + total_variation V(y')

    where f are features (N, F), those of a judge say (`judge.perceptual`) or of VGG (`models.vgg_features`), and
    `apart` is by default `squared_length`, E |f(y') - f(y)|^2. V is the total variation (Rudin et al. 1992), the less
    the smoother. In the first `warm_up` rounds G minimises the distance of pixels alone, whatever its weight, so that
    the critic meets images that are worth a look. SRGAN (Ledig et al. 2017) is features in place of pixels, 0.006 of
    VGG's, or `l2` without any, and 1e-3 of `nonsaturating`; ESRGAN (Wang et al. 2018) 1e-2 of `l1`, features and 5e-3
    of `relativistic_average`; Real-ESRGAN (Wang et al. 2021) `l1`, features and 0.1 of `nonsaturating`; the context
    encoder (Pathak et al. 2016) `l2` and 1e-3.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        pixel: float = 1.0,
        distance: Distance = l1,
        perceptual: float = 0.0,
        features: Features | None = None,
        apart: Distance = squared_length,
        adversarial: float = 1e-3,
        total_variation: float = 0.0,
        warm_up: int = 0,
        **parts: Any,
    ) -> None:
        not_negative("Restoration", pixel=pixel, perceptual=perceptual, adversarial=adversarial)
        not_negative("Restoration", total_variation=total_variation)
        self.generator, self.discriminator = generator, discriminator
        self.loss, self.distance, self.features, self.apart = loss, distance, features, apart
        self.pixel, self.perceptual, self.adversarial = pixel, perceptual if features else 0.0, adversarial
        self.total_variation = total_variation
        integer("Restoration: warm_up", warm_up, 0)
        self.warm_up = warm_up if adversarial or self.perceptual or total_variation else 0
        self.moved_within = adversarial > 0
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            **parts,
        )

    def variant(self, turn: Turn, rounds: int) -> int:
        """1 while pixels alone count."""
        return int(rounds < self.warm_up)

    def players_turn(self, batch: Batch) -> Losses:
        """D moves if it plays, then G."""
        x, y = self.sides(batch)
        fake = self.generator(x)
        pixels = self.distance(fake, y)
        shown: Losses = {"pixels": pixels.detach()}
        warming_up = self.variant(self.schedule[0], self.rounds)
        g_loss = pixels if warming_up else self.pixel * pixels
        if self.total_variation and not warming_up:
            varies = total_variation(fake)
            g_loss = g_loss + self.total_variation * varies
            shown["variation"] = varies.detach()
        if self.features is not None and self.perceptual and not warming_up:
            with no_grad():
                seen = self.features(y)
            differs = self.apart(self.features(fake), seen)
            g_loss = g_loss + self.perceptual * differs
            shown["looks"] = differs.detach()
        if self.adversarial and not warming_up:
            scores = self.discriminator(y), self.discriminator(fake.detach())
            shown |= scores_move(self.optimizers["discriminator"], self.loss, *scores)
            real = self.discriminator(y) if self.loss.compares else None
            of_scores = self.loss.generator(self.discriminator(fake), real)
            g_loss = g_loss + self.adversarial * of_scores
            shown["g_loss"] = of_scores.detach()
        self.optimizers["generator"].minimize(g_loss)
        self.average()
        return shown
