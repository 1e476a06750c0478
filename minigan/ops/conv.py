"""Convolution and its transpose, to any order of derivative.

Everything follows from one trilinear form of an image x, a kernel w and a smaller image y:

    T(x, w, y) = <conv(x, w), y>

T is linear in each slot, so fixing two slots and asking for the third gives three functions, the faces:

    conv(x, w)         fills y: the convolution
    conv_input(w, y)   fills x: its gradient with respect to x, which is the transposed convolution
    conv_weight(x, y)  fills w: its gradient with respect to w

The derivative of a face in one argument is T with the cotangent g in the slot the face fills: another face.
That is six of the rules below, and with them every order. The frozen geometry s is built once and handed along.
The convolution and its transpose also take a bias, which their kernels add while the result is still in the cache.
"""

from ..backend import Array
from ..errors import DTypeError, ShapeError
from ..kernels import geometry, kernels
from ..kernels.geometry import Geometry, Pads, Pair, frozen
from ..op import op, takes_tensors
from ..tensor import Tensor
from .reduce import sum

Padding = int | Pair | Pads | str


def _conv_flops(_y: Array, _a: Array, _b: Array, s: Geometry, _bias: Array = None) -> float:
    return s.flops


@op(
    lambda g, _y, _x, w, s, _b=None: _conv_input(w, g, s),
    lambda g, _y, x, _w, s, _b=None: _conv_weight(x, g, s),
    None,
    lambda g, _y, _x, _w, _s, _b: sum(g, (0, 2, 3)),
    name="conv",
    formula="y[n,o,p] = sum over c,k of w[o,c,k] x[n,c,stride p + dilation k - pad] (+ b[o])",
    flops=_conv_flops,
)
def _conv(x: Array, w: Array, s: Geometry, b: Array = None) -> Array:
    return kernels(x).conv(x, w, s, b)


@op(
    lambda g, _x, _w, y, s, _b=None: _conv_weight(g, y, s),
    lambda g, _x, w, _y, s, _b=None: _conv(g, w, s),
    None,
    lambda g, _x, _w, _y, _s, _b: sum(g, (0, 2, 3)),
    name="conv_input",
    formula="x such that <x, x'> = <conv(x', w), y> for all x' (+ b[c])",
    flops=_conv_flops,
)
def _conv_input(w: Array, y: Array, s: Geometry, b: Array = None) -> Array:
    return kernels(y).conv_input(w, y, s, b)


@op(
    lambda g, _w, _x, y, s: _conv_input(g, y, s),
    lambda g, _w, x, _y, s: _conv(x, g, s),
    name="conv_weight",
    formula="w such that <w, w'> = <conv(x, w'), y> for all w'",
    flops=_conv_flops,
)
def _conv_weight(x: Array, y: Array, s: Geometry) -> Array:
    return kernels(x).conv_weight(x, y, s)


@takes_tensors("x", "w", "b")
def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution (cross-correlation) of images x (N, C, H, W) with w (O, C / groups, kh, kw), plus b (O,).

    Returns (N, O, OH, OW) with OH = floor((H + pads - dilation (kh - 1) - 1) / stride) + 1. `padding` is an
    integer, (h, w), ((top, bottom), (left, right)), "valid", or "same" (TensorFlow's rule: OH = ceil(H / stride),
    the odd pixel at the bottom and right). Raises ShapeError if the shapes or numbers do not fit.
    """
    _check_floats("conv2d", x, w)
    s = geometry.convolution(
        "conv2d",
        x.shape,
        w.shape,
        frozen("conv2d: stride", stride),
        frozen("conv2d: padding", padding),
        frozen("conv2d: dilation", dilation),
        frozen("conv2d: groups", groups),
    )
    return _conv(x, w, s) if b is None else _conv(x, w, s, _checked("conv2d", b, s.y))


@takes_tensors("x", "w", "b")
def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    output_size: int | Pair | None = None,
) -> Tensor:
    """The transpose of `conv2d` as a linear map: x (N, I, H, W), w (I, O / groups, kh, kw), b (O,).

    Returns (N, O, OH, OW) with OH = (H - 1) stride - pads + dilation (kh - 1) + 1 + output_padding; with
    padding "same" OH = H * stride. `output_size` names the result's size where several have the same transpose
    (4 comes from 7 and from 8 at stride 2). Dumoulin and Visin 2016. Raises ShapeError if anything does not fit.
    """
    _check_floats("conv_transpose2d", x, w)
    s = geometry.transposed(
        "conv_transpose2d",
        x.shape,
        w.shape,
        frozen("conv_transpose2d: stride", stride),
        frozen("conv_transpose2d: padding", padding),
        frozen("conv_transpose2d: output_padding", output_padding),
        frozen("conv_transpose2d: output_size", output_size),
        frozen("conv_transpose2d: dilation", dilation),
        frozen("conv_transpose2d: groups", groups),
    )
    return _conv_input(w, x, s) if b is None else _conv_input(w, x, s, _checked("conv_transpose2d", b, s.x))


def _check_floats(name: str, x: Tensor, w: Tensor) -> None:
    if x.dtype != w.dtype or x.dtype.kind != "f":
        got = f"x {x.shape} {x.dtype}, w {w.shape} {w.dtype}"
        raise DTypeError(f"{name}: expected floats of one width, got {got}; .astype(dtype) converts")


def _checked(name: str, b: Tensor, shape: tuple[int, ...]) -> Tensor:
    if b.shape != (shape[1],):
        raise ShapeError(f"{name}: expected a bias of shape {(shape[1],)}, got {b.shape}")
    return b
