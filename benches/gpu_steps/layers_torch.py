"""The kernels of one layer in PyTorch: cuDNN's convolutions in both memory formats, cuBLAS's products."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from . import clocks
from .clocks import Clock
from .in_torch import graphed, set_precision
from .layers import FACES, Layer
from .plan import PRECISIONS

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
Faces = list[Callable[[], object]]


def measure(clock: Clock, layer: Layer, seconds: float, device: str) -> dict[str, Any]:
    """Milliseconds by precision, face and memory format; in bf16 what is given and made is bfloat16, as in autocast."""
    torch.backends.cudnn.benchmark = True
    found: dict[str, Any] = {}
    try:
        for precision in PRECISIONS:
            dtype = set_precision(precision)
            arrays = [torch.randn(shape, device=device, dtype=dtype) for shape in (layer.x, layer.w, layer.y)]
            found[precision] = {face: {} for face in FACES}
            for way, faces in ways(layer, *arrays).items():
                for name, face in zip(FACES, faces, strict=True):
                    found[precision][name][way] = clocks.kernel(clock, graphed, face, seconds)
    finally:
        set_precision("fp32")
    return found


def ways(layer: Layer, x: torch.Tensor, w: torch.Tensor, y: torch.Tensor) -> dict[str, Faces]:
    """The three faces of a layer without bias: of a fully connected one, or of a convolution in each memory format."""
    if layer.kind == "linear":
        return {"product": [lambda: functional.linear(x, w), lambda: y @ w, lambda: y.t() @ x]}
    return {
        name: convolution(layer, *(a.contiguous(memory_format=layout) for a in (x, w, y)))
        for name, layout in FORMATS.items()
    }


def convolution(layer: Layer, x: torch.Tensor, w: torch.Tensor, y: torch.Tensor) -> Faces:
    """The three faces of a convolution or a transposed one on these arrays."""
    transposed = layer.kind == "conv_transpose"
    forward = functional.conv_transpose2d if transposed else functional.conv2d
    stride, padding = [layer.stride] * 2, [layer.padding] * 2

    def backward(mask: list[bool]) -> object:
        return torch.ops.aten.convolution_backward(
            *(y, x, w, None, stride, padding, [1, 1], transposed, [0, 0], 1, mask)
        )

    return [
        lambda: forward(x, w, None, stride, padding),
        lambda: backward([True, False, False]),
        lambda: backward([False, True, False]),
    ]
