"""What keeps a critic smooth: penalties on its gradient at samples, and the constraint of clipped weights.

A penalty is NAME(critic, real, fake, *, rng=None, eps=...) -> an unweighted 0-d tensor, differentiable with
respect to the critic's parameters: its gradient runs back through the backward pass of the critic. Norms are
taken per sample, over everything but the first axis. A critic with batch normalisation has no gradient per
sample, so its penalty means something else; LayerNorm has one (Gulrajani et al. 2017, section 4).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from .. import random
from ..backend import Array, xp
from ..errors import DTypeError, ShapeError, described
from ..grad import all_tensors, grad
from ..kernels.calls import done
from ..nn.checks import not_negative, number
from ..ops import all_sum, batch_var, full_like, lengths, mean, mean_of, relu, reshape, sqrt, square, sum, where
from ..random import Stream
from ..tensor import Tensor, as_tensor

Critic = Callable[[Tensor], Tensor]  # samples to scores


PENALTIES: dict[str, Callable[..., Tensor]] = {}
"""Every penalty by name."""

P = TypeVar("P", bound=Callable[..., Tensor])


def listed(penalty: P) -> P:
    """`penalty`, which PENALTIES has from now on; its samples may be what `as_tensor` takes.

    DTypeError for anything else, and for a critic that cannot be called.
    """
    name = penalty.__name__

    @functools.wraps(penalty)
    def of_samples(critic: Any, real: Any, fake: Any, **options: Any) -> Tensor:
        if not callable(critic):
            raise DTypeError(f"{name}: expected critic, real and fake samples, got {described(critic)} as the critic")
        return penalty(critic, as_tensor(real, name), as_tensor(fake, name), **options)

    PENALTIES[name] = of_samples
    return cast(P, of_samples)


def input_gradient(critic: Critic, x: Tensor) -> Tensor:
    """d critic(x) / dx for each sample, (N, features): recorded, so that it can be differentiated again."""
    slope = _slope(critic, x)
    return reshape(slope, (len(slope), -1))


def _slope(critic: Critic, x: Tensor) -> Tensor:
    """d critic(x) / dx for each sample, of the shape of x: recorded. Several scores of a sample count by their mean."""
    x = x.detach()
    scores = as_tensor(critic(x), "a critic's scores")
    each = max(scores.size // max(len(x), 1), 1)
    return grad(scores, x, full_like(scores, 1 / each), create_graph=True)


@listed
def gradient_penalty(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    *,
    rng: Stream | None = None,
    eps: float = 1e-12,
    target: float = 1.0,
) -> Tensor:
    """E (|grad critic(x)| - target)^2 at x = real + u (fake - real), u ~ U[0, 1) per sample (Gulrajani et al. 2017).

    The norm is sqrt(sum g^2 + eps): differentiable where the gradient is zero. Two-sided: a gradient that is
    too short is pulled up as one that is too long is pushed down.
    """
    name = "gradient_penalty"
    return mean_of(_norms(name, _slopes_between(name, critic, real, fake, rng), eps), square, 1, -target)


@listed
def one_sided(
    critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 1e-12, target: float = 1.0
) -> Tensor:
    """E max(0, |grad critic(x)| - target)^2 at the same x: only slopes that are too steep cost (Petzka et al. 2018)."""
    name = "one_sided"
    return mean_of(relu(_norms(name, _slopes_between(name, critic, real, fake, rng), eps) - target), square)


@listed
def wgan_div(
    critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 0.0, p: float = 6.0
) -> Tensor:
    """E (|grad critic(x)|^2 + eps)^(p/2) at the same x; the paper takes p = 6 with weight 2 (Wu et al. 2018)."""
    p = number("wgan_div: p", p, above=0)
    squares = _squares(_slopes_between("wgan_div", critic, real, fake, rng))
    if p % 2 == 0:
        return mean((squares + eps) ** (p / 2))
    return mean(_of_squares("wgan_div", lambda s: s ** (p / 2), squares, eps))


def _slopes_between(name: str, critic: Critic, real: Tensor, fake: Tensor, rng: Stream | None) -> Tensor:
    """grad critic(x) of each sample at x = real + u (fake - real), u ~ U[0, 1): of the shape of x."""
    if real.shape != fake.shape:
        raise ShapeError(f"{name}: real samples are {real.shape}, fakes {fake.shape}")
    u = (rng or random.default()).uniform((len(real),) + (1,) * (real.ndim - 1), dtype=real.dtype, device=real.device)
    return _slope(critic, real + Tensor(u) * (fake.detach() - real))


def _squares(slopes: Tensor) -> Tensor:
    """The sum of the squares of each sample: (N,)."""
    return sum(square(slopes), range(1, slopes.ndim))


def _norms(name: str, slopes: Tensor, eps: float) -> Tensor:
    """sqrt(sum of squares + eps) of each sample: (N,)."""
    not_negative(name, eps=eps)
    return lengths(slopes, eps) if eps else _of_squares(name, sqrt, _squares(slopes), eps)


@listed
def dragan(critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 1e-12) -> Tensor:
    """E (|grad critic(x)| - 1)^2 at x = real + std(real) u / 2, u ~ U[0, 1) per element (Kodali et al. 2017)."""
    u = (rng or random.default()).uniform(real.shape, dtype=real.dtype, device=real.device)
    around = real + Tensor(u) * (0.5 * sqrt(batch_var(real)))
    return mean_of(_norms("dragan", _slope(critic, around), eps), square, 1, -1)


@listed
def r1(critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 0.0) -> Tensor:
    """E |grad critic(real)|^2 (+ eps) (Mescheder et al. 2018): there is no root, so eps is not needed."""
    return eps + mean(_squares(_slope(critic, real)))


@listed
def r2(critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 0.0) -> Tensor:
    """E |grad critic(fake)|^2 (+ eps) (Mescheder et al. 2018): there is no root, so eps is not needed."""
    return eps + mean(_squares(_slope(critic, fake)))


@listed
def r1_r2(critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 0.0) -> Tensor:
    """r1 + r2, which a relativistic loss needs both of (R3GAN: Huang et al. 2024)."""
    return r1(critic, real, fake, eps=eps) + r2(critic, real, fake, eps=eps)


@listed
def approximated_r1(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    *,
    rng: Stream | None = None,
    eps: float = 0.0,
    sigma: float = 0.01,
) -> Tensor:
    """E (critic(real + sigma e) - critic(real))^2 / sigma^2 (+ eps), e ~ N(0, 1) per element (Lin et al. 2025).

    For a small sigma that is r1, as E (e . g)^2 = |g|^2, of two more passes of the critic and no gradient of a
    gradient, which it is for where that cannot be had: here r1 costs no more. Lin et al. leave the division by sigma^2
    to the weight.
    """
    return eps + _jitter("approximated_r1", critic, real, rng, sigma)


@listed
def approximated_r2(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    *,
    rng: Stream | None = None,
    eps: float = 0.0,
    sigma: float = 0.01,
) -> Tensor:
    """Likewise of fakes: E (critic(fake + sigma e) - critic(fake))^2 / sigma^2 (+ eps) (Lin et al. 2025)."""
    return eps + _jitter("approximated_r2", critic, fake, rng, sigma)


@listed
def approximated_r1_r2(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    *,
    rng: Stream | None = None,
    eps: float = 0.0,
    sigma: float = 0.01,
) -> Tensor:
    """approximated_r1 + approximated_r2, which stand for r1_r2."""
    both: dict[str, Any] = {"rng": rng, "eps": eps, "sigma": sigma}
    return approximated_r1(critic, real, fake, **both) + approximated_r2(critic, real, fake, **both)


def _jitter(name: str, critic: Critic, x: Tensor, rng: Stream | None, sigma: float) -> Tensor:
    """E ((critic(x + sigma e) - critic(x)) / sigma)^2, several scores of a sample by their mean: a 0-d tensor."""
    sigma = number(f"{name}: sigma", sigma, above=0)
    x = x.detach()
    e = Tensor((rng or random.default()).normal(x.shape, dtype=x.dtype, device=x.device))
    apart = as_tensor(critic(x + sigma * e), "a critic's scores") - as_tensor(critic(x), "a critic's scores")
    return mean(square(mean(apart, range(1, apart.ndim)) * (1 / sigma)))


@listed
def cs231n_printed(
    critic: Critic, real: Tensor, fake: Tensor, *, rng: Stream | None = None, eps: float = 1e-12
) -> Tensor:
    """The penalty as a solution of CS231n's assignment prints it, to be compared with `gradient_penalty`.

    (|g| - 1)^2 at x = real' + u (fake - real'), with three mistakes: one u for the whole batch, one norm |g| over the
    gradients of all samples, and real' = (real + 1) / 2, images in [0, 1] mixed with fakes in [-1, 1].
    """
    u = Tensor((rng or random.default()).uniform((), dtype=real.dtype, device=real.device))
    unscaled = (real + 1) * 0.5
    slopes = input_gradient(critic, unscaled + u * (fake.detach() - unscaled))
    return square(_of_squares("cs231n_printed", sqrt, all_sum(sum(square(slopes))), eps) - 1)


COUPLING = {"dragan", "cs231n_printed"}
"""Penalties in which a sample's share depends on the others of its batch."""


def _of_squares(name: str, power: Callable[[Tensor], Tensor], squares: Tensor, eps: float) -> Tensor:
    """power(squares + eps), for a power that is not smooth at 0: there it is 0, and so are its slopes of any order."""
    not_negative(name, eps=eps)
    if eps:
        return power(squares + eps)
    positive = squares > 0
    return where(positive, power(where(positive, squares, 1.0)), 0.0)


def clip_weights(params: Sequence[Tensor], limit: float) -> None:
    """Limit every element of `params` to [-limit, limit], in place: WGAN's constraint (Arjovsky et al. 2017)."""
    if not limit > 0:
        raise ShapeError(f"clip_weights: expected a limit > 0, got {limit}")
    for p in all_tensors(params, "clip_weights", "parameters"):
        p.check_writable("clip_weights")
        done(_clip, p.data, limit)
        p.written("clip_weights")


def limit_lengths(params: Sequence[Tensor], limit: float) -> None:
    """Shorten each unit's vector of incoming weights to `limit` where it is longer, in place; biases stay as they are.

    A unit's weights are the slice along the first axis, as in Linear and Conv2d (max-norm, Srivastava et al. 2014).
    """
    if not limit > 0:
        raise ShapeError(f"limit_lengths: expected a limit > 0, got {limit}")
    for p in all_tensors(params, "limit_lengths", "parameters"):
        if p.ndim < 2:
            continue
        p.check_writable("limit_lengths")
        done(_shorten, p.data, limit)
        p.written("limit_lengths")


def _clip(p: Array, limit: float) -> None:
    xp(p).clip(p, -limit, limit, out=p)


def _shorten(p: Array, limit: float) -> None:
    norms = xp(p).sqrt((p * p).sum(tuple(range(1, p.ndim)), keepdims=True))
    p *= limit / xp(p).maximum(norms, limit)
