"""EBGAN and BEGAN: their losses against the papers' formulas, who moves, what is resumed, and the script."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from example_scripts import example
from replayed_game import replays_exactly
from single_turn import take

import minigan as mg
from minigan import nn
from minigan.gan import BEGAN, EBGAN, margin_loss, normal_latent
from minigan.models import energy as networks


def small(game, device="cpu", **options):
    """A game of points (N, 3) with a linear generator and a small autoencoder."""
    mg.random.seed(1)
    G = nn.Linear(2, 3)
    D = networks.Autoencoder(nn.Linear(3, 2), nn.Sequential(nn.Tanh(), nn.Linear(2, 3)), networks.mean_absolute)
    G.to(device), D.to(device)
    return game(
        G,
        D,
        latent=normal_latent(2),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-2),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-2),
        **options,
    )


def batch(k):
    return mg.tensor(np.random.default_rng(k).normal(0, 3, (4, 3)).astype("float32"))


def values(tensors):
    return {k: t.numpy() for k, t in tensors.items()}


def moved(before, after):
    return {k.split(".")[0] for k in before if not np.array_equal(before[k], after[k])}


def test_energies_are_distances(rng):
    x, y = rng.standard_normal((2, 3, 2, 4))
    found = networks.euclidean(mg.tensor(x), mg.tensor(y)).numpy()
    np.testing.assert_allclose(found, np.linalg.norm((x - y).reshape(3, -1), axis=1))
    found = networks.mean_absolute(mg.tensor(x), mg.tensor(y)).numpy()
    np.testing.assert_allclose(found, np.abs(x - y).reshape(3, -1).mean(1))
    mg.testing.gradcheck(networks.euclidean, [mg.tensor(x), mg.tensor(y)])
    mg.testing.gradcheck(networks.mean_absolute, [mg.tensor(x), mg.tensor(y)])


def test_the_margin_loss(rng):
    loss = margin_loss(2.0)
    real, fake = mg.tensor(np.array([1.0, 4.0])), mg.tensor(np.array([0.5, 3.0]))
    assert loss.discriminator(real, fake).item() == pytest.approx(2.5 + (1.5 + 0.0) / 2)
    assert loss.generator(fake).item() == pytest.approx(1.75)
    mg.testing.gradcheck(lambda r, f: mg.square(loss.discriminator(r, f)), [real, fake])
    mg.testing.gradcheck(lambda f: mg.square(loss.generator(f)), [fake])


def test_the_pulling_away_term(rng):
    codes = rng.standard_normal((5, 3))
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    pairs = [(unit[i] @ unit[j]) ** 2 for i in range(5) for j in range(5) if i != j]
    assert mg.gan.pulling_away(mg.tensor(codes)).item() == pytest.approx(np.mean(pairs), rel=1e-9)
    assert mg.gan.pulling_away(mg.tensor(np.eye(3))).item() == pytest.approx(0, abs=1e-9)
    assert mg.gan.pulling_away(mg.tensor(np.array([[1.0, 2.0], [-2.0, -4.0]]))).item() == pytest.approx(1)
    mg.testing.gradcheck(mg.gan.pulling_away, [mg.tensor(codes)])


def test_ebgan_plays_the_papers_losses():
    game = small(EBGAN, margin=1.5, pull_away=0.3)
    G, D = game.generator, game.discriminator
    z = [game.latent(4, game.stream("noise").at(k)) for k in (0, 1)]
    real, fake = D(batch(0)).numpy(), D(G(z[0])).numpy()
    start = values(game.state)
    found = take(game, "discriminator_turn", batch(0))
    assert found["d_loss"].item() == pytest.approx(real.mean() + np.maximum(1.5 - fake, 0).mean(), rel=1e-5)
    assert found["d_real"].item() == pytest.approx(real.mean(), rel=1e-5)
    middle = values(game.state)
    assert moved(start, middle) == {"discriminator", "discriminator_optimizer"}
    sample = G(z[1])
    expected = D(sample).numpy().mean() + 0.3 * mg.gan.pulling_away(D.encoder(sample)).item()
    found = take(game, "generator_turn", batch(0), noise=1, number=1)
    assert found["g_loss"].item() == pytest.approx(expected, rel=1e-5)
    assert moved(middle, values(game.state)) == {"generator", "generator_optimizer"}


def test_began_plays_the_papers_losses_and_moves_k():
    game = small(BEGAN, gamma=0.6, proportion=0.5)
    k, seen = 0.0, []
    for step in range(6):
        start = values(game.state)
        z = game.latent(4, game.stream("noise").at(step))
        real = game.discriminator(batch(step)).numpy().mean()
        fake = game.discriminator(game.generator(z)).numpy().mean()
        found = {name: value.item() for name, value in game.play(batch).items()}
        assert found["d_loss"] == pytest.approx(real - k * fake, rel=1e-4, abs=1e-6)
        assert found["g_loss"] == pytest.approx(fake, rel=1e-5)
        k = min(max(k + 0.5 * (0.6 * real - fake), 0.0), 1.0)
        assert found["k"] == pytest.approx(k, abs=1e-6)
        assert game.k.item() == found["k"]
        assert found["convergence"] == pytest.approx(real + abs(0.6 * real - fake), rel=1e-4)
        assert {"generator", "discriminator"} <= moved(start, values(game.state))
        seen.append(k)
    assert seen[0] > 0
    assert seen[0] < 1 == seen[-1]  # it rose, and was held


def test_began_moves_each_player_down_its_own_loss():
    """One step of plain descent, against gradients taken one by one."""
    game = small(BEGAN)
    G, D = game.generator, game.discriminator
    for name, player in game.players.items():
        game.optimizers[name] = mg.optim.SGD(player.parameters(), 0.1)
    game.k.copy_(np.float32(0.4))
    z = game.latent(4, game.stream("noise").at(0))
    wanted = []
    for player, loss in (
        (D, mg.mean(D(batch(0))) - 0.4 * mg.mean(D(G(z)))),
        (G, mg.mean(D(G(z)))),
    ):
        wanted += [
            (p, p.numpy() - 0.1 * g.numpy())
            for p, g in zip(player.parameters(), mg.grad(loss, player.parameters()), strict=True)
        ]
    game.play(batch)
    for p, expected in wanted:
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [EBGAN, BEGAN])
def test_a_resumed_game_is_the_same_game(kind):
    game, other = small(kind), small(kind)
    for _ in range(2):
        game.play(batch)
    saved = values(game.state)
    assert ("k" in saved) == (kind is BEGAN)
    other.load_state(saved)
    for _ in range(2):
        assert values(game.play(batch)) == values(other.play(batch))
    ours, theirs = values(game.state), values(other.state)
    assert moved(saved, ours) >= {"generator", "discriminator", "step"}
    assert all(np.array_equal(ours[k], theirs[k]) for k in ours)


def test_networks_fit_together():
    G, D = networks.ebgan28(5, code=7)
    x = G(mg.ones((3, 5)))
    assert x.shape == (3, 1, 28, 28)
    assert D(x).shape == (3,)
    assert D.encoder(x).shape == (3, 7)
    assert abs(D.reconstruct(x).numpy()).max() <= 1
    assert [p.num_parameters() for p in networks.ebgan28()] == [527_681, 817_505]
    for side, channels, depth in ((28, 1, 1), (32, 3, 2)):
        G, D = networks.began(side, 6, channels=channels, width=4, depth=depth)
        x = G(mg.ones((2, 6)))
        assert x.shape == (2, channels, side, side)
        assert D.reconstruct(x).shape == x.shape
        assert D.encoder(x).shape == (2, 6)
        assert [p.shape for p in D.decoder.parameters()] == [p.shape for p in G.parameters()]


@pytest.mark.parametrize(("model", "networks"), [("ebgan", "ebgan"), ("began", "ebgan"), ("began", "began")])
def test_the_script(model, networks, capsys):
    script = example("energy")
    status = mg.training.main(
        script.build,
        script.options(),
        script.shape,
        measure=script.measure,
        arguments=["--model", model, "--networks", networks, "--data", "digits", "--dry-run"],
    )
    assert status == 0
    printed = capsys.readouterr().out
    assert "energy_real" in printed
    assert ("convergence" in printed) == (model == "began")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: margin_loss(0), "margin: expected a finite number > 0, got 0"),
        (lambda: mg.gan.pulling_away(mg.ones((1, 3))), r"at least two samples, got \(1, 3\)"),
        (lambda: margin_loss(np.inf), "margin: expected a finite number > 0, got inf"),
        (lambda: small(EBGAN, pull_away=-1), "EBGAN: pull_away: expected a finite number >= 0, got -1"),
        (lambda: small(BEGAN, gamma=1.5), "BEGAN: gamma: .* got 1.5"),
        (lambda: small(BEGAN, proportion=np.inf), "BEGAN: proportion: .* got inf"),
        (lambda: networks.began(30), "divisible by 4, got 30"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()


@pytest.mark.parametrize("kind", [EBGAN, BEGAN])
def test_replayed_turns_are_the_turns(kind):
    replays_exactly(lambda: small(kind), lambda: batch)


@pytest.mark.parametrize("kind", [EBGAN, BEGAN])
def test_captured_turns_on_the_stand_in_are_the_turns_on_the_cpu(kind, monkeypatch):
    fakecupy.install(monkeypatch)
    on_cpu, on_cuda, game = losses_on_both(lambda device: small(kind, device), batch)
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    assert game.state["step"].device == "cuda"
