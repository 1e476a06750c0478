"""The kernels of one layer in minigan, each way that leads there."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest.mock import patch

import minigan as mg
from minigan.backend import Array
from minigan.kernels import cuda_conv, cuda_linear, cuda_ways, geometry
from minigan.tensor import Tensor

from . import clocks
from .clocks import Call, Clock
from .device_minigan import noise
from .layers import FACES, Layer
from .plan import PRECISIONS

Face = Callable[[], Array]


class Measured(NamedTuple):
    """The three faces of a layer, the ways there are to compute them, a function that says which is taken, and keys.

    Those are the faces' in the table of ways; none of a linear layer.
    """

    faces: list[Face]
    ways: tuple[str, ...]
    chosen: Callable[[], list[str]]
    keys: list[str]


def measure(clock: Clock, layer: Layer, seconds: float) -> dict[str, Any]:
    """Milliseconds by precision, face and way; `chosen` has by precision and face the way that minigan takes itself.

    `keys` has by face how the table of ways calls it, if it does.
    """
    faces, ways, chosen, keys = linear(layer) if layer.kind == "linear" else convolution(layer)
    found: dict[str, Any] = {"chosen": {}, "keys": dict(zip(FACES, keys, strict=False))}
    try:
        for precision in PRECISIONS:
            mg.set_precision(precision)
            found["chosen"][precision] = dict(zip(FACES, chosen(), strict=True))
            times: dict[str, dict[str, float]] = {face: {} for face in FACES}
            for way in ways:
                with patch.object(cuda_conv, "FORCED", way):
                    for name, face in zip(FACES, faces, strict=True):
                        times[name][way] = clocks.kernel(clock, graphed, face, seconds)
            found[precision] = times
    finally:
        mg.set_precision("fp32")
    return found


def linear(layer: Layer) -> Measured:
    """A fully connected layer, without bias."""
    x, w, y = (noise(rows * columns).reshape(rows, columns) for rows, columns in (layer.x, layer.w, layer.y))
    faces = [
        lambda: cuda_linear.linear(x, w),
        lambda: cuda_linear.matmul(y, w),
        lambda: cuda_linear.linear_weight(x, y),
    ]
    return Measured(faces, ("product",), lambda: ["product"] * 3, [])


def convolution(layer: Layer) -> Measured:
    """The same of a convolution or a transposed one."""
    x, w, y = image(layer.x), noise_of(layer.w), image(layer.y)
    if layer.kind == "conv":
        names = "conv", "conv_input", "conv_weight"
        s = geometry.convolution("conv2d", layer.x, layer.w, layer.stride, layer.padding, 1, 1)
        faces = [
            lambda: cuda_conv.conv(x, w, s),
            lambda: cuda_conv.conv_input(w, y, s),
            lambda: cuda_conv.conv_weight(x, y, s),
        ]
    else:
        names = "conv_input", "conv", "conv_weight"
        s = geometry.transposed("conv_transpose2d", layer.x, layer.w, layer.stride, layer.padding, 0, None, 1, 1)
        faces = [
            lambda: cuda_conv.conv_input(w, x, s),
            lambda: cuda_conv.conv(y, w, s),
            lambda: cuda_conv.conv_weight(y, x, s),
        ]
    chosen = lambda: [cuda_conv.way(name, s) for name in names]
    return Measured(faces, cuda_conv.WAYS, chosen, [cuda_ways.key(name, s) for name in names])


def noise_of(shape: tuple[int, ...]) -> Array:
    n, c, h, w = shape
    return noise(n * c * h * w).reshape(shape)


def image(shape: tuple[int, ...]) -> Array:
    """Random images, channels-last in memory as every kernel leaves them."""
    n, c, h, w = shape
    return noise_of((n, h, w, c)).transpose(0, 3, 1, 2)


def graphed(call: Call, times: int) -> Call:
    """A replay of so many calls as one graph; RuntimeError if they cannot be captured."""

    def several() -> Tensor:
        for _ in range(times):
            made = call()
        return Tensor(made[(0,) * made.ndim])  # something to return: what leaves nothing is not captured

    step = mg.capture(several)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(5):
            step()
    if step.graph is None:
        raise RuntimeError(f"not captured: {'; '.join(str(w.message) for w in said)}")
    return step
