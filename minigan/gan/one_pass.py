"""Both players from one pass of the discriminator over the fakes.

D's backward pass over fakes x_i, whose scores are s_i = D(x_i), can be carried on to the fakes themselves. If D scores
each sample by itself, it arrives at x_i as a_i ds_i/dx_i, where a_i is the slope of D's loss at s_i. The generator's
gradient begins with b_i ds_i/dx_i, b_i the slope of its own loss there: the same, times b_i / a_i. So the generator
needs no pass of its own through D. For the non-saturating loss the factor is -sigmoid(-s) / sigmoid(s); for minimax and
Wasserstein, whose players want opposites, it is -1, the reversed gradient of Ganin and Lempitsky 2015.

Where a_i is 0, nothing arrives: a hinge loss is flat at a fake that D is sure of. D's pass then begins with eps^2 b_i
instead, eps the unit of rounding: too little for D to notice, and enough to be scaled up, as floats keep their relative
precision. That makes it work for every loss of scores.
"""

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..nn import Module
from ..recording import no_grad
from ..tensor import Tensor


def factors(d_slopes: Tensor, g_slopes: Tensor) -> tuple[Tensor, Tensor]:
    """(what is added to D's slopes, so that none is too small; the generator's slopes divided by D's then).

    `d_slopes` are a_i and `g_slopes` b_i, of the shape of the scores of fakes, and so are the results.
    """
    unnoticed = float(np.finfo(d_slopes.dtype).eps) ** 2
    with no_grad():
        seen = ops.absolute(d_slopes) > unnoticed * ops.absolute(g_slopes)
        begun = ops.where(seen, d_slopes, unnoticed * g_slopes)
        none = ops.equal(begun, 0.0)  # neither player is moved by that sample
        return begun - d_slopes, ops.where(none, 0.0, g_slopes / ops.where(none, 1.0, begun))


def scaled(slopes: Tensor, factor: Tensor) -> Tensor:
    """`slopes` (N, ...), each sample's times its own number of `factor`, which has N in all."""
    with no_grad():
        return slopes * ops.reshape(factor, (len(slopes),) + (1,) * (slopes.ndim - 1))


def check_one_by_one(discriminator: Module) -> None:
    """ShapeError if a layer of the discriminator makes a sample's score depend on the others of its batch."""
    if mixing := sorted({type(m).__name__ for m in discriminator.modules() if m.mixes_samples}):
        raise ShapeError(
            f"one_pass_turn: the discriminator scores samples one by one, or its pass says nothing of a single fake; "
            f"{', '.join(mixing)} mixes them: leave that out, or take layer norm"
        )


def check_single_scores(scores: Tensor, samples: Tensor) -> None:
    """ShapeError unless each sample, or pack of samples, has one score."""
    if scores.size != len(samples):
        raise ShapeError(
            f"one_pass_turn: expected one score a sample, got scores {scores.shape} of {len(samples)}: what several "
            "scores say of a sample cannot be told apart after one pass"
        )
