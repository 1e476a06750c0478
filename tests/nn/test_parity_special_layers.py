"""Spectral norm, weight norm, PReLU and conditional batch norm side by side with PyTorch."""

import sys
import warnings

import numpy as np
import pytest
from parity import check, close, torch

import minigan as mg
from minigan.nn import functional_call

tnn = torch.nn


def torch_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its successor names the parameters otherwise
        return tnn.utils.weight_norm(layer)


NORMS = {
    "spectral": (mg.nn.spectral_norm, tnn.utils.spectral_norm),
    "weight": (mg.nn.weight_norm, torch_weight_norm),
}
LAYERS = {
    "Linear": (lambda L: L.Linear(5, 3), (4, 5)),
    "Linear without bias": (lambda L: L.Linear(5, 3, bias=False), (4, 5)),
    "Conv2d": (lambda L: L.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), (2, 4, 7, 6)),
    "ConvTranspose2d": (lambda L: L.ConvTranspose2d(4, 6, 4, 2, 1), (2, 4, 3, 4)),
}


def same(ours, theirs, dtype):
    """Both with PyTorch's values, which must have the same names in the same order."""
    ours.to(dtype=dtype), theirs.to(getattr(torch, dtype))
    state = {k: v.numpy().copy() for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs


def compare(ours, theirs, shape, dtype, rng):
    """Forward, gradients to second order and buffers afterwards, in training and in evaluation mode."""
    names = [k for k, _ in theirs.named_parameters()]
    arrays = [rng.standard_normal(shape), *(p.detach().numpy() for p in theirs.parameters())]

    def call_theirs(x, *params):
        return torch.func.functional_call(theirs, dict(zip(names, params, strict=True)), (x,))

    for training in (True, False):
        ours.train(training), theirs.train(training)
        check(lambda x, *params: functional_call(ours, params, x), call_theirs, arrays, dtype, rng)
        for (k, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            close(a, b, dtype, k)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("norm", NORMS)
def test_computed_weights_to_second_order(norm, name, dtype, rng, monkeypatch):
    torch.manual_seed(0)
    # PyTorch 2.13's fused op fails its own gradgradcheck on a CPU: second derivatives are held against its formula.
    formula = lambda v, g, dim: v * (g / torch.norm_except_dim(v, 2, dim))
    monkeypatch.setattr(sys.modules["torch.nn.utils.weight_norm"], "_weight_norm", formula)
    make, shape = LAYERS[name]
    (our_norm, their_norm), layer = NORMS[norm], make(tnn)
    ours, theirs = same(our_norm(make(mg.nn)), their_norm(layer), dtype)
    compare(ours, theirs, shape, dtype, rng)
    if norm == "spectral":
        assert not np.array_equal(theirs.weight_u.numpy(), theirs.weight_v.numpy())


@pytest.mark.parametrize("name", LAYERS)
def test_weight_norm_as_pytorch_fuses_it(name, rng):
    make, shape = LAYERS[name]
    ours, theirs = same(mg.nn.weight_norm(make(mg.nn)), torch_weight_norm(make(tnn)), "float64")
    x = rng.standard_normal(shape)
    y, t = ours(mg.tensor(x)), theirs(torch.tensor(x))
    close(y, t, "float64")
    t.square().sum().backward()
    for a, p in zip(mg.grad(mg.sum(mg.square(y)), ours.parameters()), theirs.parameters(), strict=True):
        close(a, p.grad, "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("count", "shape"), [(1, (3, 4)), (4, (3, 4)), (4, (2, 4, 3, 3)), (1, (5,))])
def test_prelu(count, shape, dtype, rng):
    ours, theirs = same(mg.nn.PReLU(count, 0.3), tnn.PReLU(count, 0.3), dtype)
    assert np.array_equal(mg.nn.PReLU(count).weight.numpy(), tnn.PReLU(count).weight.detach().numpy())
    compare(ours, theirs, shape, dtype, rng)


def test_ten_steps_of_a_spectral_critic_with_a_gradient_penalty(rng):
    """Two forward passes before each gradient, weights moving in between: u and v go the same way."""
    torch.manual_seed(1)
    make = lambda L, norm: L.Sequential(norm(L.Linear(4, 6)), L.Tanh(), norm(L.Linear(6, 1)))
    ours, theirs = same(make(mg.nn, mg.nn.spectral_norm), make(tnn, tnn.utils.spectral_norm), "float64")
    opt = mg.optim.SGD(ours.parameters(), 0.1)
    their_opt = torch.optim.SGD(theirs.parameters(), 0.1)
    for _ in range(10):
        r, f = rng.standard_normal((2, 5, 4))
        x = mg.tensor(r)
        score = ours(x)
        slope = mg.grad(mg.sum(score), x, create_graph=True)
        opt.minimize(mg.mean(ours(mg.tensor(f))) - mg.mean(score) + mg.mean(mg.sum(mg.square(slope), axis=1)))
        t = torch.tensor(r, requires_grad=True)
        score = theirs(t)
        (slope,) = torch.autograd.grad(score.sum(), t, create_graph=True)
        their_opt.zero_grad()
        (theirs(torch.tensor(f)).mean() - score.mean() + slope.square().sum(1).mean()).backward()
        their_opt.step()
    for (k, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        close(a, b, "float64", k)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_conditional_batch_norm(dtype, rng):
    class Theirs(tnn.Module):
        def __init__(self):
            super().__init__()
            self.norm = tnn.BatchNorm2d(3, affine=False)
            self.gain = tnn.Embedding(5, 3)
            self.bias = tnn.Embedding(5, 3)

        def forward(self, x):
            return self.norm(x) * self.gain(labels)[:, :, None, None] + self.bias(labels)[:, :, None, None]

    labels = torch.tensor([4, 0, 0, 2])
    ours, theirs = same(mg.nn.ConditionalBatchNorm2d(3, 5), Theirs(), dtype)
    forward = ours.forward
    ours.forward = lambda x: forward(x, mg.tensor(labels.numpy()))
    compare(ours, theirs, (4, 3, 2, 5), dtype, rng)
