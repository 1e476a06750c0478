"""Attention: each query's mean of the values, weighted by how well its key fits."""

import math

from ..errors import DTypeError, ShapeError
from ..op import takes_tensors
from ..tensor import Tensor
from .linalg import matmul
from .reduce import softmax
from .shape import transpose


@takes_tensors("query", "key", "value")
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> Tensor:
    """softmax(scale query key^T) value (Vaswani et al. 2017): (..., L, E), (..., S, E), (..., S, Ev) to (..., L, Ev).

    Earlier axes broadcast; `scale` is 1 / sqrt(E) by default. ShapeError if the shapes do not fit, DTypeError if they
    are not floats.
    """
    weights = attention_weights(query, key, scale)
    if value.ndim < 2 or value.shape[-2] != key.shape[-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: expected a value (..., S, Ev) for each of S = {key.shape[-2]} keys, "
            f"got {value.shape}"
        )
    return matmul(weights, value)


def attention_weights(query: Tensor, key: Tensor, scale: float | None = None) -> Tensor:
    """softmax(scale query key^T), (..., L, S): how much of each value goes to each query."""
    if query.ndim < 2 or key.ndim < 2 or query.shape[-1] != key.shape[-1] or not query.shape[-1]:
        raise ShapeError(
            "scaled_dot_product_attention: expected queries (..., L, E) and keys (..., S, E) of one length E >= 1, "
            f"got {query.shape} and {key.shape}"
        )
    if query.dtype.kind != "f" or key.dtype.kind != "f":
        got = f"{query.dtype} and {key.dtype}"
        raise DTypeError(f"scaled_dot_product_attention: expected floats, got {got}; .astype(dtype) converts")
    by = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    turned = transpose(key, (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2))
    return softmax(matmul(query if by == 1 else query * by, turned))
