"""A random program run by PyTorch, and what must agree: values, first and second gradients, infinities and NaN."""

import numpy as np
from parity import torch
from programs import Program, cotangents, derivatives

F = torch.nn.functional


def index(x, key):
    """x[key] as NumPy means it."""
    at = np.arange(x.numel()).reshape(x.shape)[key]
    return x.reshape(-1)[torch.from_numpy(np.ascontiguousarray(at).reshape(-1))].reshape(np.shape(at))


def pad(x, widths, value):
    """x with a border, (before, after) for each axis in order."""
    return F.pad(x, [n for both in reversed(widths) for n in both], value=value)


def constant(x, value):
    """A tensor like x of one number."""
    return torch.full_like(x, value)


def softplus(x):
    """Without the straight line that PyTorch takes from 20 on."""
    return F.softplus(x, threshold=40)


def batch_norm(x, w, b, eps):
    """The normalisation of a batch by its own statistics. PyTorch's gradient is wrong for a turned batch of one."""
    return F.batch_norm(x.contiguous(), None, None, w, b, training=True, eps=eps)


def var(x, axes, ddof, keepdim):
    """The variance, whose gradient passes through the mean too, an infinite one as NaN; of `torch.var` it does not."""
    squares = (x - x.mean(axes, keepdim=True)).square().sum(axes, keepdim)
    return squares / (x.numel() // max(squares.numel(), 1) - ddof)


def leaky_relu(x, slope=0.01):
    """A slope of 0 is a choice of 0, not a multiplication with it: as relu is, of infinities too."""
    return F.leaky_relu(x, slope) if slope else torch.relu(x)


class _Extreme(torch.autograd.Function):
    """What `amax` and `amin` are but for an infinite gradient, of which an element that lost gets 0, not 0 times it."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward((x == y) | (x.isnan() & y.isnan()))
        return y.clone()

    @staticmethod
    def backward(ctx, g):
        (ties,) = ctx.saved_tensors
        axes = [a for a, (n, k) in enumerate(zip(ties.shape, g.shape, strict=True)) if n != k]
        return torch.where(ties, g / (ties.sum(axes, keepdim=True) if axes else 1), 0.0), None


def _extreme(find, x, axes, keepdim):
    y = _Extreme.apply(x, find(x.detach(), axes, keepdim=True))
    return y if keepdim or not x.ndim else torch.squeeze(y, axes)


def amax(x, axes, keepdim=False):
    """The largest elements over `axes`."""
    return _extreme(torch.amax, x, axes, keepdim)


def amin(x, axes, keepdim=False):
    """The smallest elements over `axes`."""
    return _extreme(torch.amin, x, axes, keepdim)


def per_channel(x, w):
    """w (C,) as it broadcasts over the channels of x."""
    return w.reshape(1, -1, *(1 for _ in x.shape[2:]))


_NAMES = {
    "torch": torch,
    "F": F,
    "np": np,
    **{f.__name__: f for f in (index, pad, constant, softplus, batch_norm, var, leaky_relu, amax, amin, per_channel)},
}


def reference(p: Program, dtype: str) -> tuple[list, list, list]:
    """What `derivatives` returns, from PyTorch in this float type."""
    inputs = {k: torch.tensor(a.astype(dtype), requires_grad=True) for k, a in p.inputs.items()}
    values = dict(inputs)
    for name, (_, theirs) in p.steps.items():
        values[name] = eval(theirs, _NAMES, values)
    outputs = [values[k] for k in p.outputs]
    return [y.numpy(force=True) for y in outputs], *torch_gradients(outputs, [*inputs.values()])


def torch_gradients(outputs: list, inputs: list) -> tuple[list, list]:
    """What `gradients` returns, from PyTorch."""
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    nothing = [np.zeros(x.shape) for x in inputs]
    y = _contracted(outputs, dtype, 1)
    if not y.requires_grad:
        return nothing, nothing
    first = torch.autograd.grad(y, inputs, create_graph=True, allow_unused=True)
    first = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, first, strict=True)]
    found = [g.numpy(force=True) for g in first]
    z = _contracted(first, dtype, 2)
    if not z.requires_grad:
        return found, nothing
    second = torch.autograd.grad(z, inputs, allow_unused=True)
    return found, [n if h is None else h.numpy(force=True) for n, h in zip(nothing, second, strict=True)]


def _contracted(ys, dtype, seed):
    weights = cotangents([tuple(y.shape) for y in ys], dtype, seed)
    return sum((y * torch.from_numpy(c)).sum() for y, c in zip(ys, weights, strict=True))


def differences(p: Program) -> list[str]:
    """Where minigan and PyTorch disagree, in words: values, first and second gradients."""
    dtype = str(next(iter(p.inputs.values())).dtype)
    theirs = reference(p, dtype)
    try:
        ours = derivatives(p)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    exact = reference(p, "float64") if dtype == "float32" else theirs
    return compared(([*p.outputs], [*p.inputs]), ours, theirs, exact)


def compared(names: tuple[list[str], list[str]], ours: tuple, theirs: tuple, exact: tuple) -> list[str]:
    """Where two triples of (values, first, second gradients) disagree, with the names of outputs and inputs."""
    wrong = []
    for order, what in enumerate(["value", "first gradient", "second gradient"]):
        for name, a, b, c in zip(names[order > 0], ours[order], theirs[order], exact[order], strict=True):
            if order == 2 and a.shape == b.shape:
                a = np.where(np.isfinite(b), a, b)  # else it depends on the order of operations
            if not _agree(a, b, c):
                wrong.append(f"{what} of {name}:\n{a}\nPyTorch's:\n{b}")
    return wrong


def _agree(a: np.ndarray, b: np.ndarray, exact: np.ndarray) -> bool:
    """Do a and b hold the same numbers, up to rounding, and infinities and NaN at the same places?"""
    if a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
        return False
    if not finite.any():
        return True
    a, b, exact = a[finite], b[finite], exact[finite]
    scale = max(1.0, float(np.abs(exact).max()))
    if a.dtype == np.float32:
        return bool(np.abs(a - exact).max() <= 1e-4 * scale + 20 * np.abs(b - exact).max())
    return bool(np.abs(a - b).max() <= 1e-9 * scale)
