"""StyleGAN2's players and two rounds of their game against the same formulas in PyTorch."""

import numpy as np
import pytest
from parity import tensors
from torch_stylegan2 import Theirs

import minigan as mg
from minigan.gan import PathLengths, ScoreGame, losses, penalties

torch = pytest.importorskip("torch")
F = torch.nn.functional
SIDE, BATCH = 16, 4


@pytest.fixture
def players(rng):
    """In float64, with biases that are not 0."""
    mg.random.seed(0)
    found = mg.models.stylegan2(SIDE, 6, channels=2, width=4, style_dim=5, depth=2)
    for player in found:
        player.to(dtype="float64")
        player.eval()  # without style mixing
        for name, p in player.named_parameters():
            if "bias" in name:
                p.copy_(rng.standard_normal(p.shape) * 0.3 + p.numpy())
    return found


def close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        b = b.detach().numpy()
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-9, atol=1e-9 * max(np.abs(b).max(), 1e-3))


def test_a_step_of_the_discriminator_with_r1(players, rng):
    G, D = players
    theirs = Theirs(*map(tensors, players))
    z, real = rng.standard_normal((BATCH, 6)), rng.standard_normal((BATCH, 2, SIDE, SIDE))
    x = mg.tensor(real)
    with mg.no_grad():
        fake = G(mg.tensor(z))
    scores = D(x)
    slope = mg.grad(scores.sum(), x, create_graph=True)
    r1 = mg.square(slope).sum(axis=(1, 2, 3)).mean()
    loss = mg.mean(mg.softplus(D(fake))) + mg.mean(mg.softplus(-scores)) + 5 * r1
    x = torch.tensor(real, requires_grad=True)
    styles = [theirs.mapping(torch.tensor(z))] * G.layers
    made = theirs.synthesis(styles).detach()
    scores = theirs.critic(x)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    expected = F.softplus(theirs.critic(made)).mean() + F.softplus(-scores).mean()
    expected = expected + 5 * slope.square().sum((1, 2, 3)).mean()
    close([fake, loss], [made, expected])
    close(mg.grad(loss, D.parameters()), torch.autograd.grad(expected, list(theirs.D.values())))


def test_a_step_of_the_generator_with_path_lengths(players, rng):
    """The gradient of how long the slope with respect to styles is: a second derivative of the generator."""
    G, D = players
    theirs = Theirs(*map(tensors, players))
    z, y = rng.standard_normal((BATCH, 6)), rng.standard_normal((BATCH, 2, SIDE, SIDE)) / SIDE
    style = G.mapping(mg.tensor(z))
    styles = [style * 1.0 for _ in range(G.layers)]
    image = G.synthesis(styles)
    slopes = mg.grad((image * mg.tensor(y)).sum(), styles, create_graph=True)
    lengths = mg.sqrt(mg.mean(mg.stack([mg.square(s).sum(axis=1) for s in slopes]), 0))
    loss = mg.mean(mg.softplus(-D(image))) + 2 * mg.square(lengths - 0.3).mean()
    style = theirs.mapping(torch.tensor(z))
    styles = [style * 1.0 for _ in range(G.layers)]
    made = theirs.synthesis(styles)
    slopes = torch.autograd.grad((made * torch.tensor(y)).sum(), styles, create_graph=True)
    paths = torch.stack([s.square().sum(1) for s in slopes]).mean(0).sqrt()
    expected = F.softplus(-theirs.critic(made)).mean() + 2 * (paths - 0.3).square().mean()
    close([image, lengths, loss], [made, paths, expected])
    names = [name for name, _ in G.named_parameters() if "noise" not in name]
    ours = dict(zip((n for n, _ in G.named_parameters()), mg.grad(loss, G.parameters()), strict=True))
    close([ours[n] for n in names], torch.autograd.grad(expected, [theirs.G[n] for n in names]))


def drawn_in(play, monkeypatch):
    """(what play() returns, the arrays that streams drew from N(mean, std^2) within it)."""
    drawn, plain = [], mg.random.Stream.normal
    monkeypatch.setattr(
        mg.random.Stream, "normal", lambda *args, **options: drawn.append(plain(*args, **options)) or drawn[-1]
    )
    found = play()
    monkeypatch.undo()
    return found, [torch.tensor(array) for array in drawn]


def theirs_in_turn(theirs, made_of, layers):
    """Images of the first of these draws, their styles and what is left of the draws: z, then the noise of layers."""
    z, *rest = made_of
    styles = [theirs.mapping(z) * 1.0 for _ in range(layers)]
    return theirs.synthesis(styles, rest[: layers - 1]), styles, rest[layers - 1 :]


def test_rounds_of_the_game_with_lazy_r1_and_lazy_path_lengths(players, rng, monkeypatch):
    """Losses of both turns, the average length, weights after Adam; the noise that the game drew is fed to both."""
    G, D = players
    G.train()
    G.mixing = 0.0
    for layer in G.convolutions:
        layer.noise.weight.copy_(rng.standard_normal(1) * 0.3)
    theirs = Theirs(*map(tensors, players))
    game = ScoreGame(
        *(G, D),
        loss=losses.nonsaturating,
        latent=mg.gan.normal_latent(6, dtype="float64"),
        generator_optimizer=mg.optim.Adam(G.parameters(), 2e-3, (0.0, 0.99)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 2e-3, (0.0, 0.99)),
        penalty=penalties.r1,
        penalty_weight=5.0,
        penalty_every=3,
        path_lengths=PathLengths(2.0, 0.99, every=2, shrink=2),
    )
    game.graphs = False
    g_adam, d_adam = (torch.optim.Adam(p.values(), 2e-3, (0.0, 0.99)) for p in (theirs.G, theirs.D))
    average = 0.0
    for k in range(4):
        real = rng.standard_normal((BATCH, 2, SIDE, SIDE))
        shown, drawn = drawn_in(lambda real=real: game.play(lambda index: mg.tensor(real)), monkeypatch)
        fake, _, drawn = theirs_in_turn(theirs, drawn, G.layers)
        x = torch.tensor(real, requires_grad=True)
        scores = theirs.critic(x)
        d_loss = F.softplus(theirs.critic(fake.detach())).mean() + F.softplus(-scores).mean()
        if k % 3 == 0:
            (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
            d_loss = d_loss + 3 * 5 * slope.square().sum((1, 2, 3)).mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        fake, _, drawn = theirs_in_turn(theirs, drawn, G.layers)
        g_loss = F.softplus(-theirs.critic(fake)).mean()
        if k % 2 == 0:
            few, styles, (y,) = theirs_in_turn(theirs, drawn, G.layers)
            assert (len(few), y.shape) == (BATCH // 2, few.shape)
            slopes = torch.autograd.grad((few * y).sum(), styles, create_graph=True)
            lengths = torch.stack([s.square().sum(1) for s in slopes]).mean(0).sqrt()
            mean = lengths.mean().item()
            average = mean if k == 0 else 0.99 * average + 0.01 * mean
            g_loss = g_loss + 2 * 2 * (lengths - average).square().mean()
            assert shown["path_length"].item() == pytest.approx(mean, rel=1e-9)
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        close([shown["d_loss"], shown["g_loss"]], [d_loss, g_loss])
        assert game.paths.average.item() == pytest.approx(average, rel=1e-9)
        assert ("penalty" in shown, "path_length" in shown) == (k % 3 == 0, k % 2 == 0)
        for player, own in ((G, theirs.G), (D, theirs.D)):
            close([p for _, p in player.named_parameters()], own.values())
