"""Networks of translators as PyTorch programs write them, and what compares a game's steps with theirs."""

from typing import Any, NamedTuple

import numpy as np
from parity import torch

import minigan as mg

nn = torch.nn
F = torch.nn.functional
LR, BETAS = 2e-4, (0.5, 0.999)


class Both(NamedTuple):
    """A batch."""

    target: Any
    source: Any


def played(game, x, y):
    """A round of the game, with these sources and targets."""
    batch = Both(mg.tensor(y), mg.tensor(x))
    return game.play(lambda k: batch)


def norm_in_torch(name, channels):
    return [nn.BatchNorm2d(channels)] if name == "batch" else [nn.InstanceNorm2d(channels)]


class UNet(nn.Module):
    """pix2pix's generator without dropout, as a PyTorch program writes it."""

    def __init__(self, inputs, outputs, steps, width, norm):
        super().__init__()
        maps = [width * min(2**k, 8) for k in range(steps)]
        bias = norm != "batch"
        self.encoder = nn.ModuleList([nn.Conv2d(inputs, maps[0], 4, 2, 1)])
        for k in range(1, steps):
            last = k == steps - 1
            layers = [nn.LeakyReLU(0.2), nn.Conv2d(maps[k - 1], maps[k], 4, 2, 1, bias=bias or last)]
            self.encoder.append(nn.Sequential(*layers, *([] if last else norm_in_torch(norm, maps[k]))))
        self.decoder = nn.ModuleList()
        for k in reversed(range(1, steps)):
            up = nn.ConvTranspose2d(maps[k] * (1 if k == steps - 1 else 2), maps[k - 1], 4, 2, 1, bias=bias)
            self.decoder.append(nn.Sequential(nn.ReLU(), up, *norm_in_torch(norm, maps[k - 1])))
        last = nn.ConvTranspose2d(2 * maps[0], outputs, 4, 2, 1)
        self.decoder.append(nn.Sequential(nn.ReLU(), last, nn.Tanh()))

    def forward(self, x):
        kept = []
        for block in self.encoder:
            x = block(x)
            kept.append(x)
        x = self.decoder[0](kept.pop())
        for block in self.decoder[1:]:
            x = block(torch.cat([x, kept.pop()], 1))
        return x


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.layers = nn.Sequential(*half(), nn.ReLU(), *half())

    def forward(self, x):
        return x + self.layers(x)


def resnet(inputs, outputs, width, blocks):
    """CycleGAN's generator."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]
    for k in range(2):
        maps = width * 2**k
        layers += [nn.Conv2d(maps, 2 * maps, 3, 2, 1), nn.InstanceNorm2d(2 * maps), nn.ReLU()]
    layers += [Block(4 * width) for _ in range(blocks)]
    for k in (1, 0):
        maps = width * 2**k
        layers += [nn.ConvTranspose2d(2 * maps, maps, 3, 2, 1, 1), nn.InstanceNorm2d(maps), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh())


def patches(channels, width, halvings, norm):
    """The PatchGAN."""
    bias = norm != "batch"
    layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for k in range(1, halvings + 1):
        conv = nn.Conv2d(width * 2 ** (k - 1), width * 2**k, 4, 2 if k < halvings else 1, 1, bias=bias)
        layers += [conv, *norm_in_torch(norm, width * 2**k), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width * 2**halvings, 1, 4, 1, 1))


def moved(ours, theirs):
    """Both in float64, with the same weights; ours have biases that are not 0."""
    ours.to(dtype="float64")
    for name, p in ours.named_parameters():
        if name.endswith("bias"):
            p.copy_(np.linspace(-0.1, 0.1, p.size))
    theirs.double().load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return ours, theirs


def the_same(ours, theirs):
    """Weights and buffers after a step; a bias that instance norm takes away moves by what rounding leaves of it."""
    found = theirs.state_dict()
    for name, t in ours.state_dict().items():
        if "num_batches" not in name:
            a, b = t.numpy(), found[name].numpy()
            least = 1e-8 if name.endswith("bias") else 1e-9 * max(np.abs(b).max(), 1e-3)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=least, err_msg=name)


def once(*players):
    """Their parameters, what two share once."""
    return list({id(p): p for player in players for p in player.parameters()}.values())


def adam(*players):
    return mg.optim.Adam(once(*players), LR, BETAS)


def adam_in_torch(*players):
    return torch.optim.Adam(once(*players), LR, BETAS)


def one(scores):
    return F.mse_loss(scores, torch.ones_like(scores))


def none(scores):
    return F.mse_loss(scores, torch.zeros_like(scores))
