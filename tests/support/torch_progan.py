"""ProGAN's formulas in PyTorch, of a state dict's tensors."""

import math

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
GAIN = math.sqrt(2)


def pixel_norm(x):
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def conv(p, name, x, gain=GAIN):
    w = p[f"{name}.weight_orig"]
    return F.conv2d(x, w * (gain / math.sqrt(w[0].numel())), p[f"{name}.bias_orig"], padding=w.shape[-1] // 2)


def dense(p, name, x, gain=GAIN):
    w = p[f"{name}.weight_orig"]
    return F.linear(x, w * (gain / math.sqrt(w.shape[1])), p[f"{name}.bias_orig"])


def act(x):
    return F.leaky_relu(x, 0.2)


def doubled(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def their_image(p, z, stage, share):
    """Images of that stage, which is faded in so far."""
    x = dense(p, "blocks.0.1", pixel_norm(z), math.sqrt(2) / 4).reshape(len(z), -1, 4, 4)
    x = pixel_norm(act(conv(p, "blocks.0.5", pixel_norm(act(x)))))
    for k in range(1, stage + 1):
        before = conv(p, f"to_image.{k - 1}", x, 1)
        x = pixel_norm(act(conv(p, f"blocks.{k}.1", doubled(x))))
        x = pixel_norm(act(conv(p, f"blocks.{k}.4", x)))
    image = conv(p, f"to_image.{stage}", x, 1)
    return image if stage == 0 else torch.lerp(doubled(before), image, share)
