"""What `layers.py` times: each layer of minigan, the same of PyTorch's operations, and the arrays they are given."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import minigan as mg
from minigan import nn

F = torch.nn.functional
RNG = np.random.default_rng(0)


class Case(NamedTuple):
    title: str
    ours: Callable[..., Any]  # of the inputs and the parameters
    theirs: Callable[..., Any]
    arrays: list[np.ndarray]


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("float32")


def layer_case(title: str, layer: Any, theirs: Callable[..., Any], *inputs: np.ndarray) -> Case:
    params = [p.numpy() for p in layer.parameters()]
    count = len(inputs)
    return Case(
        title,
        lambda *xs: nn.functional_call(layer, list(xs[count:]), *xs[:count]),
        theirs,
        [*inputs, *(p if p.any() else draw(*p.shape) * 0.1 for p in params)],
    )


def sagan(x: Any, gamma: Any, theta: Any, phi: Any, g: Any, o: Any) -> Any:
    n, c, h, w = x.shape
    queries = F.conv2d(x, theta).reshape(n, -1, h * w).transpose(1, 2)
    keys = F.max_pool2d(F.conv2d(x, phi), 2).reshape(n, -1, h * w // 4)
    values = F.max_pool2d(F.conv2d(x, g), 2).reshape(n, -1, h * w // 4)
    seen = torch.bmm(values, torch.softmax(torch.bmm(queries, keys), -1).transpose(1, 2))
    return gamma * F.conv2d(seen.reshape(n, c // 2, h, w), o) + x


def modulated(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    s = F.linear(style, a, b)
    y = F.conv2d(x * s[:, :, None, None], weight, padding=weight.shape[2] // 2)
    return y * ((s.square() @ weight.square().sum((2, 3)).T) + 1e-8).rsqrt()[:, :, None, None]


def in_groups(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    n, c, h, w = x.shape
    each = weight[None] * F.linear(style, a, b)[:, None, :, None, None]
    each = each * (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    y = F.conv2d(x.reshape(1, n * c, h, w), each.reshape(-1, c, *each.shape[3:]), padding=each.shape[3] // 2, groups=n)
    return y.reshape(n, -1, h, w)


def our_groups(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    (n, c, h, w), (o, _, k, _) = x.shape, weight.shape
    scales = mg.reshape(
        mg.broadcast_to(mg.reshape(mg.linear(style, a, b), (n, c, 1)), (n, c, k * k)), (n, 1, c * k * k)
    )
    each = mg.reshape(weight, (1, o, c * k * k)) * scales
    each = each * mg.rsqrt(mg.sum(mg.square(each), 2, keepdims=True) + 1e-8)
    kernels = mg.reshape(each, (n * o, c, k, k))
    return mg.reshape(mg.conv2d(mg.reshape(x, (1, n * c, h, w)), kernels, padding=k // 2, groups=n), (n, o, h, w))


def r3gan(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any) -> Any:
    h = F.leaky_relu(F.conv2d(x, w1, b1), 0.2)
    h = F.leaky_relu(F.conv2d(h, w2, b2, padding=1, groups=len(w1) // 16), 0.2)
    return x + F.conv2d(h, w3)


def residual(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    h = F.relu(F.conv2d(F.relu(x), w1, b1, padding=1))
    return F.avg_pool2d(F.conv2d(h, w2, b2, padding=1), 2) + F.avg_pool2d(F.conv2d(x, w3, b3), 2)


def pixel_norm(x: Any) -> Any:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def rms_norm(x: Any, weight: Any) -> Any:
    return F.rms_norm(x, weight.shape, weight)


def group_norm(x: Any, weight: Any, bias: Any) -> Any:
    return F.group_norm(x, 8, weight, bias)


def conditional_group_norm(x: Any, style: Any, gain: Any, gain0: Any, bias: Any, bias0: Any) -> Any:
    scale, shift = F.linear(style, gain, gain0), F.linear(style, bias, bias0)
    return F.group_norm(x, 8) * scale[:, :, None, None] + shift[:, :, None, None]


def adain(x: Any, style: Any, weight: Any, bias: Any) -> Any:
    scale, shift = F.linear(style, weight, bias)[:, :, None, None].chunk(2, 1)
    return F.instance_norm(x) * (1 + scale) + shift


def squeezed(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return x * torch.sigmoid(F.conv2d(F.relu(F.conv2d(x.mean((2, 3), keepdim=True), w1, b1)), w2, b2))


def skipped(low: Any, high: Any, w1: Any, w2: Any) -> Any:
    h = F.leaky_relu(F.conv2d(F.adaptive_avg_pool2d(low, 4), w1), 0.1)
    return high * torch.sigmoid(F.conv2d(h, w2))


def discriminated(x: Any, t: Any) -> Any:
    m = (x @ t.flatten(1)).reshape(len(x), *t.shape[1:])
    close = torch.exp(-(m[:, None] - m[None]).abs().sum(3)).sum(1) - 1
    return torch.cat([x, close], 1)


def deviation(x: Any) -> Any:
    n, c, h, w = x.shape
    found = (x.reshape(4, n // 4, c, h, w).var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, found.repeat(4)[:, None, None, None].expand(n, 1, h, w)], 1)


def conv1d(x: Any, weight: Any, bias: Any) -> Any:
    return F.conv1d(x, weight, bias, padding=2)


def doubled(x: Any, weight: Any, bias: Any) -> Any:
    return F.conv_transpose1d(x, weight, bias, stride=2, padding=1)


def cases() -> list[Case]:
    """All of them."""
    made = []
    for n, queries, keys, e in ((64, 64, 64, 64), (16, 256, 256, 32)):
        arrays = [draw(n, queries, e), draw(n, keys, e), draw(n, keys, e)]
        title = f"attention, {n} x {queries} queries, {keys} keys of {e}"
        made.append(Case(title, mg.scaled_dot_product_attention, F.scaled_dot_product_attention, arrays))
    for c, side in ((64, 16), (64, 32)):
        layer = nn.SelfAttention2d(c)
        made.append(layer_case(f"SelfAttention2d({c}), {side}x{side}, batch 16", layer, sagan, draw(16, c, side, side)))
    for c, o, side, k in ((64, 64, 32, 3), (256, 256, 8, 3), (64, 3, 32, 1)):
        layer = nn.ModulatedConv2d(c, o, k, 128)
        case = layer_case(
            f"ModulatedConv2d({c}, {o}, {k}), {side}x{side}, batch 16",
            layer,
            modulated,
            draw(16, c, side, side),
            draw(16, 128),
        )
        made.append(case)
        made.append(case._replace(title="  in groups", ours=our_groups, theirs=in_groups))
    images, style = draw(16, 64, 32, 32), draw(16, 128)
    grouped = nn.GroupedResidualBlock(64)
    made.append(layer_case("GroupedResidualBlock(64), 32x32, batch 16", grouped, r3gan, images))
    halving = nn.ResidualBlock(64, 128, "down")
    made.append(layer_case("ResidualBlock(64, 128, down), 32x32, batch 16", halving, residual, images))
    made += [*norms(images, style), *of_samples(images)]
    return made


def norms(images: np.ndarray, style: np.ndarray) -> list[Case]:
    """Layers that normalise, and those that a style tells how."""
    wide, told = images.shape[1], style.shape[1]
    size = "32x32, batch 16"
    rows = draw(4096, wide)
    told_groups = nn.ConditionalGroupNorm(8, wide, style_dim=told)
    return [
        Case(f"PixelNorm, {wide} maps of {size}", nn.PixelNorm(), pixel_norm, [images]),
        layer_case(f"RMSNorm({wide}), 4096 rows", nn.RMSNorm(wide), rms_norm, rows),
        layer_case(f"GroupNorm(8, {wide}), {size}", nn.GroupNorm(8, wide), group_norm, images),
        layer_case(f"ConditionalGroupNorm(8, {wide}), {size}", told_groups, conditional_group_norm, images, style),
        layer_case(
            f"AdaptiveInstanceNorm2d({wide}), {size}", nn.AdaptiveInstanceNorm2d(wide, told), adain, images, style
        ),
    ]


def of_samples(images: np.ndarray) -> list[Case]:
    """Excitation, layers that see the whole batch, sequences."""
    wide = images.shape[1]
    low, sequences, rows = draw(16, wide, 8, 8), draw(16, 64, 256), draw(64, 256)
    size = "32x32, batch 16"
    return [
        layer_case(f"SqueezeExcitation({wide}), {size}", nn.SqueezeExcitation(wide), squeezed, images),
        layer_case(
            f"SkipLayerExcitation({wide}, {wide}), {size}", nn.SkipLayerExcitation(wide, wide), skipped, low, images
        ),
        layer_case("MinibatchDiscrimination(256), batch 64", nn.MinibatchDiscrimination(256), discriminated, rows),
        Case("MinibatchStdDev(4), 4x4, batch 64", nn.MinibatchStdDev(4), deviation, [draw(64, 256, 4, 4)]),
        layer_case("Conv1d(64, 64, 5), length 256, batch 16", nn.Conv1d(64, 64, 5, padding=2), conv1d, sequences),
        layer_case(
            "ConvTranspose1d(64, 64, 4, 2), length 256, batch 16",
            nn.ConvTranspose1d(64, 64, 4, 2, 1),
            doubled,
            sequences,
        ),
    ]
