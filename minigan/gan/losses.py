"""What each player minimises, as functions of the critic's scores: each is the paper's formula, one line a player.

Scores are raw (logits): r for real samples, f for fakes, any shape. Every result is a 0-d tensor. In code
mean_of(v, function, a, b) is E function(a v + b).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .. import random
from ..backend import Array
from ..errors import ShapeError
from ..kernels.calls import made
from ..ops import (
    batch_logsumexp,
    batch_mean,
    concatenate,
    exp,
    mean,
    mean_of,
    relu,
    reshape,
    sigmoid,
    softplus,
    square,
    tanh,
)
from ..recording import no_grad
from ..tensor import Tensor, as_tensor


@dataclass(frozen=True)
class Loss:
    """A pair of objectives: discriminator(real, fake) and generator(fake, real=None), both to be minimised."""

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    of_fakes: Callable[..., Tensor]  # the generator's, of the scores it needs
    logistic: bool = False  # are scores logits of "this is real", so that sigmoid(score) is a probability?
    compares: bool = False  # does the generator's objective need the scores of real samples too?
    zero_sum: bool = False  # is of_fakes minus the discriminator's, without what real scores alone decide?
    couples: bool = False  # does a score's share of an objective depend on the others'?
    unbounded: bool = False  # does the discriminator's fall for ever as scores grow, unless its slopes are limited?
    lower: bool = False  # have real samples the lower scores, as energies are?
    monotone: bool = True  # does the generator's objective fall with each score of a fake, or rise, all the way?
    undecided: float | None = None  # the score that is neither real nor fake, None if scores have no fixed level

    def shown(self, scores: Tensor) -> Tensor:
        """The mean score as a log shows it, without a graph: a probability where scores are logits."""
        with no_grad():
            return mean_of(scores, sigmoid) if self.logistic else mean(scores)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What the generator minimises; ShapeError if it needs real scores too, and there are none."""
        if not self.compares:
            return self.of_fakes(fake)
        if real is None:
            raise ShapeError(f"{self.name}: the generator's loss compares with the scores of real samples, got none")
        return self.of_fakes(fake, real)


LOSSES: dict[str, Loss] = {}
"""Every loss by name."""


def listed(name: str, discriminator: Callable, of_fakes: Callable, **facts: Any) -> Loss:
    """A loss that LOSSES has from now on."""
    LOSSES[name] = loss = Loss(name, _of_scores(name, discriminator), _of_scores(name, of_fakes), **facts)
    return loss


def _of_scores(name: str, objective: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`objective`, whose scores may be what `as_tensor` takes."""

    @functools.wraps(objective)
    def of_scores(*scores: Any, **named: Any) -> Tensor:
        return objective(*(as_tensor(s, name) for s in scores), **{k: as_tensor(s, name) for k, s in named.items()})

    return of_scores


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return mean_of(real, softplus, -1) + mean_of(fake, softplus)


minimax = listed(
    "minimax",
    _logistic_discriminator,
    lambda fake: -mean_of(fake, softplus),
    logistic=True,
    zero_sum=True,
    undecided=0.0,
)
"""D: -E ln s(r) - E ln(1 - s(f)); G: E ln(1 - s(f)), s the logistic function (Goodfellow et al. 2014)."""

nonsaturating = listed(
    "nonsaturating",
    _logistic_discriminator,
    lambda fake: mean_of(fake, softplus, -1),
    logistic=True,
    undecided=0.0,
)
"""D as in minimax; G: -E ln s(f), whose gradient does not vanish when D wins (Goodfellow et al. 2014)."""

lsgan = listed(
    "lsgan",
    lambda real, fake: 0.5 * mean_of(real, square, 1, -1) + 0.5 * mean_of(fake, square),
    lambda fake: 0.5 * mean_of(fake, square, 1, -1),
    monotone=False,
    undecided=0.5,
)
"""D: E (r - 1)^2 / 2 + E f^2 / 2; G: E (f - 1)^2 / 2 (Mao et al. 2017)."""

wasserstein = listed(
    "wasserstein",
    lambda real, fake: mean(fake) - mean(real),
    lambda fake: -mean(fake),
    unbounded=True,
    zero_sum=True,
)
"""D: E f - E r, with D held near 1-Lipschitz by a penalty or by clipping; G: -E f (Arjovsky et al. 2017)."""

lab_printed = listed(
    "lab_printed",
    lambda real, fake: mean(real) - mean(fake),
    lambda fake: mean(fake),
    logistic=True,
    unbounded=True,
    zero_sum=True,
    lower=True,
)
"""wasserstein with every sign turned, as a course's lab prints it: the same game, since a critic may turn its sign too.

The lab shows sigmoid(score) as an accuracy, and so does a log of this loss; but a critic's scores have no fixed zero,
so that number says nothing by itself.
"""

hinge = listed(
    "hinge",
    lambda real, fake: mean_of(real, relu, -1, 1) + mean_of(fake, relu, 1, 1),
    lambda fake: -mean(fake),
    undecided=0.0,
)
"""D: E max(0, 1 - r) + E max(0, 1 + f); G: -E f (Lim and Ye 2017, Miyato et al. 2018)."""

lsgan_signed = listed(
    "lsgan_signed",
    lambda real, fake: 0.5 * mean_of(real, square, 1, -1) + 0.5 * mean_of(fake, square, 1, 1),
    lambda fake: 0.5 * mean_of(fake, square),
    monotone=False,
    undecided=0.0,
)
"""lsgan with a = -1, b = 1, c = 0, which minimises the Pearson divergence (Mao et al. 2017, section 3.2)."""

likelihood = listed(
    "likelihood",
    _logistic_discriminator,
    lambda fake: -mean(exp(fake)),
    logistic=True,
    undecided=0.0,
)
"""D as in minimax; G: -E e^f, maximum likelihood while D is optimal (Goodfellow 2016, section 3.2.5)."""

boundary = listed(
    "boundary",
    _logistic_discriminator,
    lambda fake: 0.5 * mean_of(fake, square),
    logistic=True,
    monotone=False,
    undecided=0.0,
)
"""D as in minimax; G: E (ln D(f) - ln(1 - D(f)))^2 / 2 = E f^2 / 2: fakes on the boundary (Hjelm et al. 2018)."""


def _softmax_cross_entropy(target_mean: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """ln Z - target_mean, Z the sum of e^score over both batches."""
    return batch_logsumexp(concatenate([reshape(real, (-1,)), reshape(fake, (-1,))])) - target_mean


softmax = listed(
    "softmax",
    lambda real, fake: _softmax_cross_entropy(mean(real), real, fake),
    lambda fake, real: _softmax_cross_entropy(0.5 * (mean(real) + mean(fake)), real, fake),
    compares=True,
    couples=True,
)
"""Softmax over both batches; D: all mass on the real ones; G: spread evenly over both (Lin 2017)."""


def _told_from_all(real: Tensor, fake: Tensor) -> Tensor:
    """-E ln of the share of e^r in a real sample with all fakes, and of e^-f in a fake with all real samples."""
    of_real = mean_of(real - batch_logsumexp(fake), softplus, -1)
    return of_real + mean_of(fake + batch_logsumexp(-real), softplus)


dual_contrastive = listed(
    "dual_contrastive",
    _told_from_all,
    lambda fake, real: -_told_from_all(real, fake),
    compares=True,
    zero_sum=True,
    couples=True,
)
"""D: -E ln(e^r / (e^r + sum e^f)) - E ln(e^-f / (e^-f + sum e^-r)), each sum over the other batch; G: minus that.

Each sample is told from all of the other side at once, a real one from the fakes and a fake from the real ones
(Yu et al. 2021, equations 2 to 4).
"""

# --- relativistic: how much more real is the one than the other? -----------------------------------------------

relativistic = listed(
    "relativistic",
    lambda real, fake: mean_of(fake - real, softplus),
    lambda fake, real: mean_of(real - fake, softplus),
    compares=True,
)
"""D: E sp(-(r - f)); G: E sp(-(f - r)), sample by sample (Jolicoeur-Martineau 2019); R3GAN adds r1 and r2."""


def _of_averages(name: str, function: Callable[[Tensor], Tensor], shift: float, by: float) -> Loss:
    """Scores v less the mean of the other side: function(shift - v) where they are to lie above, else of shift + v."""

    def objective(upper: Tensor, lower: Tensor) -> Tensor:
        above = mean_of(upper - batch_mean(lower), function, -1, shift)
        return by * (above + mean_of(lower - batch_mean(upper), function, 1, shift))

    return listed(name, objective, objective, compares=True, couples=True)


relativistic_average = _of_averages("relativistic_average", softplus, 0, 0.5)
"""RaSGAN. D: (E sp(-(r - E f)) + E sp(f - E r)) / 2; G: the same with r and f exchanged."""

relativistic_average_lsgan = _of_averages("relativistic_average_lsgan", square, 1, 1.0)
"""RaLSGAN. D: E (r - E f - 1)^2 + E (f - E r + 1)^2; G: the same with r and f exchanged."""

relativistic_average_hinge = _of_averages("relativistic_average_hinge", relu, 1, 1.0)
"""RaHinge. D: E max(0, 1 - (r - E f)) + E max(0, 1 + f - E r); G: the same with r and f exchanged."""

# --- f-GAN: D: -E T(r) + E f*(T(f)), G: -E f*(T(f)) -------------------------------------------------------------
#
# For the divergence of f, T maps a score to the domain of its conjugate f* (Nowozin et al. 2016, tables 2 and 6).
# What is written here is T and the composition f*(T(v)), which is simpler than either alone. At its best T(v) is
# f'(p / q), and D's loss minus the divergence of p, the real samples, from q, the fakes.


def f_divergence(
    name: str,
    output: Callable[[Tensor], Tensor],
    conjugate: Callable[[Tensor], Tensor],
    make: Callable[..., Loss] = Loss,
    monotone: bool = True,
) -> Loss:
    """The pair of objectives for T = `output` and f*(T) = `conjugate`, both functions of the score."""
    return make(
        name,
        lambda real, fake: mean(conjugate(fake)) - mean(output(real)),
        lambda fake: -mean(conjugate(fake)),
        zero_sum=True,
        monotone=monotone,
    )


def alpha_divergence(alpha: float) -> Loss:
    """f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1)), alpha not 0 or 1; T(v) = f'(e^v), so that v estimates ln p/q."""
    if alpha in (0, 1) or not math.isfinite(alpha):
        raise ShapeError(f"alpha_divergence: alpha is finite, and neither 0 (reverse KL) nor 1 (KL), got {alpha}")
    return f_divergence(
        f"alpha_divergence({alpha})",
        lambda v: (exp((alpha - 1) * v) - 1) * (1 / (alpha - 1)),
        lambda v: (exp(alpha * v) - 1) * (1 / alpha),
    )


kl = f_divergence("kl", lambda v: v, lambda v: exp(v - 1), listed)
"""Kullback-Leibler, f(u) = u ln u."""

reverse_kl = f_divergence("reverse_kl", lambda v: -exp(-v), lambda v: v - 1, listed)
"""Reverse Kullback-Leibler, f(u) = -ln u."""

jensen_shannon = f_divergence(
    "jensen_shannon", lambda v: math.log(2) - softplus(-v), lambda v: softplus(v) - math.log(2), listed
)
"""Jensen-Shannon, f(u) = -(u + 1) ln((1 + u) / 2) + u ln u: minimax less 2 ln 2."""

pearson = f_divergence("pearson", lambda v: v, lambda v: 0.25 * square(v) + v, listed, False)
"""Pearson chi^2, f(u) = (u - 1)^2."""

neyman = f_divergence("neyman", lambda v: 1 - exp(-v), lambda v: 2 - 2 * exp(-0.5 * v), listed)
"""Neyman chi^2, f(u) = (1 - u)^2 / u."""

hellinger = f_divergence("hellinger", lambda v: 1 - exp(-v), lambda v: exp(v) - 1, listed)
"""Squared Hellinger, f(u) = (sqrt(u) - 1)^2."""

jeffrey = f_divergence("jeffrey", lambda v: v + 1 - exp(-v), lambda v: v + exp(v) - 1, listed)
"""Jeffrey, f(u) = (u - 1) ln u; T(v) = f'(e^v) instead of the paper's v, whose f* needs Lambert's function."""

total_variation = f_divergence("total_variation", lambda v: 0.5 * tanh(v), lambda v: 0.5 * tanh(v), listed)
"""Total variation, f(u) = |u - 1| / 2."""


def _below(x: Array, limit: float) -> Array:
    """1 where x < limit, else 0."""
    return (x < limit).astype(x.dtype)


def noisy_labels(loss: Loss, smooth: float = 1.0, flip: float = 0.0) -> Loss:
    """`loss`, a logistic one, with its discriminator told less than the truth; the generator's objective is unchanged.

    The target of a real sample is `smooth` instead of 1 (one-sided label smoothing, Salimans et al. 2016), and each
    label is the wrong one with probability `flip`: drawn from `random.default()`, which a game sets for each turn.
    ShapeError if the loss is not logistic or a number is not in [0, 1].
    """
    if not loss.logistic or not (0 <= smooth <= 1 and 0 <= flip <= 1):
        raise ShapeError(
            f"noisy_labels: expected a logistic loss and numbers in [0, 1], got {loss.name}, "
            f"smooth {smooth}, flip {flip}"
        )

    def cross_entropy(scores: Tensor, target: float, wrong: float) -> Tensor:
        scores = as_tensor(scores, loss.name)
        uniform = random.default().uniform(scores.shape, dtype=scores.dtype, device=scores.device)
        flipped = Tensor(made(_below, uniform, flip))
        return mean(softplus(scores) - (target + (wrong - target) * flipped) * scores)

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return cross_entropy(real, smooth, 0.0) + cross_entropy(fake, 0.0, smooth)

    return replace(loss, discriminator=discriminator, unbounded=False, zero_sum=False)


def random_margins(loss: Loss, low: float = 0.8) -> Loss:
    """`hinge` with margins that are drawn anew for each score, from U[low, 1), as FastGAN's program has it.

    D: E max(0, u - r) + E max(0, v + f); the generator's objective is unchanged. They are drawn from
    `random.default()`, which a game sets for each turn. ShapeError if the loss is another one, or low is not in [0, 1].
    """
    if loss.name != "hinge" or not 0 <= low <= 1:
        raise ShapeError(f"random_margins: expected hinge and a number in [0, 1], got {loss.name} and {low}")

    def beyond(scores: Tensor, sign: int) -> Tensor:
        scores = as_tensor(scores, loss.name)
        margins = random.default().uniform(scores.shape, low, 1.0, scores.dtype, scores.device)
        return mean(relu(Tensor(margins) + sign * scores))

    return replace(loss, discriminator=lambda real, fake: beyond(real, -1) + beyond(fake, 1))
