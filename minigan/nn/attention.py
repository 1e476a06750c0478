"""Layers in which places look at each other: of an image, and of sequences with several heads."""

from typing import Any

from .. import ops
from ..errors import ShapeError
from ..ops.attention import attention_weights
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from . import init
from .checks import flag, integer
from .layers import Conv2d, Linear, MaxPool2d
from .module import Module, Parameter


class SelfAttention2d(Module):
    """y = gamma o(softmax(theta(x)^T phi(x)) g(x)) + x: each pixel looks at all others (Zhang et al. 2019, SAGAN).

    theta, phi, g and o are 1x1 convolutions to C / reduction, C / reduction, C / 2 and back to C channels. As in the
    authors' code and BigGAN's, whose names these are, keys phi and values g are pooled, the largest of 2x2 pixels, and
    the scores are not scaled. gamma, a 0-d parameter, is 0 at first: the layer begins as x.
    """

    def __init__(self, channels: int, reduction: int = 8, bias: bool = False, *, rng: Stream | None = None) -> None:
        channels = integer("SelfAttention2d: channels", channels, 1)
        reduction = integer("SelfAttention2d: reduction", reduction, 1)
        bias = flag("SelfAttention2d: bias", bias)
        if channels % reduction or channels % 2:
            raise ShapeError(
                f"SelfAttention2d: expected channels that are a multiple of 2 and of the reduction {reduction}, "
                f"got {channels}"
            )
        inner = channels // reduction
        self.theta = Conv2d(channels, inner, 1, bias=bias, rng=rng)
        self.phi = Conv2d(channels, inner, 1, bias=bias, rng=rng)
        self.g = Conv2d(channels, channels // 2, 1, bias=bias, rng=rng)
        self.o = Conv2d(channels // 2, channels, 1, bias=bias, rng=rng)
        self.pool = MaxPool2d(2)
        self.gamma = Parameter(zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape (N, C, H, W); ShapeError if H or W is below 2."""
        x = as_tensor(x, "SelfAttention2d")
        n, height, width = _sides(x, self.theta.weight.shape[1])
        keys, values = _pixels(self.pool(self.phi(x))), _pixels(self.pool(self.g(x)))
        seen = ops.scaled_dot_product_attention(_pixels(self.theta(x)), keys, values, scale=1.0)
        image = ops.reshape(ops.transpose(seen, (0, 2, 1)), (n, seen.shape[2], height, width))
        return self.gamma * self.o(image) + x


def _sides(x: Tensor, channels: int) -> tuple[int, int, int]:
    """(N, H, W) of images with so many channels."""
    if x.ndim != 4 or x.shape[1] != channels or min(x.shape[2:]) < 2:
        raise ShapeError(f"SelfAttention2d: expected images (N, {channels}, H, W) of 2x2 or more, got {x.shape}")
    return x.shape[0], x.shape[2], x.shape[3]


def _pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H W, C): of a channels-last image a view."""
    n, c, height, width = x.shape
    return ops.transpose(ops.reshape(x, (n, c, height * width)), (0, 2, 1))


class MultiheadAttention(Module):
    """Attention of several heads, each to `embed_dim / num_heads` numbers of every vector (Vaswani et al. 2017).

    As torch.nn.MultiheadAttention without masks and dropout: in_proj_weight (3 E, E) makes queries, keys and values,
    out_proj puts the heads together. Sequences are (N, L, E) with `batch_first`, else (L, N, E).
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        bias: bool = True,
        batch_first: bool = False,
        *,
        rng: Stream | None = None,
    ) -> None:
        self.embed_dim = integer("MultiheadAttention: embed_dim", embed_dim, 1)
        self.num_heads = integer("MultiheadAttention: num_heads", num_heads, 1)
        if self.embed_dim % self.num_heads:
            raise ShapeError(f"MultiheadAttention: {embed_dim} numbers do not split into {num_heads} heads")
        self.batch_first = flag("MultiheadAttention: batch_first", batch_first)
        self.in_proj_weight = Parameter(zeros((3 * self.embed_dim, self.embed_dim)))
        init.xavier_uniform_(self.in_proj_weight, rng=rng)
        self.in_proj_bias = Parameter(zeros(3 * self.embed_dim)) if flag("MultiheadAttention: bias", bias) else None
        self.out_proj = Linear(self.embed_dim, self.embed_dim, bias, rng=rng)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """(of the query's shape, the weights (N, L, S), which are the mean of the heads')."""
        given = [as_tensor(x, "MultiheadAttention") for x in (query, key, value)]
        first, *others = [x if self.batch_first else ops.transpose(x, (1, 0, 2)) for x in map(self._checked, given)]
        if others[0].shape != others[1].shape or others[0].shape[0] != first.shape[0]:
            raise ShapeError(
                "MultiheadAttention: expected keys and values of one shape, for as many samples as there are queries, "
                f"got {', '.join(str(x.shape) for x in given)}"
            )
        q, k, v = [self._heads(x, part) for part, x in enumerate((first, *others))]
        weights = attention_weights(q, k)
        heads = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        y = self.out_proj(ops.reshape(heads, first.shape))
        return y if self.batch_first else ops.transpose(y, (1, 0, 2)), ops.mean(weights, 1)

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[2] != self.embed_dim:
            order = "(N, L" if self.batch_first else "(L, N"
            raise ShapeError(f"MultiheadAttention: expected {order}, {self.embed_dim}), got {x.shape}")
        return x

    def _heads(self, x: Tensor, part: int) -> Tensor:
        """x (N, L, E) times one of the three parts of the weight, as (N, heads, L, E / heads)."""
        rows = slice(part * self.embed_dim, (part + 1) * self.embed_dim)
        bias: Any = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        n, length, _ = x.shape
        projected = ops.linear(x, self.in_proj_weight[rows], bias)
        split = ops.reshape(projected, (n, length, self.num_heads, self.embed_dim // self.num_heads))
        return ops.transpose(split, (0, 2, 1, 3))
