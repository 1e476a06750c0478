"""CycleGAN (Zhu et al. 2017), and with other parts DiscoGAN and DualGAN: translators between two domains, no pairs."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from ...errors import ShapeError
from ...nn import Module
from ...nn.checks import not_negative
from ...tensor import Tensor, full
from ..dynamics import Pool
from ..game import Batch, Losses, State
from ..losses import Loss, lsgan
from .base import all_scores_move
from .distances import Distance, l1
from .two_way import Shape, TwoWay


class CycleGAN(TwoWay):
    """G makes targets of sources, F sources of targets; a discriminator of each domain scores what is made for it.

    Both translators minimise, in one step, of sources x and targets y

        adversarial (L(D_y(G(x))) + L(D_x(F(y)))) + cycle (E |F(G(x)) - x| + E |G(F(y)) - y|)
            + identity (E |G(y) - y| + E |F(x) - x|)

    then both discriminators `d_weight` times their losses, of y and G(x), by the toss of a coin exchanged for an
    earlier one out of a pool, and likewise of x. lsgan has its 1/2, so that adversarial 2 and d_weight 1 are the
    paper's 1 and 1/2.

    `shape` is that of a target, `source_shape` that of a source if it is another, where `identity` has to be 0. The
    pool holds `pool` fakes, none if that is 0. `distance` is `l1`, or `l2` as in DiscoGAN (Kim et al. 2017); DualGAN
    (Yi et al. 2017) is this with `wasserstein` and a penalty, where the paper clips weights and moves critics several
    times for each step of the translators.
    """

    def __init__(
        self,
        generator: Module,
        inverse: Module,
        discriminator: Module,
        source_discriminator: Module,
        *,
        loss: Loss = lsgan,
        adversarial: float = 2.0,
        cycle: float = 10.0,
        identity: float = 5.0,
        d_weight: float = 1.0,
        distance: Distance = l1,
        penalty: Callable[..., Tensor] | None = None,
        penalty_weight: float = 10.0,
        pool: int = 50,
        shape: Shape = (3, 32, 32),
        source_shape: Shape | None = None,
        **parts: Any,
    ) -> None:
        weights = {"adversarial": adversarial, "cycle": cycle, "identity": identity, "d_weight": d_weight}
        not_negative("CycleGAN", **weights, penalty_weight=penalty_weight)
        source_shape = shape if source_shape is None else source_shape
        if identity and shape != source_shape:
            raise ShapeError(f"CycleGAN: identity is for domains of one shape, got {source_shape} and {shape}")
        self.generator, self.distance = generator, distance
        self.adversarial, self.cycle, self.identity, self.d_weight = adversarial, cycle, identity, d_weight
        self.penalty, self.penalty_weight = penalty, penalty_weight
        super().__init__(generator, inverse, discriminator, source_discriminator, loss=loss, shape=shape, **parts)
        self.pools: dict[str, Pool] = {}
        if pool:
            weight = generator.parameters()[0]
            for name, each in (("pool", shape), ("source_pool", source_shape)):
                self.pools[name] = Pool(pool, full((1, *each), 0.0, weight.dtype, weight.device))

    @property
    def state(self) -> State:
        """Every tensor of the game by name, earlier fakes among them."""
        return super().state | dict(chain.from_iterable(p.state_dict(f"{n}.").items() for n, p in self.pools.items()))

    def couples(self) -> list[str]:
        """The pools too, which a part of the batch would find with fakes of other parts."""
        return [*super().couples(), *(["earlier fakes"] if self.pools else [])]

    def players_turn(self, batch: Batch) -> Losses:
        """Both translators move, then both discriminators."""
        x, y = self.sides(batch)
        fake_y, fake_x = self.generator(x), self.inverse(y)
        of_scores = self.of_scores(fake_y, fake_x)
        back = self.distance(self.inverse(fake_y), x) + self.distance(self.generator(fake_x), y)
        g_loss = self.adversarial * of_scores + self.cycle * back
        shown: Losses = {"g_loss": of_scores.detach(), "cycle": back.detach()}
        if self.identity:
            same = self.distance(self.generator(y), y) + self.distance(self.inverse(x), x)
            g_loss = g_loss + self.identity * same
            shown["identity"] = same.detach()
        for name, term in self.further_terms(batch, (x, y), (fake_y, fake_x)).items():
            g_loss = g_loss + term
            shown[name] = term.detach()
        self.optimizers["translators"].minimize(g_loss)
        self.average()
        return shown | self.discriminators_move(batch, (y, fake_y.detach()), (x, fake_x.detach()))

    def further_terms(self, batch: Batch, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> Losses:
        """What else the translators minimise, by name, of (x, y) and (G(x), F(y)): nothing."""
        return {}

    def discriminators_move(
        self, batch: Batch, targets: tuple[Tensor, Tensor], sources: tuple[Tensor, Tensor]
    ) -> Losses:
        """A step of both, of real images and of fakes out of the pools."""
        sides = {
            "": ("pool", self.discriminator, *targets),
            "source": ("source_pool", self.source_discriminator, *sources),
        }
        scores: dict[str, tuple[Tensor, Tensor]] = {}
        penalties: list[Tensor] = []
        for name, (pool, critic, real, fake) in sides.items():
            earlier = self.pools[pool].mix(fake, batch.rng) if self.pools else fake
            scores[name] = critic(real), critic(earlier)
            if self.penalty is not None:
                penalties.append(self.penalty_weight * self.penalty(critic, real, earlier, rng=batch.rng))
        return all_scores_move(self.optimizers["discriminators"], self.loss, scores, self.d_weight, penalties)
