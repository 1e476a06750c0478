"""PyTorch's functions, by their names in its sample database and with their arguments, written with minigan's.

What is asked for and not offered is passed on as it is: minigan then refuses it, or an argument has no place.
"""

import math

import numpy as np

import minigan as mg
from minigan.tensor import Tensor


def _all(x, dim):
    """`dim` as minigan takes it: an empty tuple means every axis in PyTorch."""
    return None if dim in (None, ()) or (dim in (0, -1, (0,), (-1,)) and not x.ndim) else dim


def reduced(fn):
    def call(x, dim=None, keepdim=False):
        return fn(x, _all(x, dim), keepdims=keepdim)

    return call


def unary(name):
    return lambda x: getattr(mg, name)(x)


def var(x, dim=None, unbiased=True, keepdim=False, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    ddof = int(unbiased) if correction is None else correction
    return mg.var(x, _all(x, dim), keepdims=keepdim, ddof=ddof)


def extreme(name, pairwise):
    def call(x, other=None, keepdim=False):
        if other is None:
            return getattr(mg, name)(x)
        if isinstance(other, Tensor):
            return getattr(mg, pairwise)(x, other)
        return [getattr(mg, name)(x, _all(x, other), keepdims=keepdim)]  # PyTorch's positions have no counterpart

    return call


def scaled(sign):
    return lambda x, other, alpha=1: (
        x + other * (sign * alpha) if alpha != 1 else (x + other if sign > 0 else x - other)
    )


def clamp(x, min=None, max=None):
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = mg.maximum(x, min) if min is not None else x
        return mg.minimum(x, max) if max is not None else x
    return mg.clip(x, min, max)


def softplus(x, beta=1, threshold=20):
    return mg.softplus(x, beta, threshold) if (beta, threshold) != (1, 20) else mg.softplus(x)


def typed(fn):
    """A soft maximum whose input may be asked for in another type first."""

    def call(x, dim, dtype=None):
        return fn(x if dtype is None else x.astype(str(dtype).removeprefix("torch.")), dim if x.ndim else None)

    return call


def flatten(x, start_dim=0, end_dim=-1):
    shape = x.shape or (1,)
    stop = end_dim % len(shape) + 1
    return x.reshape((*shape[:start_dim], math.prod(shape[start_dim:stop]), *shape[stop:]))


def unflatten(x, dim, sizes):
    dim %= x.ndim
    known = -math.prod(sizes)
    sizes = [x.shape[dim] // known if n == -1 else n for n in sizes]
    return x.reshape((*x.shape[:dim], *sizes, *x.shape[dim + 1 :]))


def expand(x, *shape):
    shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    old = (1,) * (len(shape) - x.ndim) + x.shape
    return mg.broadcast_to(x, [o if n == -1 else n for n, o in zip(shape, old, strict=True)])


def cut(x, index, dim=0):
    return x[(slice(None),) * (dim % max(x.ndim, 1)) + (index,)]


def split(x, size, dim=0):
    n = x.shape[dim]
    if isinstance(size, int):
        return mg.split(x, list(range(size, n, size)), dim)
    return mg.split(x, [int(c) for c in np.cumsum(size)[:-1]], dim)


def tensor_split(x, at, dim=0):
    at = at.numpy().tolist() if isinstance(at, Tensor) else at
    return mg.split(x, at if isinstance(at, int) else list(at), dim)


def chunk(x, chunks, dim=0):
    return split(x, -(-x.shape[dim] // chunks), dim)


def pad(x, widths, mode="constant", value=0.0):
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    if mode != "constant":
        return mg.pad(x, pairs, mode={"replicate": "edge"}.get(mode, mode))
    return mg.pad(x, pairs, 0.0 if value is None else value)


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return mg.conv2d(x, w, b, stride=_pair(stride), padding=_pair(padding), dilation=_pair(dilation), groups=groups)


def conv_transpose2d(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    return mg.conv_transpose2d(x, w, b, **{k: _pair(v) for k, v in options.items()}, groups=groups)


def _pair(v):
    return v[0] if isinstance(v, tuple) and len(v) == 1 else v


def conv1d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    options = {"stride": _pair(stride), "padding": _pair(padding), "dilation": _pair(dilation), "groups": groups}
    layer = mg.nn.Conv1d(w.shape[1] * groups, w.shape[0], w.shape[2], bias=b is not None, **options)
    return module(layer, weight=w, bias=b)(x)


def conv_transpose1d(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    options = {k: _pair(v) for k, v in options.items()} | {"groups": groups}
    layer = mg.nn.ConvTranspose1d(w.shape[0], w.shape[1] * groups, w.shape[2], bias=b is not None, **options)
    return module(layer, weight=w, bias=b)(x)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    asked = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode, "return_indices": return_indices}
    plain = {"padding": (0, (0, 0)), "dilation": (1, (1, 1)), "ceil_mode": (False,), "return_indices": (False,)}
    return mg.max_pool2d(x, kernel_size, stride, **{k: v for k, v in asked.items() if v not in plain[k]})


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    asked = {"padding": _pair(padding), "ceil_mode": ceil_mode, "divisor_override": divisor_override}
    return mg.avg_pool2d(x, kernel_size, stride or None, **{k: v for k, v in asked.items() if v})


def nearest(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
    return mg.interpolate(x, size, scale_factor, mode, align_corners, bool(recompute_scale_factor))


def module(layer, **tensors):
    """A layer whose parameters and buffers are these tensors, those that are not None."""
    for name, value in tensors.items():
        if value is not None:
            vars(layer)[name] = value  # past the check for Parameters: it belongs to the sample
    return layer


def batch_norm(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    kind = mg.nn.BatchNorm2d if x.ndim == 4 else mg.nn.BatchNorm1d
    layer = kind(x.shape[1], eps, momentum, affine=weight is not None)
    module(layer, weight=weight, bias=bias, running_mean=mean, running_var=variance)
    return (layer if training else layer.eval())(x)


def instance_norm(x, weight=None, bias=None, eps=1e-5, use_input_stats=True, momentum=0.1, **running):
    if not use_input_stats:
        return mg.nn.InstanceNorm2d(x.shape[1], eps, running=running)(x)
    return module(mg.nn.InstanceNorm2d(x.shape[1], eps, affine=weight is not None), weight=weight, bias=bias)(x)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    layer = mg.nn.GroupNorm(groups, x.shape[1], eps, affine=weight is not None)
    return module(layer, weight=weight, bias=bias)(x)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    layer = mg.nn.LayerNorm(shape, eps, elementwise_affine=weight is not None)
    return module(layer, weight=weight, bias=bias)(x)


def rms_norm(x, shape, weight=None, eps=None):
    layer = mg.nn.RMSNorm(shape, eps, elementwise_affine=weight is not None)
    return module(layer, weight=weight)(x)


def masked_select(x, mask):
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return mg.broadcast_to(x, shape)[mg.broadcast_to(mask, shape)]


def squeeze(x, dim=None):
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    named = {d % x.ndim for d in dims} if x.ndim else set()
    return mg.squeeze(x, tuple(d for d in named if x.shape[d] == 1))


def narrow(x, dim, start, length):
    start = int(start) % x.shape[dim]
    return cut(x, slice(start, start + length), dim)


def inner(a, b):
    if not a.ndim or not b.ndim:
        return a * b
    return mg.matmul(a, mg.swapaxes(b, -1, -2) if b.ndim > 1 else b)


def embedding(weight, indices, **options):
    return module(mg.nn.Embedding(*weight.shape, **options), weight=weight)(indices)


def prelu(x, weight):
    return module(mg.nn.PReLU(weight.size), weight=weight.reshape(-1))(x)


def cross_entropy(logits, target, **options):
    options = {k: v for k, v in options.items() if (k, v) != ("reduction", "mean")}
    return mg.cross_entropy(logits, target, **options)


def cross_entropy_of_logits(logits, target, **options):
    options = {k: v for k, v in options.items() if (k, v) != ("reduction", "mean") and v is not None}
    return mg.binary_cross_entropy_with_logits(logits, target, **options)


def mean_of(fn):
    def call(x, y, reduction="mean"):
        return {"mean": mg.mean, "sum": mg.sum, "none": lambda e: e}[reduction](fn(x - y))

    return call


def einsum(xs, equation):
    return mg.einsum(equation, *xs)


def addmm(x, a, b, alpha=1, beta=1):
    return x * beta + a @ b * alpha


def glu(x, dim=-1):
    a, b = mg.split(x, 2, dim)
    return a * mg.sigmoid(b)


def median(x, dim=None, keepdim=False):
    """PyTorch's is the lower of the two in the middle."""
    if x.ndim and dim is not None:
        return [mg.sort(x, dim)[(slice(None),) * (dim % x.ndim) + (slice(k := (x.shape[dim] - 1) // 2, k + 1),)]]
    rows = mg.sort(x.reshape(-1))
    return rows[(rows.size - 1) // 2].reshape((1,) * x.ndim if keepdim else ())


def along(fn):
    """Of 0-d tensors too, which have no axis in minigan."""

    def call(x, dim, *tensors):
        if x.ndim:
            return fn(x, dim, *tensors)
        return fn(x.reshape(1), 0, *(t.reshape(-1) if isinstance(t, Tensor) else t for t in tensors)).reshape(())

    return call


def gathered(x, dim, index):
    """x is cut to what lies within the index on other axes; the rest PyTorch passes over."""
    if not x.ndim:
        return mg.broadcast_to(x, index.shape)
    inside = x[tuple(slice(None) if a == dim % x.ndim else slice(n) for a, n in enumerate(index.shape))]
    return mg.take_along_axis(inside, index, dim)


def one_axis(fn):
    def call(x, dim=None, keepdim=False):
        return fn(x, None if not x.ndim else dim, keepdims=keepdim)

    return call


CALLS = {
    **{
        name: unary(name)
        for name in ("abs", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sqrt", "rsqrt", "square", "sign")
    },
    "neg": mg.negative,
    "sigmoid": mg.sigmoid,
    "reciprocal": lambda x: 1 / x,
    "positive": lambda x: x * 1,
    "tan": lambda x: mg.sin(x) / mg.cos(x),
    "nn.functional.relu": mg.relu,
    "nn.functional.leaky_relu": mg.leaky_relu,
    "nn.functional.elu": mg.elu,
    "nn.functional.softplus": softplus,
    "nn.functional.logsigmoid": lambda x: -mg.softplus(-x),
    "nn.functional.silu": lambda x: x * mg.sigmoid(x),
    "nn.functional.mish": lambda x: x * mg.tanh(mg.softplus(x)),
    "nn.functional.softsign": lambda x: x / (1 + mg.absolute(x)),
    "nn.functional.tanhshrink": lambda x: x - mg.tanh(x),
    "nn.functional.relu6": lambda x: mg.clip(x, 0, 6),
    "nn.functional.hardtanh": lambda x, min_val=-1, max_val=1: mg.clip(x, min_val, max_val),
    "nn.functional.prelu": prelu,
    "nn.functional.glu": glu,
    **{name: getattr(mg, name) for name in ("floor", "ceil", "isnan", "isinf", "isfinite")},
    "round": lambda x, decimals=0: mg.round(x, decimals),
    # two operands
    "add": scaled(1),
    "sub": scaled(-1),
    "rsub": lambda x, other, alpha=1: other - x * alpha,
    "mul": mg.multiply,
    "div": mg.divide,
    "true_divide": mg.divide,
    "pow": mg.power,
    "__radd__": lambda x, n: n + x,
    "__rsub__": lambda x, n: n - x,
    "__rmul__": lambda x, n: n * x,
    "__rdiv__": lambda x, n: n / x,
    "__rpow__": lambda x, n: n**x,
    "maximum": mg.maximum,
    "minimum": mg.minimum,
    "gt": mg.ops.greater,
    "ge": mg.ops.greater_equal,
    "lt": mg.ops.less,
    "le": mg.ops.less_equal,
    "eq": mg.ops.equal,
    "ne": mg.ops.not_equal,
    "clamp": clamp,
    "clamp_min": lambda x, low: clamp(x, low),
    "clamp_max": lambda x, high: clamp(x, None, high),
    "where": lambda x, condition, y: mg.where(condition, x, y),
    "masked_fill": lambda x, mask, value: mg.where(mask, value, x),
    "lerp": lambda a, b, w: a + w * (b - a),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    # over axes
    "sum": reduced(mg.sum),
    "mean": reduced(mg.mean),
    "amax": reduced(mg.max),
    "amin": reduced(mg.min),
    "logsumexp": reduced(mg.logsumexp),
    "var": var,
    "std": lambda x, *args, **options: mg.ops.reduce._root(var(x, *args, **options)),
    "prod": reduced(mg.prod),
    "cumsum": along(lambda x, dim: mg.cumsum(x, dim)),
    "argmax": one_axis(mg.argmax),
    "argmin": one_axis(mg.argmin),
    "sort": lambda x, dim=-1, descending=False, stable=True: [
        along(lambda x, dim: mg.sort(x, dim, descending))(x, dim)
    ],
    "topk": lambda x, k, dim=-1, largest=True, sorted=True: [
        along(lambda x, dim: mg.topk(x, k, dim, largest).values)(x, dim)
    ],
    "gather": gathered,
    "take_along_dim": lambda x, index, dim=None: (
        mg.take_along_axis(x.reshape(-1), index.reshape(-1), 0) if dim is None else mg.take_along_axis(x, index, dim)
    ),
    "max": extreme("max", "maximum"),
    "min": extreme("min", "minimum"),
    "softmax": typed(mg.softmax),
    "log_softmax": typed(mg.log_softmax),
    "nn.functional.softmin": typed(lambda x, dim: mg.softmax(-x, dim)),
    # where elements sit
    "reshape": mg.reshape,
    "view": mg.reshape,
    "reshape_as": lambda x, y: mg.reshape(x, y.shape),
    "view_as": lambda x, y: mg.reshape(x, y.shape),
    "ravel": lambda x: x.reshape(-1),
    "permute": mg.permute,
    "transpose": lambda x, a, b: mg.swapaxes(x, a, b) if x.ndim else x,
    "T": lambda x: x.T,
    "t": lambda x: x.T,
    "mT": lambda x: mg.swapaxes(x, -1, -2),
    "flatten": flatten,
    "unflatten": unflatten,
    "expand": expand,
    "broadcast_to": expand,
    "expand_as": lambda x, y: mg.broadcast_to(x, y.shape),
    "squeeze": squeeze,
    "unsqueeze": mg.expand_dims,
    "flip": lambda x, dims: mg.flip(x, dims),
    "roll": lambda x, shifts, dims=(): mg.roll(x, shifts, None if dims == () else dims),
    "tile": lambda x, reps: mg.tile(x, reps),
    "movedim": mg.moveaxis,
    "tril": mg.tril,
    "triu": mg.triu,
    "fliplr": lambda x: mg.flip(x, 1),
    "flipud": lambda x: mg.flip(x, 0),
    "cat": lambda xs, dim=0: mg.concatenate(xs, dim),
    "stack": lambda xs, dim=0: mg.stack(xs, dim),
    "split": split,
    "split_with_sizes": split,
    "tensor_split": tensor_split,
    "chunk": chunk,
    "unbind": lambda x, dim=0: [cut(x, i, dim) for i in range(x.shape[dim])],
    "narrow": narrow,
    "select": lambda x, dim, index: cut(x, index, dim),
    "slice": lambda x, dim=0, start=None, end=None, step=1: cut(x, slice(start, end, step), dim),
    "__getitem__": mg.ops.getitem,
    "index_select": lambda x, dim, index: cut(x, index, dim) if x.ndim else x.reshape(1)[index].reshape(()),
    "masked_select": masked_select,
    "take": lambda x, index: x.reshape(-1)[index],
    "nn.functional.pad": pad,
    "constant_pad_nd": lambda x, widths, value=0.0: pad(x, widths, value=value),
    # products
    "matmul": mg.matmul,
    "__rmatmul__": lambda x, y: y @ x,
    **{name: mg.matmul for name in ("mm", "mv", "bmm", "dot")},
    "inner": inner,
    "outer": mg.outer,
    "tensordot": lambda a, b, dims=2: mg.tensordot(a, b, dims),
    "addmm": addmm,
    "baddbmm": addmm,
    "addmv": addmm,
    "nn.functional.linear": mg.linear,
    "einsum": einsum,
    # images, layers, losses
    "nn.functional.conv2d": conv2d,
    "nn.functional.conv_transpose2d": conv_transpose2d,
    "nn.functional.conv1d": conv1d,
    "nn.functional.conv_transpose1d": conv_transpose1d,
    "nn.functional.max_pool2d": max_pool2d,
    "nn.functional.avg_pool2d": avg_pool2d,
    "nn.functional.interpolate": nearest,
    "nn.functional.upsample_nearest": nearest,
    "nn.functional.pixel_shuffle": lambda x, upscale_factor: mg.pixel_shuffle(x, upscale_factor),
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.group_norm": group_norm,
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.embedding": embedding,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.binary_cross_entropy_with_logits": cross_entropy_of_logits,
    "nn.functional.mse_loss": mean_of(mg.square),
    "nn.functional.l1_loss": mean_of(mg.absolute),
}
