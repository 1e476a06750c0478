"""What each player minimises, as functions of the critic's scores: each is the paper's formula, one line a player.

Scores are raw (logits): r for real samples, f for fakes, any shape. Every result is a 0-d tensor.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..ops import mean, relu, softplus, square
from ..tensor import Tensor


@dataclass(frozen=True)
class Loss:
    """A pair of objectives: discriminator(real, fake) and generator(fake, real=None), both to be minimised."""

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    logistic: bool  # are scores logits of "this is real", so that sigmoid(score) is a probability?


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return mean(softplus(-real)) + mean(softplus(fake))


minimax = Loss(
    "minimax",
    _logistic_discriminator,
    lambda fake, real=None: -mean(softplus(fake)),
    logistic=True,
)
"""D: -E ln s(r) - E ln(1 - s(f)); G: E ln(1 - s(f)), s the logistic function (Goodfellow et al. 2014)."""

nonsaturating = Loss(
    "nonsaturating",
    _logistic_discriminator,
    lambda fake, real=None: mean(softplus(-fake)),
    logistic=True,
)
"""D as in minimax; G: -E ln s(f), whose gradient does not vanish when D wins (Goodfellow et al. 2014)."""

lsgan = Loss(
    "lsgan",
    lambda real, fake: 0.5 * mean(square(real - 1)) + 0.5 * mean(square(fake)),
    lambda fake, real=None: 0.5 * mean(square(fake - 1)),
    logistic=False,
)
"""D: E (r - 1)^2 / 2 + E f^2 / 2; G: E (f - 1)^2 / 2 (Mao et al. 2017)."""

wasserstein = Loss(
    "wasserstein",
    lambda real, fake: mean(fake) - mean(real),
    lambda fake, real=None: -mean(fake),
    logistic=False,
)
"""D: E f - E r, with D held near 1-Lipschitz by a penalty or by clipping; G: -E f (Arjovsky et al. 2017)."""

hinge = Loss(
    "hinge",
    lambda real, fake: mean(relu(1 - real)) + mean(relu(1 + fake)),
    lambda fake, real=None: -mean(fake),
    logistic=False,
)
"""D: E max(0, 1 - r) + E max(0, 1 + f); G: -E f (Lim and Ye 2017, Miyato et al. 2018)."""

LOSSES = {loss.name: loss for loss in (minimax, nonsaturating, lsgan, wasserstein, hinge)}
"""Every loss by name."""
