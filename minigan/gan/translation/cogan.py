"""CoGAN (Liu and Tuzel 2016): two domains drawn of the same noise, so that they belong together though no pair did."""

from typing import Any

from ...nn import Module, evaluating
from ...optim import Optimizer
from ...recording import no_grad
from ...tensor import Tensor
from ..game import Batch, Game, Losses, Turn
from ..latents import Latent, uniform_latent
from ..losses import Loss, nonsaturating
from .base import all_scores_move, refuse_comparing, sides_of
from .making import Making


class CoGAN(Game):
    """G draws targets of noise z, G' (`source_generator`) sources of the same z; D and D' score those of each domain.

    Each pair plays a GAN by itself; both minimise the sum of their losses. What couples them is that G and G' have
    their first layers in common, where it is decided what is shown, and D and D' their last (`models.coupled`). Batches
    hold a `target` and a `source` that need not belong together, or images of which `make` makes the sources.
    """

    def __init__(
        self,
        generator: Module,
        source_generator: Module,
        discriminator: Module,
        source_discriminator: Module,
        *,
        z_dim: int,
        generators_optimizer: Optimizer,
        discriminators_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        make: Making | None = None,
        **parts: Any,
    ) -> None:
        refuse_comparing("CoGAN", loss)
        self.generator, self.source_generator = generator, source_generator
        self.discriminator, self.source_discriminator = discriminator, source_discriminator
        self.loss, self.make = loss, make
        self.latent = uniform_latent(z_dim)
        names = "generator", "source_generator", "discriminator", "source_discriminator"
        super().__init__(
            dict(zip(names, (generator, source_generator, discriminator, source_discriminator), strict=True)),
            {"generators": generators_optimizer, "discriminators": discriminators_optimizer},
            [Turn("discriminators_turn"), Turn("generators_turn", fresh_batch=False)],
            **parts,
        )

    def discriminators_turn(self, batch: Batch) -> Losses:
        """D and D' tell real from fake."""
        x, y = sides_of("CoGAN", batch, self.make)
        z = self.noise(batch)
        with no_grad():
            fakes = self.generator(z), self.source_generator(z)
        sides = {"": (self.discriminator, y, fakes[0]), "source": (self.source_discriminator, x, fakes[1])}
        scores = {name: (critic(real), critic(fake)) for name, (critic, real, fake) in sides.items()}
        return all_scores_move(self.optimizers["discriminators"], self.loss, scores)

    def generators_turn(self, batch: Batch) -> Losses:
        """G and G' draw what is taken for real."""
        z = self.noise(batch)
        g_loss = self.loss.generator(self.discriminator(self.generator(z)))
        g_loss = g_loss + self.loss.generator(self.source_discriminator(self.source_generator(z)))
        self.optimizers["generators"].minimize(g_loss)
        self.average()
        return {"g_loss": g_loss.detach()}

    def pairs(self, n: int) -> tuple[Tensor, Tensor]:
        """n (targets, sources) of the same noise, the same ones for the same weights."""
        (z,) = self.inputs(n, "samples", 0)
        with evaluating(self.source_generator):
            return self.generate(z), self.source_generator(z.to(self.step.device))

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """What draws sources."""
        return {"source_generator": (self.source_generator, self.latent)}
