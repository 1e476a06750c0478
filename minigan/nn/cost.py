"""What a layer costs, known from shapes before anything is spent: so that a made-up network is refused in time."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..errors import CheckpointError, brief
from ..kernels import geometry
from ..kernels.geometry import Geometry
from ..tensor import Tensor
from .attention import MultiheadAttention, SelfAttention2d
from .layers import AvgPool2d, Conv2d, ConvTranspose2d, Embedding, Linear, MaxPool2d, UpsampleNearest
from .minibatch import MinibatchDiscrimination
from .modulated import ModulatedConv2d
from .module import Module
from .resampling import Blur, ReflectionPad2d, ReplicationPad2d, Upsample, ZeroPad2d
from .sequences import Conv1d, ConvTranspose1d
from .sliced import SlicedLinear

NUMBERS = 1 << 26  # in the largest array that a layer makes: a quarter of a gigabyte of float32
OPERATIONS = 1 << 36  # of floating point, in all layers: some seconds
MOVED = 1 << 5  # operations that it costs to move a number, or to do one thing to it, outside a matrix product
CALL = 1 << 13  # operations that a call of NumPy's costs if it has next to nothing to do
MAPPED = 1 << 3  # numbers whose memory it takes to list a neighbour of a pixel of a row
TAP = 1 << 6  # numbers whose memory it takes to list an element of a window


@contextmanager
def bounded(network: Module) -> Iterator[None]:
    """Within the block, CheckpointError is raised before a layer of `network` makes an array of more than NUMBERS.

    Likewise before all its layers together do more than OPERATIONS. A layer that is not of `nn` counts as one that
    makes nothing larger than what it is given.
    """
    spent = 0

    def guarded(layer: Module, forward: Callable[..., Any], x: Tensor, *args: Any) -> Any:
        nonlocal spent
        numbers, operations = _cost(layer, x)
        spent += operations
        if numbers > NUMBERS:
            raise CheckpointError(f"{brief(layer)} makes {numbers} numbers of {x.shape}, more than {NUMBERS}")
        if spent > OPERATIONS:
            raise CheckpointError(
                f"{brief(layer)} of {x.shape} brings the work to {spent} operations, more than {OPERATIONS}"
            )
        return forward(x, *args)

    layers = set(network.modules())  # each once, however often it is called
    try:
        for layer in layers:
            vars(layer)["forward"] = partial(guarded, layer, layer.forward)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _cost(layer: Module, x: Tensor) -> tuple[int, int]:
    """(numbers in the largest array, operations) of `layer` for x, at most; ShapeError where x does not fit it."""
    if isinstance(layer, Linear | SlicedLinear):
        outs, ins = layer.weight.shape
        made = x.size // ins * outs
        return max(x.size, made), 2 * made * ins
    if isinstance(layer, Embedding):
        made = x.size * layer.weight.shape[1]
        return made, MOVED * made
    if isinstance(layer, Conv2d):
        s = geometry.convolution("conv2d", x.shape, layer.weight.shape, **layer.options)
        return _of_windows(s)
    if isinstance(layer, Conv1d) and x.ndim == 3:
        return _of_windows(geometry.convolution("conv1d", *_high(x, layer.weight), **layer.options))
    if isinstance(layer, ConvTranspose1d) and x.ndim == 3:
        options = {**layer.options, "output_size": None}
        return _of_transposed(geometry.transposed("conv_transpose1d", *_high(x, layer.weight), **options))
    if isinstance(layer, ModulatedConv2d) and layer.up > 1:
        outer, inner, *window = layer.weight.shape
        return _of_transposed(
            geometry.transposed("conv_transpose2d", x.shape, (inner, outer, *window), layer.up, 0, 0, None, 1, 1)
        )
    if isinstance(layer, ModulatedConv2d):
        return _of_windows(geometry.convolution("conv2d", x.shape, layer.weight.shape, 1, layer.padding, 1, 1))
    if isinstance(layer, ConvTranspose2d):
        s = geometry.transposed("conv_transpose2d", x.shape, layer.weight.shape, **layer.options)
        return _of_transposed(s)
    if isinstance(layer, MaxPool2d | AvgPool2d):
        return _of_taps(geometry.pooling("pooling", x.shape, *layer.options))
    if isinstance(layer, UpsampleNearest) and x.ndim == 4:
        scale = layer.options[0]
        larger = (*x.shape[:2], *(side * s for side, s in zip(x.shape[2:], scale, strict=True)))
        return _of_taps(geometry.pooling("upsample_nearest", larger, scale, None))
    if isinstance(layer, Upsample | Blur | ZeroPad2d | ReflectionPad2d | ReplicationPad2d) and x.ndim == 4:
        return _of_rows(layer.target(x.shape), x.shape, layer.filter.shape if isinstance(layer, Blur) else (4,))
    if isinstance(layer, SelfAttention2d) and x.ndim == 4:
        n, c, h, w = x.shape
        return _of_scores(n * h * w * (h * w // 4), c)
    if isinstance(layer, MinibatchDiscrimination) and x.ndim == 2:
        pairs = x.shape[0] ** 2 * layer.T.shape[1] * layer.T.shape[2]
        return max(pairs, x.size), MOVED * pairs + 2 * x.shape[0] * layer.T.size
    if isinstance(layer, MultiheadAttention) and x.ndim == 3:
        length, samples = (x.shape[1], x.shape[0]) if layer.batch_first else x.shape[:2]
        return _of_scores(samples * layer.num_heads * length * length, x.shape[2])
    return x.size, MOVED * x.size


def _of_scores(scores: int, length: int) -> tuple[int, int]:
    """Of attention, whose scores are products of vectors of that length, at most."""
    return scores, scores * (MOVED + 4 * length)


def _of_windows(s: Geometry, reach: int | None = None) -> tuple[int, int]:
    """Of a convolution or its transpose, whose windows are laid side by side, `reach` pixels in each of their rows."""
    n, o, oh, ow = s.y
    _, c, kh, kw = s.w
    reach = kw if reach is None else reach
    columns, kernels = n * oh * ow * c * kh * reach, 2 * o * c * kh * reach
    numbers = max(math.prod(s.padded), math.prod(s.y), columns, kernels)
    return numbers, s.flops // kw * reach + MOVED * numbers + 16 * s.groups * CALL


def _of_transposed(s: Geometry) -> tuple[int, int]:
    """Of a transposed convolution."""
    return _of_windows(s, (s.w[3] - 1) * s.dilation[1] + 1 + s.stride[1])


def _high(*sequences: Tensor) -> list[tuple[int, ...]]:
    """The shapes of sequences as images of height 1."""
    return [(*x.shape[:2], 1, x.shape[2]) for x in sequences]


def _of_taps(s: Geometry) -> tuple[int, int]:
    """Of pooling and its transpose, which go through the elements of a window one by one."""
    taps = s.w[2] * s.w[3]
    return max(math.prod(s.x), TAP * taps), taps * (MOVED * math.prod(s.y) + CALL)


def _of_rows(made: tuple[int, ...], given: tuple[int, ...], taps: tuple[int, ...]) -> tuple[int, int]:
    """Of what is done to the rows of an image and then to its columns, each result of so many neighbours."""
    between = (*given[:2], made[2], given[3])
    longest = max(taps)
    numbers = max(*map(math.prod, (made, given, between)), longest * max(made[2:]) * MAPPED)
    terms = 1 if len(taps) == 1 else min(taps)  # a matrix as a sum of products
    return numbers, terms * 2 * (longest + MOVED) * numbers
