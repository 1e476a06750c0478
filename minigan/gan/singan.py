"""SinGAN (Shaham et al. 2019): a pyramid learns from a single picture, one scale after the other, coarse to fine."""

from collections.abc import Callable, Sequence
from typing import Any

from .. import ops, processes
from ..errors import ShapeError
from ..models.singan import PatchCritics, Pyramid, larger, smaller
from ..nn import evaluating
from ..nn.checks import integer, not_negative
from ..nn.state import copy_all
from ..optim import Optimizer, Schedule
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from .game import Batch, Drawn, Game, Losses, Source, Turn
from .latents import normal_latent
from .penalties import input_gradient

LATE, SLOWER = 0.8, 0.1  # from that share of a scale's rounds on, learning rates are so many times their own


class SinGAN(Game):
    """The k-th scale's generator and critic play in rounds k * rounds_per_scale and on; those before stay as they are.

    Critic: E D(G(z)) - E D(x) + penalty_weight * `pixel_penalty`, x the picture in the scale's size, D the mean of its
    map. Generator: -E D(G(z)) + reconstruction_weight * E (x' - x)^2, where x' is what the scale adds, without noise,
    to the reconstruction by those before. A scale begins with the weights of the one before, if it has as many, and
    with the amplitude of its noise: `noise_weight` times the root mean square of that reconstruction's error, as the
    more is missing the more there is to be drawn; the first has 1. In a round each player moves `steps` times (paper:
    3). Learning rates fall to a tenth after four fifths of a scale's rounds. Batches are copies of one picture, of the
    size of the last scale; the last one plays on if there are more rounds.
    """

    def __init__(
        self,
        generator: Pyramid,
        discriminator: PatchCritics,
        *,
        generator_optimizers: Sequence[Optimizer],
        discriminator_optimizers: Sequence[Optimizer],
        rounds_per_scale: int = 2000,
        steps: int = 3,
        penalty_weight: float = 0.1,
        reconstruction_weight: float = 10.0,
        noise_weight: float = 0.1,
        seed: int = 0,
    ) -> None:
        weights = {"penalty_weight": penalty_weight, "reconstruction_weight": reconstruction_weight}
        not_negative("SinGAN", **weights, noise_weight=noise_weight)
        scales = len(generator.scales)
        counts = [len(discriminator.scales), len(generator_optimizers), len(discriminator_optimizers)]
        if counts != [scales] * 3:
            raise ShapeError(f"SinGAN: expected {scales} critics, and as many optimizers of each side, got {counts}")
        self.generator, self.discriminator = generator, discriminator
        self.penalty_weight, self.reconstruction_weight = penalty_weight, reconstruction_weight
        self.noise_weight = noise_weight
        self.scales = scales
        self.rounds_per_scale = integer("SinGAN: rounds_per_scale", rounds_per_scale, 1)
        integer("SinGAN: steps", steps, 1)
        self.latent = normal_latent(generator.dim, str(generator.fixed.dtype))
        optimizers = {f"generator_{k}": o for k, o in enumerate(generator_optimizers)}
        optimizers |= {f"discriminator_{k}": o for k, o in enumerate(discriminator_optimizers)}
        names = ["discriminator_turn"] * steps + ["generator_turn"] * steps
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            optimizers,
            [Turn(name, fresh_batch=k == 0) for k, name in enumerate(names)],
            seed=seed,
            schedules=[
                Schedule(optimizer, self._factor(k))
                for side in (generator_optimizers, discriminator_optimizers)
                for k, optimizer in enumerate(side)
            ],
        )

    def _factor(self, k: int) -> Callable[[int], float]:
        """The factor of the learning rates of the k-th scale after so many rounds."""
        late = (k + LATE) * self.rounds_per_scale
        return lambda rounds: SLOWER if rounds >= late else 1.0

    def scale(self, rounds: int) -> int:
        """Which scale plays in the round after so many."""
        return min(rounds // self.rounds_per_scale, self.scales - 1)

    def variant(self, turn: Turn, rounds: int) -> int:
        """How many scales are to come: each plays turns of its own, and the last one goes through all others."""
        return self.scales - 1 - self.scale(rounds)

    def _round(self, batches: Callable[[int], Drawn] | Source) -> Losses:
        """A round, at whose start a scale may begin."""
        k = self.scale(self.rounds)
        if self.rounds == k * self.rounds_per_scale:
            self._begin(k, batches)
        return super()._round(batches)

    def _begin(self, k: int, batches: Callable[[int], Drawn] | Source) -> None:
        """Give the k-th scale what it begins with; what was captured of the one before is over."""
        self._turns = None, {}
        amplitude = self.generator.amplitude
        if k == 0:
            amplitude.data[0] = 1
        else:
            drawn: Any = batches(self.rounds) if callable(batches) else self._drawn(batches)
            picture = drawn if isinstance(drawn, Tensor) else Tensor(drawn)
            with evaluating(self.generator):
                error = self._before(k) - smaller(picture[:1], self.generator.sides[k])
                amplitude.data[k] = (self.noise_weight * ops.sqrt(ops.mean_of(error, ops.square))).data
            for player in (self.generator, self.discriminator):
                begun, last = (player.scales[j].state_dict() for j in (k, k - 1))
                if all(begun[name].shape == t.shape for name, t in last.items()):
                    copy_all(begun, last, "SinGAN", by="SinGAN")
        amplitude.written("SinGAN")

    def _drawn(self, batches: Source) -> Any:
        """The batch of this round."""
        batches.prepare(self.rounds)
        return batches.at(self.rounds)

    def _before(self, k: int, noises: Sequence[Tensor] | None = None) -> Tensor:
        """What comes to the k-th scale of those before, in its size: of noises, or of what is to become the picture."""
        G = self.generator
        if noises is None:
            x = G.reconstruction(k)
            return larger(x, (G.sides[k], G.sides[k]))
        x = G.made(0, None, noises[0])
        for j in range(1, k + 1):
            x = larger(x, noises[j].shape[2:])
            x = x if j == k else G.made(j, x, noises[j])
        return x

    def _fakes(self, k: int, batch: Batch) -> Tensor:
        """What the k-th scale draws; those before leave no graph."""
        noises = self.generator.split(self.noise(batch))
        if k == 0:
            return self.generator.made(0, None, noises[0])
        with evaluating(*self.generator.scales[:k]):
            before = self._before(k, noises)
        return self.generator.made(k, before, noises[k])

    def discriminator_turn(self, batch: Batch) -> Losses:
        """The critic of the scale that plays moves."""
        k = self.scale(self.rounds)
        critic = self.discriminator.scales[k]
        with no_grad():
            real = smaller(batch.real, self.generator.sides[k])
            fake = self._fakes(k, batch)
        d_real, d_fake = ops.mean(critic(real)), ops.mean(critic(fake))
        penalty = pixel_penalty(critic, real, fake, rng=batch.rng)
        loss = d_fake - d_real + self.penalty_weight * penalty
        self.optimizers[f"discriminator_{k}"].minimize(loss)
        found = {"d_loss": loss, "d_real": d_real, "d_fake": d_fake, "penalty": penalty}
        return {name: value.detach() for name, value in found.items()}

    def generator_turn(self, batch: Batch) -> Losses:
        """The generator of the scale that plays moves."""
        G, k = self.generator, self.scale(self.rounds)
        with no_grad():
            real = smaller(batch.real[:1], G.sides[k])
        g_loss = -ops.mean(self.discriminator.scales[k](self._fakes(k, batch)))
        with processes.using(processes.ALONE):  # each has the same one, of which the statistics are those of one
            if k == 0:
                again = G.made(0, None, G.fixed)
            else:
                with evaluating(*G.scales[:k]):
                    before = self._before(k)
                again = G.made(k, before, None)
        error = ops.mean_of(again - real, ops.square)
        self.optimizers[f"generator_{k}"].minimize(g_loss + self.reconstruction_weight * error)
        return {"g_loss": g_loss.detach(), "reconstruction": error.detach()}

    def reconstruct(self) -> Tensor:
        """(1, C, H, W): the picture as the pyramid has it, so far, in its full size."""
        with evaluating(self.generator):
            found = self.generator.reconstruction(self.scale(max(self.rounds - 1, 0)) + 1)
            return larger(found, (self.generator.sides[-1],) * 2)

    def sized(self, n: int, height: int, width: int, *, stream: str = "sized") -> Tensor:
        """n images (n, C, height, width) of any size, the same ones for the same weights."""
        with evaluating(self.generator):
            return self.generator.drawn(self.generator.noise(n, height, width, self.stream(stream).at(0)))


def pixel_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, rng: Stream, eps: float = 1e-12
) -> Tensor:
    """E (|g| - 1)^2 over pixels, g the slope of all scores at a pixel's channels, at x = real + u (fake - real).

    As the authors' program has WGAN-GP's penalty: it is on pixels one by one, so that it means the same at every size.
    """
    if real.shape != fake.shape:
        raise ShapeError(f"pixel_penalty: real images are {real.shape}, fakes {fake.shape}")
    u = Tensor(rng.uniform((len(real), 1, 1, 1), dtype=real.dtype, device=real.device))
    between = real + u * (fake.detach() - real)
    slopes = ops.reshape(input_gradient(lambda x: ops.sum(critic(x), (1, 2, 3)), between), real.shape)
    return ops.mean_of(ops.sqrt(ops.sum(ops.square(slopes), 1) + eps), ops.square, 1, -1.0)
