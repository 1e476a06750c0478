"""The kernels of one layer in PyTorch: cuDNN's convolutions in both memory formats, cuBLAS's products."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from . import clocks
from .clocks import Clock
from .in_torch import graphed, set_precision
from .layers import FACES, Layer

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
Faces = list[Callable[[], object]]


def measure(clock: Clock, layer: Layer, seconds: float, device: str) -> dict[str, Any]:
    """Milliseconds by precision, face and memory format."""
    torch.backends.cudnn.benchmark = True
    ways = {"product": linear(layer, device)} if layer.kind == "linear" else convolutions(layer, device)
    found: dict[str, Any] = {}
    try:
        for precision in ("fp32", "tf32"):
            set_precision(precision)
            found[precision] = {face: {} for face in FACES}
            for way, faces in ways.items():
                for name, face in zip(FACES, faces, strict=True):
                    found[precision][name][way] = clocks.kernel(clock, graphed, face, seconds)
    finally:
        set_precision("fp32")
    return found


def linear(layer: Layer, device: str) -> Faces:
    """The three faces of a fully connected layer, without bias."""
    x, w, y = (torch.randn(shape, device=device) for shape in (layer.x, layer.w, layer.y))
    return [lambda: functional.linear(x, w), lambda: y @ w, lambda: y.t() @ x]


def convolutions(layer: Layer, device: str) -> dict[str, Faces]:
    """The same of a convolution or a transposed one, in each memory format."""
    arrays = [torch.randn(shape, device=device) for shape in (layer.x, layer.w, layer.y)]
    return {
        name: convolution(layer, *(a.contiguous(memory_format=layout) for a in arrays))
        for name, layout in FORMATS.items()
    }


def convolution(layer: Layer, x: torch.Tensor, w: torch.Tensor, y: torch.Tensor) -> Faces:
    """The three faces on these arrays."""
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
