"""The mean of a function, f(scale x + shift), with its gradient, and lengths of samples, on NumPy and on CuPy."""

from ..backend import Array, xp
from .portable import sigmoid, softplus

FUNCTIONS = ("identity", "relu", "sigmoid", "softplus", "square")
"""What f may be: in the order in which sums.cu knows them."""


def mean_of(x: Array, f: str, scale: float, shift: float) -> Array:
    """The mean of f(scale x + shift) over all elements."""
    v = _inside(x, scale, shift)
    if f == "relu":
        v = xp(x).maximum(v, 0)
    elif f == "square":
        v = v * v
    elif f != "identity":
        v = sigmoid(v) if f == "sigmoid" else softplus(v)
    return v.sum() * (1 / x.size)


def mean_of_grad(g: Array, x: Array, f: str, scale: float, shift: float) -> Array:
    """g f'(scale x + shift) scale / n for each of the n elements of x; of the identity it may be a view of one number.

    g is 0-d.
    """
    g = g * (scale / x.size)
    if f == "identity":
        return xp(x).broadcast_to(g, x.shape)
    v = _inside(x, scale, shift)
    if f == "relu":
        return xp(x).where(v > 0, g, 0)
    if f == "square":
        return v * (2 * g)
    y = sigmoid(v)
    return g * (y * (1 - y)) if f == "sigmoid" else g * y


def _inside(x: Array, scale: float, shift: float) -> Array:
    v = x if scale == 1 else x * scale
    return v if shift == 0 else v + shift


def lengths(x: Array, eps: float) -> Array:
    """sqrt(sum x^2 + eps) of each sample, over all axes but the first."""
    return xp(x).sqrt((x * x).sum(axis=tuple(range(1, x.ndim))) + eps)
