"""Steps of DANN and ADDA against their authors' formulas in PyTorch: losses, updated weights, in float64."""

from itertools import pairwise

import numpy as np
import pytest
from parity import torch

import minigan as mg
from minigan import nn
from minigan.data import LabelledDomains
from minigan.gan import ADDA, DANN

F = torch.nn.functional
LR, ROUNDS = 0.05, 10


class Reversal(torch.autograd.Function):
    """The layer that the paper has."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.weight * g, None


def dense(*widths):
    """The same network here and there."""
    ours, theirs = [], []
    for before, after in pairwise(widths):
        ours += [nn.Linear(before, after), nn.Tanh()]
        theirs += [torch.nn.Linear(before, after), torch.nn.Tanh()]
    ours, theirs = nn.Sequential(*ours[:-1]).to(dtype="float64"), torch.nn.Sequential(*theirs[:-1]).double()
    theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()})
    return ours, theirs


def the_same(*pairs):
    for ours, theirs in pairs:
        found = theirs.state_dict()
        for name, t in ours.state_dict().items():
            np.testing.assert_allclose(t.numpy(), found[name].numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def batch(rng):
    """(what a game is given, x, labels, y): sources and targets in five numbers, three classes."""
    x, y = rng.standard_normal((4, 5)), rng.standard_normal((4, 5)) + 1
    labels = rng.integers(0, 3, 4)
    given = LabelledDomains(mg.tensor(y), mg.tensor(x), mg.tensor(labels))
    return given, torch.tensor(x), torch.tensor(labels), torch.tensor(y)


def sgd(*players):
    return torch.optim.SGD([p for player in players for p in player.parameters()], LR, momentum=0.9)


def our_sgd(*players):
    return mg.optim.SGD([p for player in players for p in player.parameters()], LR, momentum=0.9)


def shown_as(found, **expected):
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}, rel=1e-9
    )


def test_steps_of_dann_with_a_reversed_gradient(rng):
    mg.random.seed(0)
    (E, te), (C, tc), (D, td) = dense(5, 8, 6), dense(6, 3), dense(6, 7, 1)
    game = DANN(E, C, D, optimizer=our_sgd(E, C, D), adversarial=0.7)
    game.lasts(ROUNDS)
    optimizer = sgd(te, tc, td)
    for k in range(4):
        given, x, labels, y = batch(rng)
        found = game.play(lambda _, given=given: given)
        weight = 0.7 * (2 / (1 + np.exp(-10 * k / ROUNDS)) - 1)
        seen = te(x)
        task = F.cross_entropy(tc(seen), labels)
        real, fake = td(Reversal.apply(seen, weight)), td(Reversal.apply(te(y), weight))
        domain = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        domain = domain + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        optimizer.zero_grad()
        (task + domain).backward()
        optimizer.step()
        shown_as(found, d_loss=domain, task=task, d_real=real.sigmoid().mean(), d_fake=fake.sigmoid().mean())
        the_same((E, te), (C, tc), (D, td))


def test_each_player_of_dann_descends_a_loss_of_its_own(rng):
    """F goes down CE - weight L, C down CE, D down L, all from where they stand."""
    mg.random.seed(0)
    (E, te), (C, tc), (D, td) = dense(5, 8, 6), dense(6, 3), dense(6, 7, 1)
    game = DANN(E, C, D, optimizer=mg.optim.SGD([*E.parameters(), *C.parameters(), *D.parameters()], LR))
    given, x, labels, y = batch(rng)
    game.play(lambda _: given)
    weight = 2 / (1 + np.exp(-10.0)) - 1
    task = F.cross_entropy(tc(te(x)), labels)
    domain = F.softplus(-td(te(x))).mean() + F.softplus(td(te(y))).mean()
    objectives = (te, task - weight * domain), (tc, task), (td, domain)
    slopes = [torch.autograd.grad(loss, [*each.parameters()], retain_graph=True) for each, loss in objectives]
    with torch.no_grad():
        for (each, _), grads in zip(objectives, slopes, strict=True):
            for p, g in zip(each.parameters(), grads, strict=True):
                p -= LR * g
    the_same((E, te), (C, tc), (D, td))


def test_steps_of_adda_in_both_phases(rng):
    mg.random.seed(0)
    (S, ts), (T, tt), (C, tc), (D, td) = dense(5, 8, 6), dense(5, 8, 6), dense(6, 3), dense(6, 7, 1)
    optimizers = {"source_optimizer": our_sgd(S, C), "target_optimizer": our_sgd(T)}
    game = ADDA(S, T, C, D, discriminator_optimizer=our_sgd(D), warm_up=2, **optimizers)
    s_opt, t_opt, d_opt = sgd(ts, tc), sgd(tt), sgd(td)
    for k in range(5):
        given, x, labels, y = batch(rng)
        found = game.play(lambda _, given=given: given)
        if k < 2:
            task = F.cross_entropy(tc(ts(x)), labels)
            s_opt.zero_grad()
            task.backward()
            s_opt.step()
            shown_as(found, task=task)
            continue
        if k == 2:
            tt.load_state_dict(ts.state_dict())
        fake = tt(y)
        real_scores, fake_scores = td(ts(x).detach()), td(fake.detach())
        d_loss = F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        g_loss = F.softplus(-td(fake)).mean()  # inverted labels
        t_opt.zero_grad()
        g_loss.backward()
        t_opt.step()
        chances = {"d_real": real_scores.sigmoid().mean(), "d_fake": fake_scores.sigmoid().mean()}
        shown_as(found, d_loss=d_loss, g_loss=g_loss, **chances)
        the_same((S, ts), (T, tt), (C, tc), (D, td))
