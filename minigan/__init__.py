"""minigan: tensors with gradients of any order, and GANs built on them, on NumPy or CuPy.

`import minigan as mg` loads NumPy and nothing heavier; what needs more loads when it is first used.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

from .system import startup  # before all that takes a while to load

# isort: split
from . import errors
from .capture import capture
from .grad import grad, hvp, jvp, vjp
from .kernels import get_num_threads, get_precision, set_num_threads, set_precision
from .kernels.installation import show_config
from .kernels.memory import empty_cache
from .ops import (
    abs,
    absolute,
    add,
    all,
    all_gather,
    all_mean,
    all_sum,
    any,
    arange,
    argmax,
    argmin,
    argsort,
    astype,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy_with_logits,
    broadcast_to,
    ceil,
    channel_norm,
    clip,
    concatenate,
    conv2d,
    conv_transpose2d,
    cos,
    cross_entropy,
    cumsum,
    divide,
    einsum,
    elu,
    equal,
    exp,
    expand_dims,
    expm1,
    eye,
    flip,
    floor,
    full_like,
    getitem,
    greater,
    greater_equal,
    group_norm,
    interpolate,
    isfinite,
    isinf,
    isnan,
    leaky_relu,
    less,
    less_equal,
    linear,
    linspace,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    max,
    max_pool2d,
    maximum,
    mean,
    median,
    min,
    minimum,
    moveaxis,
    multiply,
    negative,
    norm,
    not_equal,
    outer,
    pad,
    permute,
    pixel_shuffle,
    power,
    prod,
    relu,
    repeat,
    reshape,
    roll,
    round,
    rsqrt,
    scale_shift,
    scaled_dot_product_attention,
    scatter_add,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    sort,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    subtract,
    sum,
    swapaxes,
    take_along_axis,
    tanh,
    tensordot,
    tile,
    topk,
    transpose,
    tril,
    triu,
    upfirdn2d,
    upsample_nearest,
    var,
    where,
)
from .recompute import checkpoint
from .recording import mode, no_grad, observe
from .system.hints import unknown
from .system.machine import __version__
from .tensor import Tensor, from_dlpack, full, ones, ones_like, tensor, zeros, zeros_like

_ON_FIRST_USE = (
    *(
        "backend",
        "command",
        "data",
        "explain",
        "export",
        "gan",
        "judge",
        "latent",
        "metrics",
        "models",
        "nn",
        "optim",
        "processes",
    ),
    *("random", "testing", "training", "viz"),
)
_MOVED = {  # modules that programs of earlier versions import from, and where most of their names are now
    "checkpoint": "training.checkpoint",
    "cli": "command.cli",
    "health": "judge.verdict",
    "presets": "command.presets",
    "recipe": "command.recipe",
    "rehearsal": "gan.rehearsal",
    "report": "training.report",
    "runs": "training",
    "studies": "training.studies",
    "yardstick": "judge.yardstick",
}


class _Moved(ModuleType):
    """A module by its old name, so that `from minigan.runs import Settings` still works."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever looks through sys.modules loads nothing
            raise AttributeError(name)
        return getattr(importlib.import_module(f"{__name__}.{_MOVED[self.__name__.split('.')[1]]}"), name)


sys.modules.update({f"{__name__}.{old}": _Moved(f"{__name__}.{old}") for old in _MOVED})


_SHORT = {"save": "save_weights", "load": "load_weights"}  # of `export`, by their short names


def __getattr__(name: str) -> Any:
    if name in _SHORT:
        return getattr(importlib.import_module(".export", __name__), _SHORT[name])
    if name in _ON_FIRST_USE or name in _MOVED:
        return importlib.import_module(f".{_MOVED.get(name, name)}", __name__)
    raise unknown(__name__, name, sys.modules[__name__])
