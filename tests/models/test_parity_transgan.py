"""A block of TransGAN against PyTorch's layers: values and gradients."""

import pytest
from parity import torch

import minigan as mg
from minigan.models.transgan import TransformerBlock


@pytest.mark.parametrize("pixel_norm", [False, True])
def test_a_block(pixel_norm):
    ours = TransformerBlock(8, 4, 4, pixel_norm, rng=mg.random.Stream(0)).to(dtype="float64")
    p = {k: torch.tensor(v.numpy()) for k, v in ours.named_parameters()}
    attention = torch.nn.MultiheadAttention(8, 4, batch_first=True, dtype=torch.float64)
    attention.load_state_dict({k.removeprefix("attention."): v for k, v in p.items() if k.startswith("attention.")})

    def norm(name, x):
        if pixel_norm:
            return torch.nn.functional.rms_norm(x, (8,), eps=1e-8)
        return torch.nn.functional.layer_norm(x, (8,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)

    x = mg.tensor(mg.random.Stream(1).normal((2, 16, 8), dtype="float64"))
    t = torch.tensor(x.numpy(), requires_grad=True)
    h = norm("norm1", t)
    h = t + attention(h, h, h)[0]
    inside = torch.nn.functional.linear(norm("norm2", h), p["wider.weight"], p["wider.bias"])
    inside = torch.nn.functional.gelu(inside, approximate="tanh")
    theirs = h + torch.nn.functional.linear(inside, p["narrower.weight"], p["narrower.bias"])
    y = ours(x)
    c = mg.random.Stream(2).normal(y.shape, dtype="float64")
    (theirs * torch.tensor(c)).sum().backward()
    slope = mg.grad(mg.sum(y * mg.tensor(c)), x)
    assert abs(y.numpy() - theirs.detach().numpy()).max() < 1e-10
    assert abs(slope.numpy() - t.grad.numpy()).max() < 1e-10
