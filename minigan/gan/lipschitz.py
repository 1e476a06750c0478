"""How steep a critic can be: bounds and estimates of its Lipschitz constant K, in the Euclidean norm.

    steepest slope seen  <=  K  <=  product of its layers' spectral norms  <=  product of bounds from |w| <= c

A critic is a Sequential of layers that are linear or act on each element, so that its K is at most the product of
theirs. Batch normalisation has no K per sample, and is refused.
"""

import math
from collections.abc import Callable, Iterator

from .. import nn, ops, random
from ..backend import to_numpy
from ..errors import ShapeError, brief
from ..grad import grad
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, zeros
from .penalties import input_gradient

Shape = tuple[int, ...]


def clipped_bound(critic: nn.Sequential, shape: Shape, c: float | None = None) -> float:
    """What K cannot exceed while every weight lies in [-c, c]; samples have `shape`, without the batch axis.

    The product of the layers' bounds: c sqrt(in out) for a dense layer, which weights that are all c reach, and
    c sqrt((in channels kh kw) (out channels uh uw)) for a convolution, |A|_2^2 <= |A|_1 |A|_inf; uh uw is how many
    windows a pixel is part of, ceil(kh / stride) for the height, and no more than there are. So K grows as c to
    the number of layers. Without c, each layer's largest |w| stands for it. ShapeError for a layer that has no bound.
    """
    return math.prod(_clipped(layer, entering, c) for layer, entering in _layers(critic, shape))


def spectral_bound(critic: nn.Sequential, shape: Shape, *, iterations: int = 50, rng: Stream | None = None) -> float:
    """What K cannot exceed with the weights as they are: the product of the layers' spectral norms."""
    return math.prod(_spectral(layer, entering, iterations, rng) for layer, entering in _layers(critic, shape))


def spectral_norm(layer: nn.Module, shape: Shape, *, iterations: int = 50, rng: Stream | None = None) -> float:
    """The largest |A x| / |x| of a dense or convolutional layer's linear part A, for x of `shape`; from below.

    Power iteration on A^T A. The transpose is what `grad` takes A for: of a convolution, the transposed convolution.
    So it is the norm of the convolution itself, not of its kernel as a matrix.
    """
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        raise ShapeError(f"spectral_norm: expected Linear or Conv2d, got {type(layer).__name__}")
    stream = rng or random.default()
    x = Tensor(stream.normal((1, *shape), dtype=layer.weight.dtype, device=layer.weight.device))
    norm = 0.0
    for _ in range(iterations):
        x = x * (1 / max(_length(x), 1e-30))
        y = _linear_part(layer, x)
        norm = _length(y)
        x = grad(y, x, y).detach()
    return norm


def steepest_slope(critic: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The largest |d critic(x) / dx| among the samples x: K is at least that."""
    slopes = input_gradient(critic, x)
    with no_grad():
        return math.sqrt(ops.max(ops.sum(ops.square(slopes), 1)).item())


def _clipped(layer: nn.Module, shape: Shape, c: float | None) -> float:
    if isinstance(layer, nn.Linear):
        return _largest(layer, c) * math.sqrt(math.prod(layer.weight.shape))
    if isinstance(layer, nn.Conv2d):
        outer, inner, kh, kw = layer.weight.shape
        windows = _windows(layer, shape)
        row = inner * min(kh, shape[1]) * min(kw, shape[2])
        column = outer // layer.options["groups"] * windows
        return _largest(layer, c) * math.sqrt(row * column)
    return _gain(layer)


def _spectral(layer: nn.Module, shape: Shape, iterations: int, rng: Stream | None) -> float:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        return spectral_norm(layer, shape, iterations=iterations, rng=rng)
    return _gain(layer)


def _gain(layer: nn.Module) -> float:
    """K of a layer without weights."""
    if isinstance(layer, nn.LeakyReLU):
        return max(1.0, abs(layer.options[0]))
    if isinstance(layer, nn.Sigmoid):
        return 0.25
    if isinstance(layer, nn.Blur):
        return layer.steepest()
    if isinstance(layer, nn.ReLU | nn.Tanh | nn.Flatten | nn.Unflatten | nn.ZeroPad2d):
        return 1.0
    if isinstance(layer, nn.Dropout):
        return 1.0 if not layer.training else 1 / (1 - layer.p)
    raise ShapeError(f"no Lipschitz bound is known for {type(layer).__name__}")


def _windows(layer: nn.Conv2d, shape: Shape) -> int:
    """How many windows of the convolution a pixel can be part of."""
    with no_grad():
        out = layer(zeros((1, *shape), layer.weight.dtype, layer.weight.device)).shape[2:]
    stride, dilation = (_both(layer.options[name]) for name in ("stride", "dilation"))
    return math.prod(
        min(size, -(-kernel // (s // math.gcd(s, step))))  # of a window's taps, every (s / gcd)-th can meet a pixel
        for size, kernel, s, step in zip(out, layer.weight.shape[2:], stride, dilation, strict=True)
    )


def _both(option: int | tuple[int, int]) -> tuple[int, int]:
    return (option, option) if isinstance(option, int) else option


def _largest(layer: nn.Linear | nn.Conv2d, c: float | None) -> float:
    return float(abs(to_numpy(layer.weight.data)).max()) if c is None else c


def _linear_part(layer: nn.Linear | nn.Conv2d, x: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return ops.linear(x, layer.weight)
    return ops.conv2d(x, layer.weight, **layer.options)


def _length(x: Tensor) -> float:
    with no_grad():
        return math.sqrt(ops.sum(ops.square(x)).item())


def _layers(critic: nn.Sequential, shape: Shape) -> Iterator[tuple[nn.Module, Shape]]:
    """Each layer of the critic and the shape of what enters it; ShapeError if it is no Sequential with weights."""
    if not isinstance(critic, nn.Sequential) or not critic.parameters():
        raise ShapeError(f"a Lipschitz bound is that of a Sequential with weights, got {brief(critic)}")
    first = critic.parameters()[0]
    x = zeros((1, *shape), first.dtype, first.device)
    for k in range(len(critic)):
        layer = critic[k]
        yield layer, x.shape[1:]
        with no_grad():
            x = layer(x)
