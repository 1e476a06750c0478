"""A block of BigGAN's generator, its discriminator and that of U-Net GAN against the papers' formulas in PyTorch."""

import pytest
from parity import torch

import minigan as mg
from minigan import nn

F = torch.nn.functional


def leaves(network):
    return {k: torch.tensor(v.numpy(), requires_grad=True) for k, v in network.named_parameters()}


def same(ours, theirs, network, p, x, t):
    """The value and its gradients with respect to all parameters and x."""
    c = mg.random.Stream(5).normal(ours.shape, dtype="float64")
    (theirs * torch.tensor(c)).sum().backward()
    found = mg.grad(mg.sum(ours * mg.tensor(c)), [*network.parameters(), x])
    expected = [*(leaf.grad for leaf in p.values()), t.grad]
    pairs = [(ours, theirs.detach()), *zip(found, expected, strict=True)]
    for a, b in pairs:
        scale = max(float(b.abs().max()), 1.0)
        assert abs(a.numpy() - b.numpy()).max() <= 1e-10 * scale


def convolved(p, name, x):
    return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=p[f"{name}.weight"].shape[2] // 2)


def test_a_block_of_the_generator():
    block = nn.ResidualBlock(4, 3, "up", norm="batch", style_dim=5, rng=mg.random.Stream(0)).to(dtype="float64")
    z = mg.tensor(mg.random.Stream(1).normal((6, 5), dtype="float64"))
    x = mg.tensor(mg.random.Stream(2).normal((6, 4, 4, 4), dtype="float64"))
    p, t, told = leaves(block), torch.tensor(x.numpy(), requires_grad=True), torch.tensor(z.numpy())

    def norm(name, h):
        gain, bias = (F.linear(told, p[f"{name}.{part}.weight"], p[f"{name}.{part}.bias"]) for part in ("gain", "bias"))
        return F.batch_norm(h, None, None, training=True) * gain[:, :, None, None] + bias[:, :, None, None]

    h = F.interpolate(norm("norm1", t).relu(), scale_factor=2)
    h = convolved(p, "conv2", norm("norm2", convolved(p, "conv1", h)).relu())
    same(block(x, z), h + convolved(p, "shortcut", F.interpolate(t, scale_factor=2)), block, p, x, t)


@pytest.mark.parametrize("side", [16, 64])
def test_the_discriminator(side):
    D = mg.models.biggan(side, width=2, classes=3, rng=mg.random.Stream(0)).discriminator.to(dtype="float64")
    x = mg.tensor(mg.random.Stream(1).normal((3, 3, side, side), dtype="float64"))
    labels = [2, 0, 1]
    p, t = leaves(D), torch.tensor(x.numpy(), requires_grad=True)
    blocks = sorted({int(k.split(".")[1]) for k in p if k.startswith("body.")})
    h = t
    for k, halves in zip(blocks, [True] * 4 + [False] if side == 64 else [True, True, False, False], strict=True):
        name = f"body.{k}"
        inner = convolved(p, f"{name}.conv1", h if k == 0 else h.relu())
        inner = convolved(p, f"{name}.conv2", inner.relu())
        halved = (lambda y: F.avg_pool2d(y, 2)) if halves else (lambda y: y)
        if f"{name}.shortcut.weight" in p:
            h = convolved(p, f"{name}.shortcut", halved(h)) if k == 0 else halved(convolved(p, f"{name}.shortcut", h))
        h = h + halved(inner)
    features = h.relu().sum((2, 3))
    scores = F.linear(features, p["score.weight"], p["score.bias"])
    scores = scores + (p["embedding.weight"][labels] * features).sum(1, keepdim=True)
    same(D(x, mg.tensor(labels)), scores, D, p, x, t)


def test_the_discriminator_of_pixels():
    D = mg.models.unet(16, width=4, classes=3, rng=mg.random.Stream(0)).discriminator.to(dtype="float64")
    x = mg.tensor(mg.random.Stream(1).normal((3, 3, 16, 16), dtype="float64"))
    labels = [2, 0, 1]
    p, t = leaves(D), torch.tensor(x.numpy(), requires_grad=True)

    def block(name, h, first=False, up=False):
        resize = (lambda y: F.interpolate(y, scale_factor=2)) if up else (lambda y: y)
        halve = (lambda y: y) if up else (lambda y: F.avg_pool2d(y, 2))
        inner = convolved(p, f"{name}.conv1", h if first else resize(h.relu()))
        return halve(convolved(p, f"{name}.conv2", inner.relu())) + halve(convolved(p, f"{name}.shortcut", resize(h)))

    h1 = block("encoder.0.0", t, first=True)
    h2 = block("encoder.1.0", h1)
    features = h2.relu().sum((2, 3))
    whole = F.linear(features, p["score.weight"], p["score.bias"])
    whole = whole + (p["embedding.weight"][labels] * features).sum(1, keepdim=True)
    h = torch.cat([block("decoder.0", h2, up=True), h1], 1)
    h = block("decoder.1", h, up=True).relu()
    asked = p["embedding_of_pixels.weight"][labels][:, :, None, None]
    pixels = convolved(p, "pixels", h) + (asked * h).sum(1, keepdim=True)
    scores = torch.cat([whole[:, :, None, None].expand_as(pixels), pixels], 1)
    same(D(x, mg.tensor(labels)), scores, D, p, x, t)
