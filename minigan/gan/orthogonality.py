"""Orthogonal regularisation: what keeps the outputs of a layer from being alike."""

from .. import nn, ops
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import made
from ..nn.reparametrize import SpectralNorm, output_axis, rows
from ..tensor import Tensor

LAYERS = nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ModulatedConv2d


def orthogonal(network: nn.Module) -> Tensor:
    """The sum over layers of |W W^T * (1 - I)|^2, rows of W what makes an output: unweighted, a 0-d tensor.

    Brock et al. 2019, equation 3: rows are to be at right angles, and may have any length. W are the weights of dense
    layers and convolutions; of one with spectral norm what its weight is computed from, as in the authors' code.
    ShapeError if there is none.
    """
    weights = [
        rows(vars(layer)["weight_orig"] if isinstance(layer, SpectralNorm) else layer.weight, output_axis(layer))
        for layer in network.modules()
        if isinstance(layer, LAYERS)
    ]
    if not weights:
        raise ShapeError(f"orthogonal: expected a network of dense layers and convolutions, got {network}")
    return ops.sum(ops.stack([beside_the_diagonal(w) for w in weights]))


def beside_the_diagonal(w: Tensor) -> Tensor:
    """|w w^T * (1 - I)|^2 for a matrix w (rows, columns): a 0-d tensor.

    With more rows than columns as |w^T w|^2 - sum of |row|^4, which is the same, and a smaller product.
    """
    if w.shape[0] <= w.shape[1]:
        products = w @ w.T
        return ops.sum(ops.square(products * Tensor(made(_beside, products.data))))
    lengths = ops.sum(ops.square(w), 1)
    return ops.sum(ops.square(w.T @ w)) - ops.sum(ops.square(lengths))


def _beside(square: Array) -> Array:
    """1 beside the diagonal, 0 on it."""
    return 1 - xp(square).eye(len(square), dtype=square.dtype)
