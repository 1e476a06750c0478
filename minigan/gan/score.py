"""Two players and a loss of scores: the game of nearly every GAN, with its parts to choose from."""

from collections.abc import Callable, Sequence
from typing import Any

from .. import ops, random
from ..errors import ShapeError
from ..grad import grad
from ..nn import Module, functional_call
from ..op import no_grad
from ..optim import EMA, Optimizer, Schedule
from ..random import Stream
from ..tensor import Tensor
from .game import Batch, Game, Losses, State, Turn
from .losses import Loss
from .penalties import clip_weights

Latent = Callable[[int, Stream], Tensor]


def uniform_latent(dim: int, low: float = -1.0, high: float = 1.0, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ U[low, high)."""
    return lambda n, rng: Tensor(rng.uniform((n, dim), low, high, dtype))


def normal_latent(dim: int, dtype: Any = "float32") -> Latent:
    """A sampler: (n, rng) -> z (n, dim) ~ N(0, 1)."""
    return lambda n, rng: Tensor(rng.normal((n, dim), dtype=dtype))


def alternate(d_steps: int = 1, g_steps: int = 1) -> list[Turn]:
    """The usual schedule: d_steps discriminator turns on fresh batches, then g_steps generator turns, fresh noise."""
    if d_steps < 1 or g_steps < 1:
        raise ShapeError(f"alternate: expected at least one turn each, got {d_steps} and {g_steps}")
    return [Turn("discriminator_turn")] * d_steps + [Turn("generator_turn", fresh_batch=False)] * g_steps


class ScoreGame(Game):
    """Two players and a score loss: the discriminator scores samples, the generator wants its own scored as real.

    `penalty(critic, real, fake, rng=...)` is added to the discriminator's loss with weight `penalty_weight`;
    with `clip` its parameters are limited to [-clip, clip] after each of its steps.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        *,
        loss: Loss,
        latent: Latent,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        schedule: Sequence[Turn] | None = None,
        penalty: Callable[..., Tensor] | None = None,
        penalty_weight: float = 10.0,
        clip: float | None = None,
        seed: int = 0,
        ema: EMA | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.latent = latent
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.clip = clip
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            {"generator": generator_optimizer, "discriminator": discriminator_optimizer},
            alternate() if schedule is None else schedule,
            seed=seed,
            ema=ema,
            schedules=schedules,
        )

    def discriminator_turn(self, state: State, batch: Batch) -> Losses:
        """The discriminator moves; the generator only samples, and leaves no graph."""
        with random.using(self.stream("discriminator").at(batch.turn)) as rng:
            z = self._noise(batch)
            with no_grad():
                fake = self.generator(z)
            real_scores, fake_scores = self.discriminator(batch.real), self.discriminator(fake)
            loss = self.loss.discriminator(real_scores, fake_scores)
            results = {"d_real": self._shown(real_scores), "d_fake": self._shown(fake_scores)}
            if self.penalty is not None:
                penalty = self.penalty(self.discriminator, batch.real, fake, rng=rng)
                loss = loss + self.penalty_weight * penalty
                results["penalty"] = penalty.detach()
            optimizer = self.optimizers["discriminator"]
            optimizer.step(grad(loss, optimizer.params))
            if self.clip is not None:
                clip_weights(optimizer.params, self.clip)
        return {"d_loss": loss.detach(), **results}

    def generator_turn(self, state: State, batch: Batch) -> Losses:
        """The generator moves, through the discriminator as it stands."""
        with random.using(self.stream("generator").at(batch.turn)):
            fake_scores = self.discriminator(self.generator(self._noise(batch)))
            if self.loss.compares:
                with no_grad():
                    real_scores = self.discriminator(batch.real)
                loss = self.loss.generator(fake_scores, real_scores)
            else:
                loss = self.loss.generator(fake_scores)
            optimizer = self.optimizers["generator"]
            optimizer.step(grad(loss, optimizer.params))
        if self.ema is not None:
            self.ema.update()
        return {"g_loss": loss.detach()}

    def sample(self, n: int, *, stream: str = "samples", at: int = 0) -> Tensor:
        """What `generate` makes of n points of noise, the same ones each time."""
        return self.generate(self.latent(n, self.stream(stream).at(at)))

    def generate(self, z: Tensor) -> Tensor:
        """The generator's samples (n, ...) for noise z (n, dim): of its averaged weights, if it has them.

        Batch normalisation uses its running statistics, so that a sample does not depend on its neighbours.
        """
        generator, was_training = self.generator, self.generator.training
        averaged = {} if self.ema is None else self.ema.parameters()
        try:
            with no_grad():
                return functional_call(generator.eval(), averaged, z.to(self.step.device))
        finally:
            generator.train(was_training)

    def _noise(self, batch: Batch) -> Tensor:
        return self.latent(len(batch.real), self.stream("noise").at(batch.noise)).to(batch.real.device)

    def _shown(self, scores: Tensor) -> Tensor:
        """The mean score, as a probability where scores are logits."""
        with no_grad():
            return ops.mean(ops.sigmoid(scores) if self.loss.logistic else scores)
