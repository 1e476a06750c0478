"""The bidirectional GAN (Donahue et al. 2017; as ALI, Dumoulin et al. 2017): an encoder joins the game."""

from .. import ops
from ..errors import ShapeError
from ..grad import grad
from ..nn import Module, evaluating
from ..optim import Optimizer
from ..tensor import Tensor
from .game import Batch, Game, Losses, Turn
from .latents import Latent
from .losses import Loss, nonsaturating


class BiGAN(Game):
    """D tells pairs (x, E(x)) of real samples from pairs (G(z), z) of generated ones; G and E undo that together.

    D minimises the loss of scores, G and E the same loss with real and fake exchanged: both pairs have a say in what
    they do, and where no D can tell them apart, E inverts G. Everybody moves in one turn, by gradients taken before any
    of them has moved, as the authors' program does.
    """

    def __init__(
        self,
        generator: Module,
        encoder: Module,
        discriminator: Module,
        *,
        latent: Latent,
        inference_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: Loss = nonsaturating,
        seed: int = 0,
    ) -> None:
        if loss.compares:
            raise ShapeError(
                f"BiGAN: {loss.name} compares real and fake, so exchanging them is not its generator's side"
            )
        self.generator = generator
        self.encoder = encoder
        self.discriminator = discriminator
        self.latent = latent
        self.loss = loss
        super().__init__(
            {"generator": generator, "encoder": encoder, "discriminator": discriminator},
            {"inference": inference_optimizer, "discriminator": discriminator_optimizer},
            [Turn("players_turn")],
            seed=seed,
        )

    def players_turn(self, batch: Batch) -> Losses:
        """The discriminator moves down its loss, generator and encoder down the one with the pairs exchanged."""
        players, critic = self.optimizers["inference"], self.optimizers["discriminator"]
        z = self.noise(batch)
        real_scores = self.discriminator(batch.real, self.encoder(batch.real))
        fake_scores = self.discriminator(self.generator(z), z)
        d_loss = self.loss.discriminator(real_scores, fake_scores)
        g_loss = self.loss.discriminator(fake_scores, real_scores)
        d_grads, g_grads = (ops.averaged(grad(loss, o.params)) for loss, o in ((d_loss, critic), (g_loss, players)))
        critic.step(d_grads)
        players.step(g_grads)
        d_real, d_fake = map(self.loss.shown, (real_scores, fake_scores))
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach(), "d_real": d_real, "d_fake": d_fake}

    def encode(self, samples: Tensor) -> Tensor:
        """E(x): the codes of samples, (N, z_dim), with the running statistics."""
        with evaluating(self.encoder):
            return self.encoder(samples)

    def reconstruct(self, samples: Tensor) -> Tensor:
        """G(E(x)): what the generator makes of the samples' codes."""
        return self.generate(self.encode(samples))
