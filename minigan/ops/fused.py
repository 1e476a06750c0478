"""Losses on logits: what several functions do, in the form that stays finite for every finite logit."""

from ..backend import xp
from ..errors import DTypeError, ShapeError
from ..tensor import Tensor
from .elementwise import softplus
from .reduce import log_softmax, mean


def binary_cross_entropy_with_logits(logits: Tensor, target: Tensor | float) -> Tensor:
    """mean(softplus(x) - t x): the cross entropy of sigmoid(x) against targets t in [0, 1]. A 0-d tensor."""
    if isinstance(target, Tensor) and target.shape != logits.shape:
        raise ShapeError(f"binary_cross_entropy_with_logits: logits {logits.shape}, target {target.shape}")
    return mean(softplus(logits) - logits * target)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-mean(log softmax(logits)[label]): logits (N, K), integer labels (N,) in 0..K-1. A 0-d tensor."""
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: expected integer labels, got {labels.dtype}")
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(f"cross_entropy: expected logits (N, K) and labels (N,), got {logits.shape}, {labels.shape}")
    rows = xp(labels.data).arange(len(labels))
    return -mean(log_softmax(logits, 1)[rows, labels])
