"""A discriminator that ends in a direction among features, and what that direction minimises.

SAN: Takida et al. 2024. Of D(x) = <w, h(x)>, |w| = 1, the features h minimise the game's loss, w held constant, and the
direction w is where it tells the features of real samples and of fakes apart, these held constant:

    E' <w, h(fake)> - E' <w, h(real)>

E' is a mean whose weights are r(D(x)), r = -J' for a generator's loss E J(D(fake)): all alike for hinge and
wasserstein, 1 - s(D(x)) for nonsaturating, s(D(x)) for minimax. Then what the generator descends is a distance.
"""

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..grad import grad
from ..nn import Module, SlicedLinear
from ..recording import no_grad
from ..tensor import Tensor
from .answers import Answer
from .losses import Loss


def is_sliced(discriminator: Module, loss: Loss, *, reads: bool) -> bool:
    """Does it end in a direction? ShapeError if it does, and the loss does not say how scores weigh in its mean.

    Likewise if the game `reads` something else beside scores.
    """
    if not any(isinstance(m, SlicedLinear) for m in discriminator.modules()):
        return False
    if reads:
        raise ShapeError("SlicedLinear: its second answer moves the direction, where this game has D read something")
    if loss.compares or loss.couples or not loss.monotone:
        raise ShapeError(
            "SlicedLinear: the direction weighs a sample by how fast the generator's loss falls with its score alone; "
            f"that of {loss.name} compares scores, or rises again"
        )
    return True


def direction_loss(loss: Loss, real: Answer, fake: Answer) -> Tensor:
    """What the direction minimises, of answers whose readings are the scores that move it alone: a 0-d tensor."""
    turned = -1.0 if loss.lower else 1.0
    return turned * (_weighed(loss, *fake) - _weighed(loss, *real))


def _weighed(loss: Loss, scores: Tensor, directed: Tensor) -> Tensor:
    """The mean of what moves the direction, with the weights of the scores."""
    level = scores.detach()
    slope = grad(loss.generator(level), level)
    with no_grad():
        weights = ops.absolute(slope)
        weights = weights / ops.maximum(ops.batch_mean(weights), float(np.finfo(weights.dtype).tiny))
    return ops.mean(weights * directed)
