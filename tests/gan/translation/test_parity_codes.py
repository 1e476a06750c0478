"""Whole steps of UNIT and of MUNIT against their authors' formulas in PyTorch: losses, updated weights."""

import pytest
from parity import torch
from translators_in_torch import Block, F, adam, adam_in_torch, moved, none, one, patches, played, the_same

import minigan as mg
from minigan.gan.translation import MUNIT, UNIT
from minigan.models import (
    StyledDecoder,
    StyledTranslator,
    content_encoder,
    image_encoder,
    patch_discriminator,
    unit_translators,
)

nn = torch.nn
WIDTH, STYLE = 3, 2


def encoder_layers(channels, blocks):
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, WIDTH, 7), nn.InstanceNorm2d(WIDTH), nn.ReLU()]
    layers += [nn.ReflectionPad2d(1), nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2), nn.InstanceNorm2d(2 * WIDTH), nn.ReLU()]
    return [*layers, *(Block(2 * WIDTH) for _ in range(blocks))]


def last_layers(channels):
    layers = [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(2 * WIDTH, WIDTH, 5)]
    layers += [nn.GroupNorm(1, WIDTH), nn.ReLU()]
    return [*layers, nn.ReflectionPad2d(3), nn.Conv2d(WIDTH, channels, 7), nn.Tanh()]


def unit_in_torch(source, target):
    last, first = Block(2 * WIDTH), Block(2 * WIDTH)
    reads = [nn.Sequential(*encoder_layers(c, 1), last) for c in (source, target)]
    makes = [nn.Sequential(first, Block(2 * WIDTH), *last_layers(c)) for c in (source, target)]
    return nn.Sequential(reads[0], makes[1]), nn.Sequential(reads[1], makes[0])


class Norm(nn.Module):
    """Adaptive instance norm."""

    def __init__(self, channels, features):
        super().__init__()
        self.affine = nn.Linear(features, 2 * channels)

    def forward(self, x, told):
        scale, shift = self.affine(told)[:, :, None, None].chunk(2, 1)
        return F.instance_norm(x) * (1 + scale) + shift


class Steered(nn.Module):
    def __init__(self, channels, features):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, channels, 3), nn.Conv2d(channels, channels, 3)
        self.first_norm, self.second_norm = Norm(channels, features), Norm(channels, features)

    def forward(self, x, told):
        pad = lambda h: F.pad(h, (1, 1, 1, 1), "reflect")
        h = F.relu(self.first_norm(self.first(pad(x)), told))
        return x + self.second_norm(self.second(pad(h)), told)


class Styled(nn.Module):
    def __init__(self, channels, features):
        super().__init__()
        self.style = nn.Sequential(nn.Linear(STYLE, features), nn.ReLU(), nn.Linear(features, features), nn.ReLU())
        self.blocks = nn.ModuleList([Steered(2 * WIDTH, features)])
        self.enlarging = nn.Sequential(*last_layers(channels))

    def forward(self, content, style):
        return self.enlarging(self.blocks[0](content, self.style(style)))


class Translator(nn.Module):
    def __init__(self, source, target, features):
        super().__init__()
        self.encoder, self.decoder = nn.Sequential(*encoder_layers(source, 1)), Styled(target, features)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def reader_in_torch(channels):
    convs = [nn.Conv2d(channels, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*convs, Mean(), nn.Linear(8, STYLE))


def critics():
    def pair(channels):
        ours = patch_discriminator(channels, width=4, halvings=1, norm="instance")
        return moved(ours, patches(channels, 4, 1, "instance"))

    return pair(3), pair(1)


def draws(step, *shapes):
    """What the turn of that step draws, in order."""
    stream = mg.random.Stream(0, "players").at(step)
    return [torch.tensor(stream.normal(shape, dtype="float64")) for shape in shapes]


def discriminators_step(optimizer, *sides):
    """Of (critic, real, fake) each; their loss, with the half that lsgan has."""
    optimizer.zero_grad()
    loss = sum(one(critic(real)) + none(critic(fake.detach())) for critic, real, fake in sides) / 2
    loss.backward()
    optimizer.step()
    return loss


def generators_step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def batch(rng):
    return rng.uniform(-1, 1, (2, 1, 8, 8)), rng.uniform(-1, 1, (2, 3, 8, 8))


def agree(found, expected):
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-9), name


def test_two_steps_of_unit_whose_translators_share_weights(rng):
    mg.random.seed(0)
    ours = unit_translators(1, 3, width=WIDTH, blocks=2, halvings=1)
    (G, tg), (back, tback) = (moved(*both) for both in zip(ours, unit_in_torch(1, 3), strict=True))
    assert G[0][-1] is back[0][-1]
    assert G[1][0] is back[1][0]
    (D, td), (S, ts) = critics()
    game = UNIT(
        *(G, back, D, S),
        translators_optimizer=adam(G, back),
        discriminators_optimizer=adam(D, S),
        shape=(3, 8, 8),
        cycle_kl=0.02,
    )
    g_opt, d_opt = adam_in_torch(tg, tback), adam_in_torch(td, ts)
    for step in range(2):
        x, y = batch(rng)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        noise = draws(step, *[(2, 2 * WIDTH, 4, 4)] * 4)
        (read_x, draw_y), (read_y, draw_x) = tg, tback
        e_x, e_y = read_x(x), read_y(y)
        z_x, z_y = e_x + noise[0], e_y + noise[1]
        again = F.l1_loss(draw_x(z_x), x) + F.l1_loss(draw_y(z_y), y)
        fake_y, fake_x = draw_y(z_x), draw_x(z_y)
        back_x, back_y = read_y(fake_y), read_x(fake_x)
        cycle = F.l1_loss(draw_x(back_x + noise[2]), x) + F.l1_loss(draw_y(back_y + noise[3]), y)
        kl, back_kl = (a.square().mean() + b.square().mean() for a, b in ((e_x, e_y), (back_x, back_y)))
        of_scores = one(td(fake_y)) + one(ts(fake_x))
        generators_step(g_opt, of_scores + 10 * again + 0.01 * kl + 10 * cycle + 0.02 * back_kl)
        d_loss = discriminators_step(d_opt, (td, y, fake_y), (ts, x, fake_x))
        agree(
            found,
            {"d_loss": d_loss, "g_loss": of_scores / 2, "reconstruction": again, "kl": kl, "cycle": cycle},
        )
    for mine, theirs in ((G, tg), (back, tback), (D, td), (S, ts)):
        the_same(mine, theirs)


@pytest.mark.parametrize("weight", [0.0, 5.0])
def test_two_steps_of_munit(rng, weight):
    mg.random.seed(0)
    size = {"width": WIDTH, "blocks": 1, "halvings": 1}

    def translator(source, target):
        made = StyledTranslator(
            content_encoder(source, **size), StyledDecoder(target, STYLE, **size, features=5), STYLE
        )
        return moved(made, Translator(source, target, 5))

    def reader(channels):
        made = image_encoder(channels, STYLE, width=4, halvings=2, norm=None)
        theirs = reader_in_torch(channels)
        return moved(made, theirs)

    (G, tg), (back, tback), (E, te), (E_x, te_x) = translator(1, 3), translator(3, 1), reader(3), reader(1)
    (D, td), (S, ts) = critics()
    game = MUNIT(
        *(G, back, E, E_x, D, S),
        translators_optimizer=adam(G, back, E, E_x),
        discriminators_optimizer=adam(D, S),
        shape=(3, 8, 8),
        cycle=weight,
    )
    g_opt, d_opt = adam_in_torch(tg, tback, te, te_x), adam_in_torch(td, ts)
    for step in range(2):
        x, y = batch(rng)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        n_x, n_y = draws(step, (2, STYLE), (2, STYLE))
        c_x, c_y, s_x, s_y = tg.encoder(x), tback.encoder(y), te_x(x), te(y)
        again = F.l1_loss(tback.decoder(c_x, s_x), x) + F.l1_loss(tg.decoder(c_y, s_y), y)
        fake_y, fake_x = tg.decoder(c_x, n_y), tback.decoder(c_y, n_x)
        r_x, r_y = tback.encoder(fake_y), tg.encoder(fake_x)
        content = F.l1_loss(r_x, c_x) + F.l1_loss(r_y, c_y)
        style = F.l1_loss(te(fake_y), n_y) + F.l1_loss(te_x(fake_x), n_x)
        cycle = F.l1_loss(tback.decoder(r_x, s_x), x) + F.l1_loss(tg.decoder(r_y, s_y), y)
        of_scores = one(td(fake_y)) + one(ts(fake_x))
        generators_step(g_opt, of_scores + 10 * again + content + style + weight * cycle)
        d_loss = discriminators_step(d_opt, (td, y, fake_y), (ts, x, fake_x))
        expected = {"d_loss": d_loss, "g_loss": of_scores / 2, "reconstruction": again, "content": content}
        agree(found, {**expected, "style": style} | ({"cycle": cycle} if weight else {}))
    for mine, theirs in ((G, tg), (back, tback), (E, te), (E_x, te_x), (D, td), (S, ts)):
        the_same(mine, theirs)
