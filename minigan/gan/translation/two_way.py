"""What games of two domains share in which each is translated to the other: two translators, two discriminators."""

from collections.abc import Mapping
from typing import Any

from ...nn import Module
from ...optim import Optimizer
from ...tensor import Tensor
from ..game import Batch, Losses
from ..latents import Latent, SourceImages
from ..losses import Loss
from .base import Translation, all_scores_move, refuse_comparing

Shape = tuple[int, int, int]  # of an image: channels, height, width


class TwoWay(Translation):
    """G makes targets of sources, F (`inverse`) sources of targets; a discriminator of each scores what is made for it.

    `shape` is that of a target. `others` are further players by name.
    """

    def __init__(
        self,
        generator: Module,
        inverse: Module,
        discriminator: Module,
        source_discriminator: Module,
        *,
        translators_optimizer: Optimizer,
        discriminators_optimizer: Optimizer,
        loss: Loss,
        shape: Shape,
        others: Mapping[str, Module] | None = None,
        **parts: Any,
    ) -> None:
        refuse_comparing(type(self).__name__, loss)
        self.inverse, self.loss, self.shape = inverse, loss, shape
        self.discriminator, self.source_discriminator = discriminator, source_discriminator
        translators = {"generator": generator, "inverse": inverse, **(others or {})}
        critics = {"discriminator": discriminator, "source_discriminator": source_discriminator}
        optimizers = {"translators": translators_optimizer, "discriminators": discriminators_optimizer}
        super().__init__(translators | critics, optimizers, **parts)

    def of_scores(self, fake_y: Tensor, fake_x: Tensor) -> Tensor:
        """The translators' loss of the scores of what they made."""
        there = self.loss.generator(self.discriminator(fake_y))
        return there + self.loss.generator(self.source_discriminator(fake_x))

    def discriminators_move(
        self, batch: Batch, targets: tuple[Tensor, Tensor], sources: tuple[Tensor, Tensor]
    ) -> Losses:
        """A step of both, of (real, fake) targets and sources, and what the log shows of it."""
        sides = {"": (self.discriminator, *targets), "source": (self.source_discriminator, *sources)}
        scores = {name: (critic(real), critic(fake.detach())) for name, (critic, real, fake) in sides.items()}
        return all_scores_move(self.optimizers["discriminators"], self.loss, scores)

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """The way back."""
        return {"inverse": (self.inverse, SourceImages(*self.shape))}

    def translate_back(self, images: Tensor) -> Tensor:
        """What F makes of targets."""
        return self.translated(self.inverse, images)
