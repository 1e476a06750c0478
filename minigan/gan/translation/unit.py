"""UNIT (Liu et al. 2017): translators between two domains without pairs, by a code that both share."""

from typing import Any

from ... import ops
from ...errors import ShapeError, brief
from ...nn import Module, Sequential
from ...nn.checks import not_negative
from ...random import Stream
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, lsgan
from .distances import l1
from .two_way import TwoWay


class UNIT(TwoWay):
    """G makes targets of sources, F sources of targets; each is an encoder and a decoder, by a code that both share.

    The code of an image x is N(E(x), 1). It is drawn again as itself, and through the other domain and back. Of sources
    x and targets y, with codes e, E_x being in G and E_y in F, both translators minimise, in one step,

        adversarial (L(D_y(G(x))) + L(D_x(F(y)))) + reconstruction (E |x' - x| + E |y' - y|)
            + kl (E e_x^2 + E e_y^2) + cycle (E |F(G(x)) - x| + E |G(F(y)) - y|) + cycle_kl (E e_G(x)^2 + E e_F(y)^2)

    then both discriminators their losses. The means of squares are over numbers of codes, twice their divergence from
    N(0, 1) but for a constant. Weights are those of the authors' later program (adversarial 1, the rest 10 and 0.01;
    lsgan has its 1/2). `models.unit_translators` makes translators that share weights next to the code.
    """

    inverse: Sequential

    def __init__(
        self,
        generator: Sequential,
        inverse: Sequential,
        discriminator: Module,
        source_discriminator: Module,
        *,
        loss: Loss = lsgan,
        adversarial: float = 2.0,
        reconstruction: float = 10.0,
        kl: float = 0.01,
        cycle: float = 10.0,
        cycle_kl: float = 0.01,
        **parts: Any,
    ) -> None:
        weights = {"adversarial": adversarial, "reconstruction": reconstruction, "cycle": cycle}
        not_negative("UNIT", **weights, kl=kl, cycle_kl=cycle_kl)
        for name, each in (("generator", generator), ("inverse", inverse)):
            if not isinstance(each, Sequential) or len(each) != 2:
                raise ShapeError(
                    f"UNIT: expected a Sequential of an encoder and a decoder as {name}, got {brief(each)}"
                )
        self.generator = generator
        self.adversarial, self.reconstruction, self.kl = adversarial, reconstruction, kl
        self.cycle, self.cycle_kl = cycle, cycle_kl
        super().__init__(generator, inverse, discriminator, source_discriminator, loss=loss, **parts)

    def players_turn(self, batch: Batch) -> Losses:
        """Both translators move, then both discriminators."""
        x, y = self.sides(batch)
        (read_x, draw_y), (read_y, draw_x) = self.generator, self.inverse
        means = read_x(x), read_y(y)
        code_x, code_y = (_drawn(mean, batch.rng) for mean in means)
        again = l1(draw_x(code_x), x) + l1(draw_y(code_y), y)
        fake_y, fake_x = draw_y(code_x), draw_x(code_y)
        of_scores = self.of_scores(fake_y, fake_x)
        means_back = read_y(fake_y), read_x(fake_x)
        back_x, back_y = (_drawn(mean, batch.rng) for mean in means_back)
        back = l1(draw_x(back_x), x) + l1(draw_y(back_y), y)
        spread, spread_back = _squares(means), _squares(means_back)
        self.optimizers["translators"].minimize(
            self.adversarial * of_scores
            + self.reconstruction * again
            + self.kl * spread
            + self.cycle * back
            + self.cycle_kl * spread_back
        )
        self.average()
        found = {"g_loss": of_scores, "reconstruction": again, "kl": spread, "cycle": back}
        shown = self.discriminators_move(batch, (y, fake_y), (x, fake_x))
        return shown | {name: value.detach() for name, value in found.items()}


def _drawn(mean: Tensor, rng: Stream) -> Tensor:
    """N(mean, 1)."""
    return mean + Tensor(rng.normal(mean.shape, dtype=mean.dtype, device=mean.device))


def _squares(means: tuple[Tensor, Tensor]) -> Tensor:
    return ops.mean_of(means[0], ops.square) + ops.mean_of(means[1], ops.square)
