"""CycleGAN (Zhu et al. 2017), and with other parts DiscoGAN and DualGAN: translators between two domains, no pairs."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from ...errors import ShapeError
from ...nn import Module
from ...nn.checks import not_negative
from ...optim import Optimizer
from ...tensor import Tensor, full
from ..dynamics import Pool
from ..game import Batch, Losses, State
from ..latents import Latent, SourceImages
from ..losses import Loss, lsgan
from .base import Translation
from .distances import Distance, l1

Shape = tuple[int, int, int]  # of an image: channels, height, width


class CycleGAN(Translation):
    """G makes targets of sources, F sources of targets; a discriminator of each domain scores what is made for it.

    Both translators minimise, in one step, of sources x and targets y

        adversarial (L(D_y(G(x))) + L(D_x(F(y)))) + cycle (E |F(G(x)) - x| + E |G(F(y)) - y|)
            + identity (E |G(y) - y| + E |F(x) - x|)

    then both discriminators `d_weight` times their losses, of y and an earlier G(x) out of a pool, by the toss of a
    coin, and likewise of x. lsgan has its 1/2, so that adversarial 2 and d_weight 1 are the paper's 1 and 1/2.

    `shape` is that of a target, `source_shape` that of a source if it is another, where `identity` has to be 0. The
    pool holds `pool` fakes, none if that is 0. `distance` is `l1`, or `l2` as in DiscoGAN (Kim et al. 2017); DualGAN
    (Yi et al. 2017) is this with `wasserstein` and a penalty.
    """

    def __init__(
        self,
        generator: Module,
        inverse: Module,
        discriminator: Module,
        source_discriminator: Module,
        *,
        translators_optimizer: Optimizer,
        discriminators_optimizer: Optimizer,
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
        if loss.compares:
            raise ShapeError(f"CycleGAN: {loss.name} compares fakes with real samples, and here a pool mixes them")
        self.generator, self.inverse = generator, inverse
        self.discriminator, self.source_discriminator = discriminator, source_discriminator
        self.loss, self.distance, self.shape = loss, distance, shape
        self.adversarial, self.cycle, self.identity, self.d_weight = adversarial, cycle, identity, d_weight
        self.penalty, self.penalty_weight = penalty, penalty_weight
        names = "generator", "inverse", "discriminator", "source_discriminator"
        super().__init__(
            dict(zip(names, (generator, inverse, discriminator, source_discriminator), strict=True)),
            {"translators": translators_optimizer, "discriminators": discriminators_optimizer},
            **parts,
        )
        self.pools: dict[str, Pool] = {}
        if pool:
            weight = generator.parameters()[0]
            for name, each in (("pool", shape), ("source_pool", source_shape)):
                self.pools[name] = Pool(pool, full((1, *each), 0.0, weight.dtype, weight.device))

    @property
    def state(self) -> State:
        """Every tensor of the game by name, earlier fakes among them."""
        return super().state | dict(chain.from_iterable(p.state_dict(f"{n}.").items() for n, p in self.pools.items()))

    def players_turn(self, batch: Batch) -> Losses:
        """Both translators move, then both discriminators."""
        x, y = self.sides(batch)
        fake_y, fake_x = self.generator(x), self.inverse(y)
        of_scores = self.loss.generator(self.discriminator(fake_y))
        of_scores = of_scores + self.loss.generator(self.source_discriminator(fake_x))
        back = self.distance(self.inverse(fake_y), x) + self.distance(self.generator(fake_x), y)
        g_loss = self.adversarial * of_scores + self.cycle * back
        shown: Losses = {"g_loss": of_scores.detach(), "cycle": back.detach()}
        if self.identity:
            same = self.distance(self.generator(y), y) + self.distance(self.inverse(x), x)
            g_loss = g_loss + self.identity * same
            shown["identity"] = same.detach()
        self.optimizers["translators"].minimize(g_loss)
        self.average()
        return shown | self._discriminators_move(batch, (y, fake_y.detach()), (x, fake_x.detach()))

    def _discriminators_move(
        self, batch: Batch, targets: tuple[Tensor, Tensor], sources: tuple[Tensor, Tensor]
    ) -> Losses:
        sides = {"pool": (self.discriminator, *targets), "source_pool": (self.source_discriminator, *sources)}
        losses: list[Tensor] = []
        scores: list[tuple[Tensor, Tensor]] = []
        for name, (critic, real, fake) in sides.items():
            earlier = self.pools[name].mix(fake, batch.rng) if self.pools else fake
            scores.append((critic(real), critic(earlier)))
            loss = self.d_weight * self.loss.discriminator(*scores[-1])
            if self.penalty is not None:
                loss = loss + self.penalty_weight * self.penalty(critic, real, earlier, rng=batch.rng)
            losses.append(loss)
        d_loss = losses[0] + losses[1]
        self.optimizers["discriminators"].minimize(d_loss)
        real, fake = map(self.loss.shown, scores[0])
        return {"d_loss": d_loss.detach(), "d_real": real, "d_fake": fake}

    def further_networks(self) -> dict[str, tuple[Module, Latent]]:
        """The way back."""
        return {"inverse": (self.inverse, SourceImages(*self.shape))}

    def translate_back(self, images: Tensor) -> Tensor:
        """F(y) of targets."""
        return self.translated(self.inverse, images)
