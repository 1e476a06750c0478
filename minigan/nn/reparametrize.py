"""A layer's weight computed from other tensors in each forward pass: by spectral or weight norm, or equalised.

A layer reads `self.weight`. Here that is no parameter any more: the layer becomes one of a subclass that finds the
parameters and buffers named after it, computes the weight once in each call, and forgets it afterwards.
"""

import functools
import math
from collections.abc import Container
from typing import Any, TypeVar, cast

from .. import ops, random
from ..errors import GraphError, ShapeError, brief
from ..random import Stream
from ..recording import no_grad
from ..system.hints import unknown
from ..system.once import once
from ..tensor import Tensor
from . import init
from .checks import integer, number
from .layers import ConvTranspose2d
from .module import Buffer, Module, Parameter
from .sequences import ConvTranspose1d

L = TypeVar("L", bound=Module)
_TRANSPOSED = ConvTranspose1d, ConvTranspose2d  # whose weight has the inputs first


class _Reparametrized(Module):
    """A layer whose `weight` is computed: once for each call, and anew whenever it is asked for in between."""

    _calling = False
    _computed: tuple[str, ...] = ("weight",)  # what is
    made_by: tuple[str, dict[str, Any]]  # the function that made it so, and its options

    def _compute(self, name: str, calling: bool) -> Tensor:
        """The tensor of that name; `calling` tells a forward pass from somebody who only looks."""
        raise NotImplementedError(f"{type(self).__name__} does not define _compute")

    def __getattr__(self, name: str) -> Any:
        """The weight, which is nowhere else to be found."""
        if name not in self._computed:
            raise unknown("Module", name, self)
        tensor = self._compute(name, self._calling)
        if self._calling:
            vars(self)[name] = tensor  # the layer may read it more than once
        return tensor

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the attribute; GraphError for the weight, which would not be computed any more."""
        if name in self._computed:
            raise GraphError(f"{type(self).__name__}.{name} is computed; write into what it is computed from")
        super().__setattr__(name, value)

    def forward(self, *args: Any) -> Any:
        """What the layer computes with this weight, which is the same each time it is read."""
        vars(self)["_calling"] = True
        try:
            return super().forward(*args)
        finally:
            del vars(self)["_calling"]
            for name in self._computed:
                vars(self).pop(name, None)  # its graph lives as long as the result's, no longer

    def __reduce__(self) -> tuple[Any, ...]:
        """How `pickle` and `copy` make it again: its class is made at run time, and goes by no name."""
        return _blank, type(self).__bases__, vars(self)

    def extra_repr(self) -> str:
        """The layer's own, and how its weight is normalised."""
        return f"{super().extra_repr()}, {type(self).__mro__[1].__name__}"


class SpectralNorm(_Reparametrized):
    """weight = weight_orig / sigma, sigma = u^T W v the estimate of its largest singular value."""

    _norm: tuple[int, int, float]  # axis, power iterations, eps

    def _compute(self, name: str, calling: bool) -> Tensor:
        matrix = rows(self.weight_orig, self._norm[0])
        u, v = once(lambda: self._vectors(matrix, calling))
        return self.weight_orig / (u @ (matrix @ v))

    def _vectors(self, matrix: Tensor, calling: bool) -> tuple[Tensor, Tensor]:
        """The first singular vectors of the weight, as far as they are known; a forward pass in training knows more."""
        _, iterations, eps = self._norm
        # The buffers are written by the next forward pass, maybe before this one's gradient is taken: the graph gets
        # vectors of its own.
        with no_grad():
            u, v = self.weight_u + 0.0, self.weight_v + 0.0
            for _ in range(iterations if calling and self.training else 0):
                v = _unit(u @ matrix, eps)
                u = _unit(matrix @ v, eps)
        if calling and self.training:
            self.weight_u.copy_(u, by="spectral_norm")
            self.weight_v.copy_(v, by="spectral_norm")
        return u, v


class WeightNorm(_Reparametrized):
    """weight = weight_g weight_v / |weight_v|, a norm for each slice along one axis."""

    _axis: int

    def _compute(self, name: str, calling: bool) -> Tensor:
        return self.weight_v * (self.weight_g / _norms(self.weight_v, self._axis))


class Equalized(_Reparametrized):
    """weight = weight_orig * scale, bias = bias_orig * lr_multiplier."""

    _scales: dict[str, float]

    def _compute(self, name: str, calling: bool) -> Tensor:
        kept = vars(self)[f"{name}_orig"]
        return kept if self._scales[name] == 1 else kept * self._scales[name]


def spectral_norm(
    layer: L, n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None, *, rng: Stream | None = None
) -> L:
    """`layer` itself, its weight divided by its largest singular value from now on (Miyato et al. 2018).

    As torch.nn.utils.spectral_norm: the weight, a matrix of rows along axis `dim` (1 for transposed convolutions, else
    0), is the parameter `weight_orig`; the buffers `weight_u` and `weight_v` follow its first singular vectors by
    `n_power_iterations` in each forward pass in training mode, and stay in evaluation mode. Gradients flow through
    sigma = u^T W v with u and v held constant. `layer.weight` is the computed weight, to be read only: initialise
    before. Returns the same object; optimizers that hold its weight still do. ShapeError if it has no weight of its own
    with two axes or more.
    """
    weight = _taken("spectral_norm", layer, 2)
    n_power_iterations = integer("spectral_norm: n_power_iterations", n_power_iterations, 1)
    eps = number("spectral_norm: eps", eps, least=0)
    axis = output_axis(layer) if dim is None else _axis("spectral_norm", dim, weight)
    rows = weight.shape[axis]
    drawn = rng or random.default()
    vectors = [Tensor(drawn.normal(n, dtype=weight.dtype)).to(weight.device) for n in (rows, weight.size // rows)]
    changed = _become(SpectralNorm, layer)
    changed._norm = (axis, n_power_iterations, eps)
    changed.made_by = "spectral_norm", {"n_power_iterations": n_power_iterations, "eps": eps, "dim": axis}
    changed.weight_orig = weight
    with no_grad():
        changed.weight_u, changed.weight_v = (Buffer(_unit(vector, eps)) for vector in vectors)
    return cast(L, changed)


def weight_norm(layer: L, dim: int = 0) -> L:
    """`layer` itself, its weight g v / |v| from now on: length and direction apart (Salimans and Kingma 2016).

    As torch.nn.utils.weight_norm: the parameters `weight_g`, one number for each slice along axis `dim`, and `weight_v`
    of the weight's shape replace the weight, whose value they have at first. `layer.weight` is the computed weight, to
    be read only. Make optimizers afterwards: there are other parameters now. Returns the same object. ShapeError if it
    has no weight of its own.
    """
    weight = _taken("weight_norm", layer, 1)
    dim = _axis("weight_norm", dim, weight)
    changed = _become(WeightNorm, layer)
    changed._axis = dim
    changed.made_by = "weight_norm", {"dim": dim}
    with no_grad():
        changed.weight_g = Parameter(_norms(weight, dim))
    changed.weight_v = weight
    return cast(L, changed)


def equalized(
    layer: L,
    lr_multiplier: float = 1.0,
    *,
    gain: float = math.sqrt(2),
    bias: float = 0.0,
    rng: Stream | None = None,
) -> L:
    """`layer` itself with an equalised learning rate: its weight is kept at unit size and scaled when it is used.

    Karras et al. 2018, section 4.1: weight = weight_orig gain / sqrt(fan in) lr_multiplier, so that optimizers which
    divide a gradient by its size, as Adam does, move every layer as fast. weight_orig is drawn anew, from
    N(0, 1 / lr_multiplier^2); He's gain is that of a ReLU behind the layer, 1 that of none. A bias is bias_orig
    lr_multiplier, and is `bias` at first. With a multiplier of 0.01, StyleGAN's mapping network, they are learnt a
    hundred times more slowly. `layer.weight` and `layer.bias` are computed, to be read only. Make optimizers
    afterwards. Returns the same object. ShapeError if it has no weight of its own with two axes or more.
    """
    weight = _taken("equalized", layer, 2)
    lr_multiplier = number("equalized: lr_multiplier", lr_multiplier, above=0)
    gain, bias = number("equalized: gain", gain, above=0), number("equalized: bias", bias)
    init.normal_(weight, std=1 / lr_multiplier, rng=rng)
    old_bias = vars(layer).get("bias")
    changed = _become(Equalized, layer)
    changed._scales = {"weight": gain / math.sqrt(_fan_in(layer, weight)) * lr_multiplier, "bias": lr_multiplier}
    changed.made_by = "equalized", {"lr_multiplier": lr_multiplier, "gain": gain, "bias": bias}
    changed.weight_orig = weight
    if isinstance(old_bias, Parameter):
        del vars(layer)["bias"]
        changed._computed = ("weight", "bias")
        changed.bias_orig = init.constant_(old_bias, bias / lr_multiplier)
    return cast(L, changed)


def normalised_within(layer: Module, others: Container[int]) -> dict[str, tuple[str, dict[str, Any]]]:
    """How parts of `layer` have been normalised, function and options, by their place in `layer.modules()`.

    Not those whose id is in `others`, nor those with equalised rates, which are the work of who makes a layer.
    """
    return {
        str(k): part.made_by
        for k, part in enumerate(layer.modules())
        if isinstance(part, SpectralNorm | WeightNorm) and part is not layer and id(part) not in others
    }


def _fan_in(layer: Module, weight: Parameter) -> int:
    """How many numbers the layer adds up to one, if its windows do not overlap: in / groups times the window's size."""
    if isinstance(layer, _TRANSPOSED):
        return weight.size // (weight.shape[1] * layer.options["groups"])
    return weight.size // weight.shape[0]


def _taken(name: str, layer: Module, axes: int) -> Parameter:
    """The layer's own weight, if it is one to normalise."""
    weight = vars(layer).get("weight") if isinstance(layer, Module) else None
    if not isinstance(weight, Parameter) or weight.ndim < axes:
        found = f"{weight.shape}" if isinstance(weight, Parameter) else "none of its own"
        raise ShapeError(f"{name}: expected a layer whose weight has at least {axes} axes, {brief(layer)} has {found}")
    return weight


def _axis(name: str, dim: int, weight: Parameter) -> int:
    """The axis of the weight that `dim` names, counted from the first."""
    axis = integer(f"{name}: dim", dim)
    if not -weight.ndim <= axis < weight.ndim:
        raise ShapeError(f"{name}: a weight of shape {weight.shape} has no axis {dim}")
    return axis % weight.ndim


def _become(kind: Any, layer: Any) -> Any:
    """The same object, without its weight, now of a subclass of its class that computes it as `kind` does."""
    del vars(layer)["weight"]
    layer.__class__ = _combined(kind, layer.__class__)
    return layer


@functools.cache
def _combined(kind: Any, layer: Any) -> Any:
    return type(layer.__name__, (kind, layer), {"__doc__": layer.__doc__})


def _blank(kind: Any, layer: Any) -> Any:
    """An object of the class that `_become` makes, with nothing in it."""
    return Module.__new__(_combined(kind, layer))


def output_axis(layer: Module) -> int:
    """The axis of the layer's weight along which its outputs lie."""
    return 1 if isinstance(layer, _TRANSPOSED) else 0


def rows(weight: Tensor, axis: int) -> Tensor:
    """The weight as a matrix whose rows run along `axis`, columns in the order of the other axes."""
    if axis:
        weight = ops.transpose(weight, (axis, *(a for a in range(weight.ndim) if a != axis)))
    return ops.reshape(weight, (weight.shape[0], weight.size // weight.shape[0]))


def _unit(x: Tensor, eps: float) -> Tensor:
    """x / max(|x|, eps)."""
    return x / ops.maximum(ops.sqrt(ops.sum(ops.square(x))), eps)


def _norms(x: Tensor, axis: int) -> Tensor:
    """The Euclidean norm of each slice along `axis`, the other axes kept."""
    return ops.sqrt(ops.sum(ops.square(x), [a for a in range(x.ndim) if a != axis], keepdims=True))
