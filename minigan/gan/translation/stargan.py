"""StarGAN (Choi et al. 2018): one translator between many domains, which is told which to go to."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...errors import ShapeError
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ...recording import no_grad
from ...tensor import Tensor, tensor
from ..game import Batch, Losses
from ..losses import Loss, wasserstein
from ..penalties import gradient_penalty
from ..score import alternate
from .base import Translation
from .distances import l1


class StarGAN(Translation):
    """G(x, c) makes of an image x one of the domain c; D(x) gives scores of patches, and logits of the domain.

    D minimises the loss of its scores + `penalty_weight` penalty + `classify` CE(real), G the loss of the scores of
    G(x, c') + `classify` CE(G(x, c'), c') + `cycle` E |G(G(x, c'), c) - x|, c the domain of x and c' one that is drawn
    by chance. D moves `d_steps` times for each step of G (paper: 5), which learns from the last of those batches.
    Domains are the labels of the data, or clusters of them.
    """

    labelled = True
    itself = True
    classes: int

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        classes: int,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = wasserstein,
        penalty: Callable[..., Tensor] | None = gradient_penalty,
        penalty_weight: float = 10.0,
        classify: float = 1.0,
        cycle: float = 10.0,
        d_steps: int = 5,
        **parts: Any,
    ) -> None:
        not_negative("StarGAN", penalty_weight=penalty_weight, classify=classify, cycle=cycle)
        if loss.compares:
            raise ShapeError(f"StarGAN: {loss.name} compares fakes with real samples, which are of other domains")
        self.generator, self.discriminator = generator, discriminator
        self.classes, self.loss = classes, loss
        self.penalty, self.penalty_weight = penalty, penalty_weight
        self.classify, self.cycle = classify, cycle
        turns = alternate(d_steps=d_steps)
        turns[-1] = turns[-1]._replace(fresh_batch=False)
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            turns,
            **parts,
        )

    def discriminator_turn(self, batch: Batch) -> Losses:
        """D tells images from translations, and their domains."""
        x, y = self._labelled(batch)
        with no_grad():
            fake = self.generator(x, self._asked(batch))
        (real_scores, logits), (fake_scores, _) = self.discriminator(x), self.discriminator(fake)
        told = ops.cross_entropy(logits, y)
        loss = self.loss.discriminator(real_scores, fake_scores) + self.classify * told
        if self.penalty is not None:
            scores = lambda images: self.discriminator(images)[0]
            loss = loss + self.penalty_weight * self.penalty(scores, x, fake, rng=batch.rng)
        self.optimizers["discriminator"].minimize(loss)
        shown = [self.loss.shown(s) for s in (real_scores, fake_scores)]
        return {"d_loss": loss.detach(), "d_real": shown[0], "d_fake": shown[1], "class_real": told.detach()}

    def generator_turn(self, batch: Batch) -> Losses:
        """G makes images of the domains that it is asked for, from which it can come back."""
        x, y = self._labelled(batch)
        asked = self._asked(batch)
        fake = self.generator(x, asked)
        scores, logits = self.discriminator(fake)
        of_scores, told = self.loss.generator(scores), ops.cross_entropy(logits, asked)
        back = l1(self.generator(fake, y), x)
        self.optimizers["generator"].minimize(of_scores + self.classify * told + self.cycle * back)
        self.average()
        found = {"g_loss": of_scores, "class_fake": told, "cycle": back}
        return {name: value.detach() for name, value in found.items()}

    def inputs(self, n: int, stream: str, at: int) -> tuple[Tensor, ...]:
        """Sources, and domains 0, 1, ... in turn."""
        return *super().inputs(n, stream, at), tensor(np.arange(n) % self.classes)

    def _labelled(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.labels is None:
            raise ShapeError(f"StarGAN: a batch {batch.real.shape} came without labels, which are its domains")
        return batch.real, batch.labels

    def _asked(self, batch: Batch) -> Tensor:
        """Domains to go to, drawn by chance."""
        return Tensor(batch.rng.integers(self.classes, len(batch.real), batch.real.device))
