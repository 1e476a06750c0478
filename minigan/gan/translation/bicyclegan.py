"""BicycleGAN (Zhu et al. 2017b): many images of one source, each with a code that can be read from it again."""

from typing import Any

from ... import ops
from ...grad import grad
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, lsgan
from ..vae import kl_divergence
from .base import Translation, all_scores_move
from .distances import l1


class BicycleGAN(Translation):
    """G makes an image of a source x and a code z (N, z_dim); E reads (mean, log variance) of a code from an image.

    One way from an image y: a code z ~ E(y), G(x, z), which is to be y. The other from a code n ~ N(0, 1): G(x, n),
    from which E is to read n. Each way has a discriminator, of images alone. G and E minimise, in one step,

        adversarial (L(D(G(x, z))) + L(D'(G(x, n)))) + l1 E |G(x, z) - y| + kl KL(E(y) || N(0, 1))

    and G alone also `latent` E |E(G(x, n)) - n|, of the mean that E reads, so that E does not hide codes in images.
    Then both discriminators minimise half of their losses. lsgan has its 1/2: adversarial 2 is the paper's 1.
    """

    def __init__(
        self,
        generator: Module,
        encoder: Module,
        discriminator: Module,
        code_discriminator: Module,
        *,
        z_dim: int,
        generator_optimizer: Optimizer,
        encoder_optimizer: Optimizer,
        discriminators_optimizer: Optimizer,
        loss: Loss = lsgan,
        adversarial: float = 2.0,
        l1_weight: float = 10.0,
        kl: float = 0.01,
        latent: float = 0.5,
        **parts: Any,
    ) -> None:
        not_negative("BicycleGAN", adversarial=adversarial, l1_weight=l1_weight, kl=kl, latent=latent)
        self.generator, self.encoder = generator, encoder
        self.discriminator, self.code_discriminator = discriminator, code_discriminator
        self.loss, self.z_dim = loss, z_dim
        self.adversarial, self.l1_weight, self.kl, self.latent_weight = adversarial, l1_weight, kl, latent
        names = "generator", "encoder", "discriminator", "code_discriminator"
        super().__init__(
            dict(zip(names, (generator, encoder, discriminator, code_discriminator), strict=True)),
            {
                "generator": generator_optimizer,
                "encoder": encoder_optimizer,
                "discriminators": discriminators_optimizer,
            },
            **parts,
        )

    def players_turn(self, batch: Batch) -> Losses:
        """G and E move, then both discriminators."""
        x, y = self.sides(batch)
        mean, log_var = self.code(y)
        drawn, n = (Tensor(batch.rng.normal((len(y), self.z_dim), dtype=y.dtype, device=y.device)) for _ in range(2))
        again = self.generator(x, mean + ops.exp(0.5 * log_var) * drawn)
        other = self.generator(x, n)
        apart, divergence = l1(again, y), ops.mean(kl_divergence(mean, log_var))
        of_scores = self.loss.generator(self.discriminator(again)) + self.loss.generator(self.code_discriminator(other))
        shared = self.adversarial * of_scores + self.l1_weight * apart + self.kl * divergence
        read = l1(self.code(other)[0], n)
        g, e = self.optimizers["generator"], self.optimizers["encoder"]
        g_grads = grad(shared + self.latent_weight * read, g.params)
        e_grads = grad(shared, e.params)
        g.step(ops.averaged(g_grads))
        e.step(ops.averaged(e_grads))
        self.average()
        sides = {"": (self.discriminator, again), "code": (self.code_discriminator, other)}
        scores = {name: (critic(y), critic(made.detach())) for name, (critic, made) in sides.items()}
        found = {"g_loss": of_scores, "l1": apart, "kl": divergence, "code": read}
        shown = all_scores_move(self.optimizers["discriminators"], self.loss, scores)
        return shown | {name: value.detach() for name, value in found.items()}

    def code(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, logarithm of the variance) of the codes of images, (N, z_dim) each."""
        mean, log_var = ops.split(self.encoder(images), 2, axis=1)
        return mean, log_var
