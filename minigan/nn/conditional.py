"""Layers that are told the class of each sample."""

from .. import ops
from ..errors import ShapeError
from ..tensor import Tensor, as_tensor
from . import init
from .layers import Embedding
from .module import Module
from .norm import BatchNorm2d


class ConditionalBatchNorm2d(Module):
    """Batch norm whose scale and shift depend on the class: gain[y] x^ + bias[y] (Dumoulin 2017, Miyato 2018b).

    `norm` is a BatchNorm2d without a scale of its own; `gain` and `bias` are embeddings (num_classes, num_features),
    1 and 0 at first.
    """

    def __init__(self, num_features: int, num_classes: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.norm = BatchNorm2d(num_features, eps, momentum, affine=False)
        self.gain = Embedding(num_classes, num_features)
        self.bias = Embedding(num_classes, num_features)
        init.ones_(self.gain.weight)
        init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W); labels are integers (N,)."""
        x, labels = as_tensor(x, "ConditionalBatchNorm2d"), as_tensor(labels, "ConditionalBatchNorm2d")
        if labels.shape != x.shape[:1] or labels.dtype.kind not in "iu":
            raise ShapeError(
                f"ConditionalBatchNorm2d: expected one integer label for each sample of {x.shape}, "
                f"got {labels.dtype} {labels.shape}"
            )
        of_each = (*x.shape[:2], 1, 1)
        y = self.norm(x)
        return y * ops.reshape(self.gain(labels), of_each) + ops.reshape(self.bias(labels), of_each)
