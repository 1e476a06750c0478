"""The variational autoencoder (Kingma and Welling 2014): no opponent, but a bound on the likelihood to be raised."""

from .. import ops
from ..errors import ShapeError
from ..models.ranges import FromUnit
from ..nn import Module, Sequential, Sigmoid, evaluating
from ..optim import Optimizer
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from .game import Batch, Game, Losses, Turn
from .latents import normal_latent


def reconstruction(logits: Tensor, pixels: Tensor) -> Tensor:
    """-ln p(x | z) of each image, summed over its pixels, in nats: (N,).

    A pixel is 1 with probability sigmoid(logit); a grey x in [0, 1] counts as the share x of ones.
    """
    if logits.shape != pixels.shape:
        raise ShapeError(f"reconstruction: logits are {logits.shape}, pixels {pixels.shape}")
    return ops.sum(ops.softplus(logits) - logits * pixels, tuple(range(1, logits.ndim)))


def kl_divergence(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, e^log_var) || N(0, 1)) = sum (e^log_var + mean^2 - 1 - log_var) / 2 of each row, in nats: (N,)."""
    if mean.shape != log_var.shape or mean.ndim != 2:
        raise ShapeError(f"kl_divergence: expected two of shape (N, z), got {mean.shape} and {log_var.shape}")
    return 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var, 1)


class VAE(Game):
    """An encoder and a decoder that play together: E ln p(x) >= ELBO = -E reconstruction - E KL.

    Encoder: images (N, C, H, W) in [-1, 1] to (N, 2 z_dim), the mean of each code and the logarithm of its variance.
    Decoder: codes (N, z_dim) to a logit for each pixel, of the images' shape. The expectation over z is taken at one
    draw, z = mean + e^(log_var / 2) n, n ~ N(0, 1), so that its gradient reaches the encoder.
    """

    def __init__(self, encoder: Module, decoder: Module, *, z_dim: int, optimizer: Optimizer, seed: int = 0) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.z_dim = z_dim
        self.latent = normal_latent(z_dim)
        self._from_codes = Sequential(decoder, Sigmoid(), FromUnit())  # to mean images in [-1, 1]
        super().__init__(
            {"encoder": encoder, "decoder": decoder}, {"autoencoder": optimizer}, [Turn("autoencoder_turn")], seed=seed
        )

    def autoencoder_turn(self, batch: Batch) -> Losses:
        """Both move up the bound."""
        error, divergence = self.terms(batch.real, self.stream("noise").at(batch.noise_at))
        loss = ops.mean(error) + ops.mean(divergence)
        self.optimizers["autoencoder"].minimize(loss)
        with no_grad():
            return {"elbo": -loss, "reconstruction": ops.mean(error), "kl": ops.mean(divergence)}

    def terms(self, images: Tensor, rng: Stream) -> tuple[Tensor, Tensor]:
        """(reconstruction, KL) of each image, both (N,): minus their sum estimates the bound on its ln p."""
        mean, log_var = self._code(images)
        n = Tensor(rng.normal(mean.shape, dtype=mean.dtype, device=mean.device))
        logits = self.decoder(mean + ops.exp(0.5 * log_var) * n)
        return reconstruction(logits, 0.5 * images + 0.5), kl_divergence(mean, log_var)

    def sampling_network(self) -> Module:
        """The decoder, brought to mean images in [-1, 1]."""
        return self._from_codes

    def reconstruct(self, images: Tensor) -> Tensor:
        """The mean image, in [-1, 1], of each image's mean code."""
        with evaluating(self.encoder):
            return self.generate(self._code(images)[0])

    def _code(self, images: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(images)
        if code.ndim != 2 or code.shape[1] != 2 * self.z_dim:
            raise ShapeError(f"VAE: expected the encoder to make (N, 2 x {self.z_dim}), got {code.shape}")
        mean, log_var = ops.split(code, 2, axis=1)
        return mean, log_var
