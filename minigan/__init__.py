"""minigan: tensors with gradients of any order, and GANs built on them, on NumPy or CuPy.

`import minigan as mg` loads NumPy and nothing heavier; what needs more loads when it is first used.
"""

import importlib
from types import ModuleType

from . import errors
from .backend import show_config
from .capture import capture
from .grad import grad, hvp, jvp, vjp
from .kernels import get_num_threads, get_precision, set_num_threads, set_precision
from .op import mode, no_grad, observe
from .ops import (
    abs,
    absolute,
    add,
    astype,
    avg_pool2d,
    batch_norm,
    bias_leaky_relu,
    binary_cross_entropy_with_logits,
    broadcast_to,
    channel_norm,
    clip,
    concatenate,
    conv2d,
    conv_transpose2d,
    cos,
    cross_entropy,
    divide,
    einsum,
    elu,
    equal,
    exp,
    expand_dims,
    expm1,
    flip,
    full_like,
    getitem,
    greater,
    greater_equal,
    leaky_relu,
    less,
    less_equal,
    linear,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    max,
    max_pool2d,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    not_equal,
    pad,
    permute,
    pixel_shuffle,
    power,
    relu,
    reshape,
    rsqrt,
    scale_shift,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    subtract,
    sum,
    tanh,
    transpose,
    upsample_nearest,
    var,
    where,
)
from .tensor import Tensor, full, ones, ones_like, tensor, zeros, zeros_like

__version__ = "0.1.0"

_ON_FIRST_USE = (
    "backend",
    "checkpoint",
    "data",
    "explain",
    "export",
    "gan",
    "health",
    "judge",
    "latent",
    "metrics",
    "models",
    "nn",
    "optim",
    "presets",
    "random",
    "recipe",
    "rehearsal",
    "report",
    "runs",
    "studies",
    "testing",
    "training",
    "viz",
    "yardstick",
)


def __getattr__(name: str) -> ModuleType:
    if name in _ON_FIRST_USE:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'minigan' has no attribute {name!r}")
