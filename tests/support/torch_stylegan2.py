"""StyleGAN2's formulas in PyTorch, weights for each sample made as the paper writes them."""

import math

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
TAPS = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 8


def act(x, bias, multiplier=1.0):
    return F.leaky_relu(x + (bias * multiplier).reshape(-1, *[1] * (x.ndim - 2)), 0.2) * math.sqrt(2)


def filtered(x, up, down, pads, gain=1.0):
    """Zeros put between pixels, a border, the filter, each down-th pixel."""
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    x = F.pad(x, (pads[0], pads[1], pads[0], pads[1]))
    kernel = (torch.outer(TAPS, TAPS) * gain).expand(c, 1, 4, 4)
    return F.conv2d(x, kernel, groups=c)[:, :, ::down, ::down]


def equal(w, multiplier=1.0):
    return w * (multiplier / math.sqrt(w[0].numel()))


class Theirs:
    """The two networks as functions of their parameters by name."""

    def __init__(self, G, D):
        self.G, self.D = G, D

    def mapping(self, z):
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for k in range(1, 1 + 2 * sum(name.startswith("mapping") for name in self.G) // 2, 2):
            x = act(x @ equal(self.G[f"mapping.{k}.weight_orig"], 0.01).T, self.G[f"mapping.{k + 1}.bias"], 0.01)
        return x

    def modulated(self, name, x, style, up=1, demodulate=True):
        p = self.G
        w = p[f"{name}.weight"] if demodulate else equal(p[f"{name}.weight_orig"])
        s = style @ equal(p[f"{name}.affine.weight_orig"]).T + p[f"{name}.affine.bias_orig"]
        w = w[None] * s[:, None, :, None, None]
        if demodulate:
            w = w * torch.rsqrt(w.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        n, outer, inner, k, _ = w.shape
        x = x.reshape(1, n * inner, *x.shape[2:])
        if up == 2:
            w = w.transpose(1, 2).reshape(n * inner, outer, k, k)
            x = F.conv_transpose2d(x, w, stride=2, groups=n)
            return filtered(x.reshape(n, outer, *x.shape[2:]), 1, 1, (1, 1), 4.0)
        x = F.conv2d(x, w.reshape(n * outer, inner, k, k), padding=k // 2, groups=n)
        return x.reshape(n, outer, *x.shape[2:])

    def synthesis(self, styles, noise=None):
        """Images of a style for each layer; `noise` has the maps (N, H, W) of each convolution, if it counts."""
        p = self.G
        x = p["picture"].expand(len(styles[0]), -1, -1, -1)
        image, k = None, 0
        for size in range(1 + (len(styles) - 2) // 2):
            for _ in range(1 if size == 0 else 2):
                up = 2 if size and k % 2 == 1 else 1
                x = self.modulated(f"convolutions.{k}.conv", x, styles[k], up)
                if noise is not None:
                    x = x + p[f"convolutions.{k}.noise.weight"] * noise[k][:, None]
                x = act(x, p[f"convolutions.{k}.activation.bias"])
                k += 1
            shown = self.modulated(f"to_image.{size}.conv", x, styles[k], demodulate=False) + p[f"to_image.{size}.bias"]
            image = shown if image is None else filtered(image, 2, 1, (2, 1), 4.0) + shown
        return image

    def critic(self, x):
        p = self.D
        x = act(F.conv2d(x, equal(p["0.conv.weight_orig"])), p["0.bias"])
        k = 1
        while f"{k}.skip.1.weight_orig" in p:
            h = act(F.conv2d(x, equal(p[f"{k}.conv1.conv.weight_orig"]), padding=1), p[f"{k}.conv1.bias"])
            h = F.conv2d(filtered(h, 1, 1, (2, 2)), equal(p[f"{k}.conv2.conv.weight_orig"]), stride=2)
            h = act(h, p[f"{k}.conv2.bias"])
            x = (h + F.conv2d(filtered(x, 1, 2, (1, 1)), equal(p[f"{k}.skip.1.weight_orig"]))) * math.sqrt(0.5)
            k += 1
        spread = torch.sqrt(x.var(0, unbiased=False) + 1e-8).mean()
        x = torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], 1)
        x = act(F.conv2d(x, equal(p[f"{k + 1}.conv.weight_orig"]), padding=1), p[f"{k + 1}.bias"]).flatten(1)
        x = act(x @ equal(p[f"{k + 3}.weight_orig"]).T, p[f"{k + 4}.bias"])
        return x @ equal(p[f"{k + 5}.weight_orig"]).T + p[f"{k + 5}.bias_orig"]
