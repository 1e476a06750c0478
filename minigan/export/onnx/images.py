"""Counterparts of what is done to images: convolution and its transpose, pooling, other sizes."""

import numpy as np

from ...kernels.banded import Banded
from ...kernels.geometry import Geometry
from ..blueprint import NotDescribed
from .graph import FLOAT32, Graph, Operand, Undetermined, Varying
from .table import counterpart


def _several(g: Graph, s: Geometry | Varying) -> list[Geometry]:
    """The geometries of all traces; Undetermined unless their windows lie alike."""
    found = list(s.values) if isinstance(s, Varying) else [s]
    if len({(each.stride, each.pads, each.dilation, each.groups, each.w[2:]) for each in found}) > 1:
        raise Undetermined(f"{g.place}: where its windows lie depends on the size of the images")
    return found


def _beyond(s: Geometry) -> tuple[int, ...]:
    """How many rows and columns lie behind the last window."""
    sides = zip(s.x[2:], s.y[2:], s.w[2:], s.stride, s.pads, s.dilation, strict=True)
    return tuple(n + sum(pad) - (k - 1) * d - 1 - (out - 1) * step for n, out, k, step, pad, d in sides)


def _pads(s: Geometry) -> list[int]:
    return [before for before, _ in s.pads] + [after for _, after in s.pads]


@counterpart("conv", varying=True)
def _conv(g: Graph, _y: Operand, x: Operand, w: Operand, s: Geometry, b: Operand | None = None) -> str:
    s = _several(g, s)[0]
    return g.add(
        "Conv",
        *(part.name for part in (x, w, b) if part is not None),
        kernel_shape=list(s.w[2:]),
        strides=list(s.stride),
        pads=_pads(s),
        dilations=list(s.dilation),
        group=s.groups,
    )


@counterpart("conv_input", varying=True)
def _conv_input(g: Graph, _y: Operand, w: Operand, x: Operand, s: Geometry, b: Operand | None = None) -> str:
    several = _several(g, s)
    if len({_beyond(each) for each in several}) > 1:
        raise Undetermined(f"{g.place}: how large its result is depends on more than the size of the images")
    s = several[0]
    return g.add(
        "ConvTranspose",
        *(part.name for part in (x, w, b) if part is not None),
        kernel_shape=list(s.w[2:]),
        strides=list(s.stride),
        pads=_pads(s),
        output_padding=list(_beyond(s)),
        dilations=list(s.dilation),
        group=s.groups,
    )


@counterpart("max_pool", varying=True)
def _max_pool(g: Graph, _y: Operand, x: Operand, s: Geometry) -> str:
    s = _several(g, s)[0]
    return g.add("MaxPool", x.name, kernel_shape=list(s.w[2:]), strides=list(s.stride), pads=_pads(s))


@counterpart("pool_sum", varying=True)
def _pool_sum(g: Graph, y: Operand, x: Operand, s: Geometry) -> str:
    s = _several(g, s)[0]
    mean = g.add("AveragePool", x.name, kernel_shape=list(s.w[2:]), strides=list(s.stride), pads=_pads(s))
    return g.add("Mul", mean, g.constant(s.w[2] * s.w[3], y.dtype))


@counterpart("pool_spread", varying=True)
def _pool_spread(g: Graph, _y: Operand, x: Operand, s: Geometry) -> str:
    """Of windows side by side: each pixel repeated."""
    several = _several(g, s)
    s = several[0]
    if s.stride != s.w[2:] or any(_beyond(each) != (0, 0) for each in several) or any(map(any, s.pads)):
        raise NotDescribed(f"{g.place}: pixels spread over windows that overlap have no counterpart in ONNX")
    return g.add(
        "Resize",
        x.name,
        "",
        g.constant([1, 1, *s.stride], FLOAT32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


@counterpart("resample")
def _resample(g: Graph, y: Operand, x: Operand, rows: Banded, columns: Banded) -> str:
    """Products with a matrix for the columns and one for the rows."""
    across = g.add("MatMul", x.name, g.constant(_dense(columns).T, y.dtype))
    return g.add("MatMul", g.constant(_dense(rows), y.dtype), across)


def _dense(band: Banded) -> np.ndarray:
    found = np.zeros(band.shape)
    np.add.at(found, (band.rows, band.columns), band.weights)
    return found
