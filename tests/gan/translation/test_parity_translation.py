"""One whole step of pix2pix and of CycleGAN against their authors' formulas in PyTorch: losses, updated weights."""

import pytest
from parity import torch
from translators_in_torch import F, UNet, adam, adam_in_torch, moved, none, one, patches, played, resnet, the_same

import minigan as mg
from minigan.gan.translation import CycleGAN, Pix2Pix
from minigan.models import UNetTranslator, patch_discriminator, resnet_translator


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
