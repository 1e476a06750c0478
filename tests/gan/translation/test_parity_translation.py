"""One whole step of pix2pix and of CycleGAN against their authors' formulas in PyTorch: losses, updated weights."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from parity import torch

import minigan as mg
from minigan.gan.translation import CycleGAN, Pix2Pix
from minigan.models import UNetTranslator, patch_discriminator, resnet_translator

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


def adam(*players):
    return mg.optim.Adam([p for player in players for p in player.parameters()], LR, BETAS)


def adam_in_torch(*players):
    return torch.optim.Adam([p for player in players for p in player.parameters()], LR, BETAS)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_two_steps_of_pix2pix(rng, norm):
    mg.random.seed(0)
    G, tg = moved(UNetTranslator(1, 3, 3, 4, norm, dropout=0), UNet(1, 3, 3, 4, norm))
    D, td = moved(patch_discriminator(4, width=4, halvings=2, norm=norm), patches(4, 4, 2, norm))
    game = Pix2Pix(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D))
    g_opt, d_opt = adam_in_torch(tg), adam_in_torch(td)
    for _ in range(2):
        x, y = rng.standard_normal((2, 1, 16, 16)), rng.uniform(-1, 1, (2, 3, 16, 16))
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        fake = tg(x)
        real_scores, fake_scores = td(torch.cat([x, y], 1)), td(torch.cat([x, fake.detach()], 1))
        d_loss = 0.5 * (F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean())
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        of_scores, l1 = F.softplus(-td(torch.cat([x, fake], 1))).mean(), (fake - y).abs().mean()
        g_opt.zero_grad()
        (of_scores + 100 * l1).backward()
        g_opt.step()
        expected = {"d_loss": d_loss, "g_loss": of_scores, "l1": l1, "d_real": real_scores.sigmoid().mean()}
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-9), name
    the_same(G, tg)
    the_same(D, td)


def test_two_steps_of_cyclegan(rng):
    mg.random.seed(0)
    G, tg = moved(resnet_translator(3, 3, width=4, blocks=1), resnet(3, 3, 4, 1))
    back, tback = moved(resnet_translator(3, 3, width=4, blocks=1), resnet(3, 3, 4, 1))
    critics = [
        moved(patch_discriminator(3, width=4, halvings=1, norm="instance"), patches(3, 4, 1, "instance")) for _ in "ab"
    ]
    (D, td), (S, ts) = critics
    game = CycleGAN(
        *(G, back, D, S),
        translators_optimizer=adam(G, back),
        discriminators_optimizer=adam(D, S),
        shape=(3, 8, 8),
    )
    g_opt, d_opt = adam_in_torch(tg, tback), adam_in_torch(td, ts)
    one, none = (lambda s: F.mse_loss(s, torch.ones_like(s))), (lambda s: F.mse_loss(s, torch.zeros_like(s)))
    for _ in range(2):
        x, y = (rng.uniform(-1, 1, (2, 3, 8, 8)) for _ in range(2))
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        fake_y, fake_x = tg(x), tback(y)
        cycle = F.l1_loss(tback(fake_y), x) + F.l1_loss(tg(fake_x), y)
        identity = F.l1_loss(tg(y), y) + F.l1_loss(tback(x), x)
        of_scores = one(td(fake_y)) + one(ts(fake_x))
        g_opt.zero_grad()
        (of_scores + 10 * cycle + 5 * identity).backward()
        g_opt.step()
        d_opt.zero_grad()
        d_loss = 0.5 * (one(td(y)) + none(td(fake_y.detach()))) + 0.5 * (one(ts(x)) + none(ts(fake_x.detach())))
        d_loss.backward()
        d_opt.step()
        expected = {"d_loss": d_loss, "g_loss": of_scores / 2, "cycle": cycle, "identity": identity}
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-9), name
    for ours, theirs in ((G, tg), (back, tback), *critics):
        the_same(ours, theirs)
