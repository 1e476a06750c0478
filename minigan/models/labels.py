"""Labels as networks take them."""

from ..backend import xp
from ..errors import DTypeError
from ..tensor import Tensor


def one_hot(labels: Tensor, classes: int, dtype: str = "float32") -> Tensor:
    """(N, classes), 1 where the column is the label, else 0: for integer labels (N,)."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: expected integer labels (N,), got {labels.dtype} {labels.shape}")
    return Tensor((labels.data[:, None] == xp(labels.data).arange(classes)).astype(dtype))
