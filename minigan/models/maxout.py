"""Maxout: units that learn their own activation."""

from .. import nn, ops
from ..random import Stream
from ..tensor import Tensor


class Maxout(nn.Module):
    """max over `pieces` linear functions of x, for each of `out_features` units (Goodfellow et al. 2013)."""

    def __init__(self, in_features: int, out_features: int, pieces: int, *, rng: Stream | None = None) -> None:
        self.linear = nn.Linear(in_features, out_features * pieces, rng=rng)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_features)."""
        y = self.linear(x)
        return ops.max(ops.reshape(y, (len(x), y.shape[1] // self.pieces, self.pieces)), 2)
