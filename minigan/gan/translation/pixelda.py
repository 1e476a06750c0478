"""PixelDA (Bousmalis et al. 2017): a classifier for images without labels learns from labelled ones made like them."""

from typing import Any

import numpy as np

from ... import ops
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ..adaptation import applied, labels_of
from ..game import Batch, Losses
from ..latents import Latent
from ..losses import Loss, nonsaturating
from .base import Translation, scores_move


class PixelDA(Translation):
    """G makes images of the target domain of source images x, whose labels are known; a classifier T learns from both.

    D minimises the loss of its scores of targets and of G(x). G and T minimise

        adversarial L(D(G(x))) + task (CE(T(x), labels) + CE(T(G(x)), labels))

    so that G(x) looks like a target and still shows what x does. With `adversarial` 0 T learns from x alone: what it
    reads then is what it reads without adaptation. Batches have a `target`, a `source` and its `labels`; both images
    are of one shape.
    """

    labelled = True

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        classifier: Module,
        *,
        translator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        adversarial: float = 1.0,
        task: float = 1.0,
        **parts: Any,
    ) -> None:
        not_negative("PixelDA", adversarial=adversarial, task=task)
        self.generator, self.discriminator, self.classifier = generator, discriminator, classifier
        self.loss, self.adversarial, self.task = loss, adversarial, task
        self.moved_within = adversarial > 0
        super().__init__(
            {"generator": generator, "discriminator": discriminator, "classifier": classifier},
            {"translator": translator_optimizer, "discriminator": discriminator_optimizer},
            **parts,
        )

    def players_turn(self, batch: Batch) -> Losses:
        """D moves, then G and T."""
        x, y = self.sides(batch)
        labels = labels_of("PixelDA", batch, x)
        told = ops.cross_entropy(self.classifier(x), labels)
        shown: Losses = {"task": told.detach()}
        loss = self.task * told
        if self.adversarial:
            fake = self.generator(x)
            critic = self.discriminator
            shown |= scores_move(self.optimizers["discriminator"], self.loss, critic(y), critic(fake.detach()))
            of_scores = self.loss.generator(critic(fake))
            told = ops.cross_entropy(self.classifier(fake), labels)
            loss = loss + self.adversarial * of_scores + self.task * told
            shown |= {"g_loss": of_scores.detach(), "task_fake": told.detach()}
        self.optimizers["translator"].minimize(loss)
        self.average()
        return shown

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """What reads images: logits (N, classes), once it is known what these are (`meet`)."""
        return {"classifier": (self.classifier, self.latent)} if hasattr(self, "latent") else {}

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The class that T reads in each image, int64 (N,), of uint8 or float images (N, C, H, W) in [-1, 1]."""
        return applied((self.classifier,), images, self.step.device).argmax(1)
