"""Matrix products: matmul with NumPy's batching and broadcasting, and einsum."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, integers, xp
from ..errors import DTypeError, ShapeError, described
from ..kernels import kernels
from ..op import op, takes_tensors
from ..tensor import Tensor, as_tensor
from .reduce import sum
from .shape import expand_dims, normalize_axes, reshape, transpose


def _swap(x: Tensor) -> Tensor:
    """x with its last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@op(
    lambda g, _y, _a, b: _matmul(g, _swap(b)),
    lambda g, _y, a, _b: _matmul(_swap(a), g),
    name="matmul",
    formula="a b",
    flops=lambda y, a, b: 2 * y.size * a.shape[-1],
)
def _matmul(a: Array, b: Array) -> Array:
    return kernels(a).matmul(a, b)


@op(
    lambda g, _y, _x, w, _b=None: g @ w,
    lambda g, _y, x, _w, _b=None: _linear_weight(x, g),
    lambda g, _y, _x, _w, _b: sum(g, tuple(range(g.ndim - 1))),
    name="linear",
    formula="x w^T (+ b)",
    flops=lambda y, x, w, b=None: 2 * y.size * x.shape[-1],
)
def _linear(x: Array, w: Array, b: Array = None) -> Array:
    """The gradient of w has w's own layout."""
    return kernels(x).linear(x, w, b)


@op(
    lambda g, _w, _x, y: y @ g,
    lambda g, _w, x, _y: _linear(x, g),
    name="linear_weight",
    formula="sum over rows of y^T x",
    flops=lambda w, x, y: 2 * x.size * y.shape[-1],
)
def _linear_weight(x: Array, y: Array) -> Array:
    """The w-slot of <x w^T, y>, its gradient with respect to w: (O, I)."""
    return kernels(x).linear_weight(x, y)


@takes_tensors("x", "w", "b")
def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """x (..., I) times the transpose of w (O, I), plus b (O,): (..., O).

    Raises ShapeError if the shapes do not fit, DTypeError if x or w is not of floats.
    """
    if x.data.dtype.kind != "f" or w.data.dtype.kind != "f":
        got = f"x {x.shape} {x.dtype}, w {w.shape} {w.dtype}"
        raise DTypeError(f"linear: expected floats, got {got}; .astype(dtype) converts")
    given, shape = x.data.shape, w.data.shape
    if len(shape) != 2 or not given or given[-1] != shape[1]:
        raise ShapeError(f"linear: expected x (..., I) and w (O, I), got {given} and {shape}")
    if b is None:
        return _linear(x, w)
    if b.data.shape != shape[:1]:
        raise ShapeError(f"linear: expected a bias of shape {shape[:1]}, got {b.shape}")
    return _linear(x, w, b)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product over the last two axes, earlier axes broadcast; a 1-D operand is a row or a column."""
    a, b = as_tensor(a, "matmul"), as_tensor(b, "matmul")
    row, column = a.ndim == 1, b.ndim == 1
    left = expand_dims(a, 0) if row else a
    right = expand_dims(b, 1) if column else b
    if left.ndim < 2 or right.ndim < 2 or left.shape[-1] != right.shape[-2]:
        raise ShapeError(f"matmul: inner sizes differ ({a.shape} @ {b.shape})")
    y = _matmul(left, right)
    if row or column:
        y = reshape(y, y.shape[: -2 if row and column else -1] if column else (*y.shape[:-2], y.shape[-1]))
    return y


def _einsum_rule(i: int, g: Tensor, _y: Any, subscripts: str, *xs: Tensor) -> Tensor:
    """The i-th operand's slot of the multilinear form: g and the other operands, contracted to its indices."""
    inputs, output = subscripts.split("->")
    names = inputs.split(",")
    k = i - 1  # subscripts are argument 0
    others = [name for j, name in enumerate(names) if j != k]
    return _einsum(f"{','.join([output, *others])}->{names[k]}", g, *(x for j, x in enumerate(xs) if j != k))


@op(
    _einsum_rule,
    name="einsum",
    formula="sum over indices not in the result",
    flops=lambda y, subscripts, *xs: 2 * _index_space(subscripts, xs),
    variadic=True,
)
def _einsum(subscripts: str, *xs: Array) -> Array:
    return xp(*xs).einsum(subscripts, *xs, optimize=len(xs) > 2)


def _index_space(subscripts: str, xs: Any) -> int:
    names = subscripts.split("->")[0].split(",")
    sizes = {i: n for name, x in zip(names, xs, strict=True) for i, n in zip(name, x.shape, strict=True)}
    return int(np.prod(list(sizes.values())))


def einsum(subscripts: str, *xs: Tensor) -> Tensor:
    """Einstein summation, e.g. einsum("nc,cd->nd", a, b), with explicit "->" or NumPy's alphabetical result.

    Letters only: no ellipsis, and no index twice in one operand.
    """
    if not isinstance(subscripts, str):
        raise DTypeError(
            f"einsum: expected subscripts, such as 'ij,jk->ik', before the operands, got {described(subscripts)}"
        )
    xs = tuple(as_tensor(x, "einsum") for x in xs)
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    names = inputs.split(",")
    if not arrow:
        output = "".join(sorted(i for i in set(inputs) - {","} if inputs.count(i) == 1))
    known = set(inputs) - {","}
    for name in (*names, output):
        if len(set(name)) != len(name) or not (name.isalpha() or name == "") or not set(name) <= known:
            raise ShapeError(f"einsum: cannot read {name!r} in {subscripts!r}: letters, each once per operand")
    if [len(name) for name in names] != [x.ndim for x in xs]:
        raise ShapeError(f"einsum: {subscripts!r} does not fit operands of shape {[x.shape for x in xs]}")
    sizes: dict[str, int] = {}
    for name, x in zip(names, xs, strict=True):
        for i, n in zip(name, x.shape, strict=True):
            if sizes.setdefault(i, n) != n:
                raise ShapeError(f"einsum: index {i!r} of {subscripts!r} is both {sizes[i]} and {n}")
    reduced = []
    for k, (name, x) in enumerate(zip(names, xs, strict=True)):
        elsewhere = set(output).union(*(n for j, n in enumerate(names) if j != k))
        alone = [axis for axis, i in enumerate(name) if i not in elsewhere]  # summed before, so that rules close
        reduced.append(sum(x, alone) if alone else x)
        names[k] = "".join(i for i in name if i in elsewhere)
    return _einsum(f"{','.join(names)}->{output}", *reduced)


@takes_tensors("a", "b")
def outer(a: Tensor, b: Tensor) -> Tensor:
    """a_i b_j of all elements, in row-major order: (a.size, b.size)."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@takes_tensors("a", "b")
def tensordot(a: Tensor, b: Tensor, axes: int | Sequence[Any] = 2) -> Tensor:
    """The sum of products over some axes of a and of b: the last `axes` of a with the first of b, or those named.

    Named they are (axes of a, axes of b), as many of each, or one integer each. ShapeError if their sizes differ.
    """
    if isinstance(axes, int):
        of_a, of_b = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        of_a, of_b = (integers("tensordot", of) for of in axes)
    left, right = (tuple(n + x.ndim if n < 0 else n for n in of) for x, of in ((a, of_a), (b, of_b)))
    fits = len(left) == len(right) and normalize_axes("tensordot", left, a.ndim) == tuple(sorted(left))
    fits = fits and normalize_axes("tensordot", right, b.ndim) == tuple(sorted(right))
    if not fits or [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(f"tensordot: the axes {axes} of {a.shape} and {b.shape} do not fit")
    rows, columns = ([i for i in range(x.ndim) if i not in of] for x, of in ((a, left), (b, right)))
    inner = math.prod(a.shape[i] for i in left)
    first = reshape(transpose(a, (*rows, *left)), (math.prod(a.shape[i] for i in rows), inner))
    second = reshape(transpose(b, (*right, *columns)), (inner, math.prod(b.shape[i] for i in columns)))
    return reshape(matmul(first, second), (*(a.shape[i] for i in rows), *(b.shape[i] for i in columns)))
