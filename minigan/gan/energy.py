"""Games with an autoencoder as discriminator: its score is an energy, low for what it can reconstruct."""

from typing import Any

from .. import ops
from ..errors import ShapeError
from ..models.energy import Autoencoder
from ..nn import Module
from ..nn.checks import not_negative, number
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full
from .game import Batch, Losses, State, Turn
from .losses import Loss
from .objectives import Critic, Sides
from .score import ScoreGame


def margin_loss(margin: float) -> Loss:
    """D: E e(x) + E max(0, margin - e(G(z))); G: E e(G(z)), e the energies (Zhao et al. 2017)."""
    margin = number("margin_loss: margin", margin, above=0)
    return Loss(
        "margin",
        lambda real, fake: ops.mean(real) + ops.mean(ops.relu(margin - fake)),
        ops.mean,
        lower=True,
    )


def pulling_away(codes: Tensor, eps: float = 1e-12) -> Tensor:
    """The mean squared cosine between the codes (N, F) of different samples, in [0, 1]: small where a batch is varied.

    Zhao et al. 2017, section 2.4. A 0-d tensor; ShapeError unless there are two samples. Several processes compare
    everybody's codes.
    """
    codes = ops.all_gather(codes)
    if codes.ndim != 2 or len(codes) < 2:
        raise ShapeError(f"pulling_away: expected codes (N, F) of at least two samples, got {codes.shape}")
    n = len(codes)
    unit = codes * ops.rsqrt(ops.sum(ops.square(codes), 1, keepdims=True) + eps)
    cosines = ops.square(ops.linear(unit, unit))
    itself = ops.sum(ops.square(ops.sum(ops.square(unit), 1)))  # the diagonal, each 1 but for eps
    return (ops.sum(cosines) - itself) / (n * (n - 1))


class EBGAN(ScoreGame):
    """Zhao et al. 2017: fakes are pushed up to an energy of `margin`, no further; the generator seeks low energies.

    `pull_away` times the pulling-away term of its samples' codes is added to the generator's loss (EBGAN-PT). The rest
    is ScoreGame's.
    """

    discriminator: Autoencoder

    def __init__(
        self,
        generator: Module,
        discriminator: Autoencoder,
        *,
        margin: float = 10.0,
        pull_away: float = 0.1,
        **rest: Any,
    ) -> None:
        not_negative("EBGAN", pull_away=pull_away)
        self.pull_away = pull_away
        super().__init__(generator, discriminator, loss=margin_loss(margin), **rest)
        if pull_away and any(turn.name == "one_pass_turn" for turn in self.schedule):
            raise ShapeError(
                f"EBGAN: pull_away {pull_away} adds to the generator's loss beside scores: no one_pass_turn"
            )

    def couples(self) -> list[str]:
        """The pulling-away term too."""
        return [*super().couples(), *(["pull_away"] if self.pull_away else [])]

    def _generator_loss(self, critic: Critic, sides: Sides, rng: Stream, critic_moves: bool) -> Tensor:
        loss = super()._generator_loss(critic, sides, rng, critic_moves)
        return loss + self.pull_away * pulling_away(self.discriminator.encoder(sides.fake)) if self.pull_away else loss


class BEGAN(ScoreGame):
    """Berthelot et al. 2017: D minimises L(x) - k L(G(z)), G minimises L(G(z)), and k keeps L(G(z)) near gamma L(x).

    Both move at once, from the same noise; then k moves by proportion * (gamma L(x) - L(G(z))), limited to [0, 1]. L is
    the mean energy of a batch. `k` is a 0-d Tensor, 0 at first, and part of the state. gamma, in [0, 1], trades the
    diversity of samples (high) for their sharpness. The log has k and the measure of convergence
    M = L(x) + |gamma L(x) - L(G(z))|. The rest is ScoreGame's.
    """

    def __init__(
        self, generator: Module, discriminator: Module, *, gamma: float = 0.5, proportion: float = 1e-3, **rest: Any
    ) -> None:
        self.gamma = number("BEGAN: gamma", gamma, least=0, most=1)
        self.proportion = number("BEGAN: proportion", proportion, least=0)
        weight = discriminator.parameters()[0]
        self.k = full((), 0.0, weight.dtype, weight.device)
        loss = Loss(
            "began",
            lambda real, fake: ops.mean(real) - self.k.detach() * ops.mean(fake),
            ops.mean,
            lower=True,
        )
        super().__init__(generator, discriminator, loss=loss, schedule=[Turn("simultaneous_turn")], **rest)

    def couples(self) -> list[str]:
        """The balance k too, which moves after each turn."""
        return [*super().couples(), "the balance of BEGAN"]

    @property
    def state(self) -> State:
        """Every tensor of the game by name, k among them."""
        return super().state | {"k": self.k}

    def simultaneous_turn(self, batch: Batch) -> Losses:
        """Both players move, then the balance between them."""
        found = super().simultaneous_turn(batch)
        with no_grad():
            imbalance = ops.all_mean(self.gamma * found["d_real"] - found["d_fake"])
            k = ops.clip(self.k + self.proportion * imbalance, 0.0, 1.0)
            self.k.copy_(k, by="BEGAN")
            return found | {"k": k, "convergence": found["d_real"] + ops.absolute(imbalance)}
