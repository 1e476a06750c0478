"""Cross entropies of logits against targets and labels, finite for every finite logit."""

import numpy as np

from ..backend import xp
from ..errors import DTypeError, ShapeError
from ..kernels.calls import made
from ..op import takes_tensors
from ..tensor import Tensor
from .elementwise import softplus
from .reduce import log_softmax, mean, mean_of


@takes_tensors("logits", "target", numbers=("target",))
def binary_cross_entropy_with_logits(logits: Tensor, target: Tensor | float) -> Tensor:
    """mean(softplus(x) - t x): the cross entropy of sigmoid(x) against targets t in [0, 1]. A 0-d tensor.

    `target` has the shape of `logits` or is a number. Raises ShapeError if it is neither.
    """
    shape = () if isinstance(target, int | float) else target.shape
    if shape not in ((), logits.shape):
        raise ShapeError(f"binary_cross_entropy_with_logits: logits {logits.shape}, target {shape}")
    if isinstance(target, int | float) and target in (0, 1):  # sp(x) - x = sp(-x)
        return mean_of(logits, softplus, 1 - 2 * target)
    return mean(softplus(logits) - logits * target)


@takes_tensors("logits", "labels")
def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-mean(log softmax(logits)[label]): logits (N, K), integer labels (N,) in 0..K-1. A 0-d tensor.

    Raises DTypeError if labels are no integers; ShapeError if the shapes do not fit or, on the CPU, a label is outside.
    """
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: expected integer labels, got {labels.dtype}")
    k = logits.shape[-1]
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(f"cross_entropy: expected logits (N, K) and labels (N,), got {logits.shape}, {labels.shape}")
    if isinstance(labels.data, np.ndarray) and labels.size and not 0 <= labels.data.min() <= labels.data.max() < k:
        raise ShapeError(f"cross_entropy: labels must lie in 0..{k - 1}, got {labels.data.min()}..{labels.data.max()}")
    rows = made(xp(labels.data).arange, len(labels))
    return -mean(log_softmax(logits, 1)[rows, labels])
