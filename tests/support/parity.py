"""What the parity tests share: moving values between minigan and PyTorch, and how close is close."""

import numpy as np
import pytest

import minigan as mg
from minigan.grad import depends_on
from minigan.tensor import Tensor

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'minigan[parity]'")


@pytest.fixture
def one_thread():
    """PyTorch on one thread: for small operations, waking others takes longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


RTOL = {"float64": 1e-10, "float32": 2e-4}


def both(arrays, dtype):
    """The same arrays as minigan Tensors and as torch tensors that want gradients."""
    arrays = [np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays]
    ours = [mg.tensor(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    return ours, theirs


def tensors(player):
    """The parameters of a network of minigan by name, as tensors that want gradients."""
    return {k: torch.tensor(v.numpy(), requires_grad=True) for k, v in player.named_parameters()}


def close(ours, theirs, dtype, what=""):
    """Assert that a minigan result equals torch's, relative to the largest element."""
    a = ours.numpy() if isinstance(ours, Tensor) else np.asarray(ours)
    b = theirs.detach().numpy(force=True) if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert a.shape == b.shape, what
    scale = max(float(np.abs(b).max(initial=0.0)), 1.0)
    assert np.abs(a - b).max(initial=0.0) <= RTOL[dtype] * scale, what


def check(ours_fn, theirs_fn, arrays, dtype, rng):
    """Forward, first and second gradients of both functions agree on the same random cotangents."""
    xs, ts = both(arrays, dtype)
    y, t = ours_fn(*xs), theirs_fn(*ts)
    close(y, t, dtype, "forward")
    floats = [k for k, a in enumerate(ts) if a.requires_grad]
    c = rng.standard_normal(y.shape).astype(dtype)
    g = mg.grad(y, [xs[k] for k in floats], mg.tensor(c), create_graph=True)
    h = torch.autograd.grad(t, [ts[k] for k in floats], torch.tensor(c), create_graph=True)
    for k, a, b in zip(floats, g, h, strict=True):
        close(a, b, dtype, f"first gradient with respect to argument {k}")
    if not any(b.requires_grad for b in h):
        return  # torch knows the gradient is constant
    d = [rng.standard_normal(a.shape).astype(dtype) for a in g]
    ours = mg.sum(g[0] * mg.tensor(d[0]))
    theirs = (h[0] * torch.tensor(d[0])).sum()
    for a, b, direction in zip(g[1:], h[1:], d[1:], strict=True):
        ours = ours + mg.sum(a * mg.tensor(direction))
        theirs = theirs + (b * torch.tensor(direction)).sum()
    second = torch.autograd.grad(theirs, [ts[k] for k in floats], allow_unused=True)
    wanted = [xs[k] for k in floats]
    found = mg.grad(ours, wanted) if depends_on(ours, wanted) else [mg.zeros_like(x) for x in wanted]
    for k, a, b in zip(floats, found, second, strict=True):
        expected = np.zeros(a.shape) if b is None else b
        close(a, expected, dtype, f"second gradient with respect to argument {k}")
