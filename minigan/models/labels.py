"""Labels as networks take them, and as they tell them."""

from .. import nn
from ..backend import Array, xp
from ..errors import DTypeError
from ..kernels.calls import made
from ..tensor import Tensor, as_tensor


def one_hot(labels: Tensor, classes: int, dtype: str = "float32") -> Tensor:
    """(N, classes), 1 where the column is the label, else 0: for integer labels (N,)."""
    labels = as_tensor(labels, "one_hot")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: expected integer labels (N,), got {labels.dtype} {labels.shape}")
    return Tensor(made(_one_hot, labels.data, classes, dtype))


def _one_hot(labels: Array, classes: int, dtype: str) -> Array:
    return (labels[:, None] == xp(labels).arange(classes)).astype(dtype)


class TwoHeads(nn.Module):
    """D(x): a body makes features, of which one head says how real x is and another tells its class or code."""

    def __init__(self, body: nn.Module, score: nn.Module, reading: nn.Module) -> None:
        self.body = body
        self.score = score
        self.reading = reading

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 1), and what the other head reads of x: (N, classes) or (N, code)."""
        features = self.body(x)
        return self.score(features), self.reading(features)
