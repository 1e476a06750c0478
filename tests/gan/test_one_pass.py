"""The turn in which both players move by one pass of the discriminator makes the moves of two passes."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from replayed_game import replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan import nn
from minigan.gan import (
    EBGAN,
    AuxiliaryGame,
    Batch,
    ConditionalGame,
    Moves,
    Regularisers,
    ScoreGame,
    Sight,
    Turn,
    losses,
    one_pass,
)
from minigan.gan.energy import margin_loss
from minigan.gan.penalties import gradient_penalty, r1, r1_r2
from minigan.tensor import Tensor

ONE_PASS = [Turn("one_pass_turn")]
WITHIN = {"float64": 1e-10, "float32": 1e-5}
EVERY = {
    **losses.LOSSES,
    "alpha": losses.alpha_divergence(0.5),
    "noisy": losses.noisy_labels(losses.minimax, 0.9, 0.2),
    "margin": margin_loss(0.01),
}


def parts(G, D, loss=losses.nonsaturating):
    return {
        "loss": loss,
        "latent": lambda n, rng: Tensor(rng.normal((n, 3), dtype=G.parameters()[0].dtype)),
        "generator_optimizer": mg.optim.SGD(G.parameters(), 0.01),
        "discriminator_optimizer": mg.optim.SGD(D.parameters(), 0.01),
        "schedule": ONE_PASS,
    }


def on_images(loss=losses.nonsaturating, dtype="float64", pack=1, device="cpu", layers=(), ramp=None, **options):
    """The game of two small networks."""
    mg.random.seed(3)
    G = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)))
    D = nn.Sequential(
        *(nn.Conv2d(pack, 4, 3, 1, 1), nn.LeakyReLU(0.2), nn.MaxPool2d(2, 2), nn.Flatten(), *layers),
        *(nn.Linear(64, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)),
    )
    G, D = (player.to(dtype=dtype, device=device) for player in (G, D))
    ema = None if ramp is None else mg.optim.EMA(G, 0.9, ramp)
    return ScoreGame(G, D, **{**parts(G, D, loss), "sight": Sight(pack=pack), "ema": ema, **options})


def images(k, dtype="float64", device="cpu"):
    return Tensor(mg.random.Stream(k).uniform((6, 1, 8, 8), -1, 1).astype(dtype)).to(device)


def gradients(game, turn, drawn):
    """What each optimizer is given in that turn, all in one vector each; and what the log shows."""
    found = {}
    for name, optimizer in game.optimizers.items():
        vars(optimizer)["step"] = lambda grads, name=name: found.update({name: grads})
    with mg.random.using(mg.random.Stream(1)) as rng:
        shown = getattr(game, turn)(Batch(drawn, 0, 0, rng))
    return {k: np.concatenate([g.numpy().ravel() for g in gs]) for k, gs in found.items()}, shown


def same_moves(make, drawn, within):
    expected, told = gradients(make(), "simultaneous_turn", drawn)
    found, shown = gradients(make(), "one_pass_turn", drawn)
    assert {k: v.item() for k, v in shown.items()} == pytest.approx({k: v.item() for k, v in told.items()}, rel=within)
    for player, gradient in expected.items():
        assert np.isfinite(gradient).all()
        assert abs(gradient).max() > 0
        np.testing.assert_allclose(found[player], gradient, rtol=0, atol=within * abs(gradient).max(), err_msg=player)


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
def test_every_loss_of_scores(loss, dtype):
    same_moves(lambda: on_images(loss, dtype), images(0, dtype), WITHIN[dtype])


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize(
    "name", ["nonsaturating", "hinge", "relativistic", "relativistic_average_hinge", "lsgan_signed"]
)
def test_a_discriminator_that_is_sure_of_the_fakes_hides_nothing_from_the_generator(name, dtype):
    """Its own loss is then flat at them, or nearly: a hinge loss gives a slope of exactly zero."""
    loss, drawn = losses.LOSSES[name], 3 + images(0, dtype)

    def make():
        game = on_images(loss, dtype, penalty=r1)
        weights, bias = game.discriminator[-1].parameters()
        for parameter, value in ((weights, lambda r, f: weights.numpy() * 30 / (r - f)), (bias, lambda r, f: -r)):
            fake = game.generator(game.noise(Batch(drawn, 0, 0, mg.random.Stream(0))))
            parameter.data[...] = value(*(game.discriminator(x).numpy().mean() for x in (drawn, fake)))
        return game

    same_moves(make, drawn, WITHIN[dtype])


SWITCHED = {
    "r1": {"penalty": r1, "penalty_weight": 2.0},
    "a penalty between": {"penalty": gradient_penalty},
    "a penalty on the scores of fakes": {"penalty": lambda critic, real, fake, rng: mg.mean(mg.square(critic(fake)))},
    "packs": {"pack": 2, "penalty": r1_r2},
    "one batch": {"sight": Sight(joint_batches=True)},
    "another range": {"sight": Sight(prepare=lambda x: 0.5 * x + 0.5)},
    "lecam": {"regularisers": Regularisers(lecam=0.5, lecam_after=0)},
    "consistency": {"regularisers": Regularisers(consistency=2.0, fake_consistency=3.0)},
    "the best fakes": {"moves": Moves(top_k=0.5)},
    "layer norm": {"layers": [nn.LayerNorm(64)]},
}


@pytest.mark.parametrize("options", SWITCHED.values(), ids=SWITCHED)
def test_every_switch_that_it_goes_with(options):
    same_moves(lambda: on_images(losses.relativistic, **options), images(0), 1e-10)


class Sum(nn.Module):
    """Of samples (N, 2) and labels, the smallest player who is told both."""

    def __init__(self, columns, out):
        self.linear, self.of_class = nn.Linear(columns, out), nn.Embedding(4, out)

    def forward(self, x, labels):
        return mg.tanh(self.linear(x) + self.of_class(labels))


def labelled(make=ConditionalGame, **options):
    mg.random.seed(0)
    G, D = Sum(3, 2).to(dtype="float64"), Sum(2, 1).to(dtype="float64")
    return make(G, D, classes=4, **{**parts(G, D), **options})


def points(k):
    rng = np.random.default_rng(k)
    return Tensor(rng.normal(size=(8, 2))), Tensor(rng.integers(0, 4, 8))


def test_players_who_are_told_labels():
    same_moves(lambda: labelled(penalty=r1), points(0), 1e-10)


NETWORKS = {
    "mlp28": {},
    "dcgan28": {"generator_width": 4},
    "wgan_gp28": {"norm": None, "padding": 1, "generator_width": 4},
    "lab28": {"output": nn.Tanh},
    "dcgan": {"side": 32, "width": 4, "norm": None},
    "sndcgan": {"side": 32, "width": 4},
    "resnet": {"side": 16, "width": 8, "attention": 8},
    "r3gan": {"side": 16, "width": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_documents(name, classes):
    def make():
        mg.random.seed(0)
        players = getattr(mg.models, name)(z_dim=3 + classes, outputs=max(classes, 1), **NETWORKS[name])
        G, D = players if not classes else mg.models.of_classes(players, classes)
        told = {"classes": classes} if classes else {}
        kind = ConditionalGame if classes else ScoreGame
        return kind(*(p.to(dtype="float64") for p in (G, D)), **{**parts(G, D), "penalty": r1}, **told)

    samples = Tensor(np.random.default_rng(0).uniform(-1, 1, (4, *make().sample(1).shape[1:])))
    same_moves(make, (samples, Tensor(np.arange(4) % classes)) if classes else samples, 1e-10)


def test_weights_stay_limited_and_the_average_follows():
    game = on_images(losses.wasserstein, moves=Moves(clip=0.01))
    game.ema = mg.optim.EMA(game.generator, 0.5)
    game.play(images)
    assert max(abs(p.numpy()).max() for p in game.discriminator.parameters()) <= 0.01
    shadow, weight = game.ema.parameters()["0.weight"].numpy(), game.generator[0].weight.numpy()
    assert not np.array_equal(shadow, weight)
    before = on_images(losses.wasserstein).generator[0].weight.numpy()
    np.testing.assert_allclose(shadow, (before + weight) / 2, rtol=1e-12)


LAZY = {"penalty": r1, "penalty_every": 2, "ramp": 0.5}


@pytest.mark.parametrize("options", [{}, LAZY], ids=["plain", "lazy r1 and an average with a ramp"])
def test_a_replayed_and_a_resumed_game_are_the_game(options):
    replays_exactly(lambda: on_images(dtype="float32", **options), lambda: lambda k: images(k, "float32"), rounds=16)
    continues_exactly(*(on_images(**options) for _ in range(3)), images)
    continues_exactly(*(labelled() for _ in range(3)), points)


@pytest.mark.parametrize("options", [{}, LAZY], ids=["plain", "lazy r1 and an average with a ramp"])
def test_a_captured_game_is_the_game_on_the_cpu(options, monkeypatch):
    fakecupy.install(monkeypatch)
    on_cpu, on_cuda, game = losses_on_both(
        lambda device: on_images(dtype="float32", device=device, **options), lambda k: images(k, "float32"), rounds=12
    )
    assert len(game._turns[1]) == 1 + bool(options)
    assert all(turn.graph is not None for turn in game._turns[1].values())
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    if game.ema is not None:
        assert game.ema.updates.item() == 12
        assert game.ema._now.item() == pytest.approx(0.5 ** (1 / 6))


def test_factors_are_those_of_the_formulas():
    scores = mg.tensor(np.array([[-40.0], [-1.0], [0.0], [2.0]]))
    for loss, expected in (
        (losses.nonsaturating, -np.exp(-scores.numpy())),  # -sigmoid(-s) / sigmoid(s)
        (losses.minimax, np.full((4, 1), -1.0)),
        (losses.wasserstein, np.full((4, 1), -1.0)),
    ):
        d, g = loss.discriminator(scores, scores), loss.generator(scores)
        of_fakes = mg.grad(loss.discriminator(scores.detach(), scores), scores), mg.grad(g, scores)
        added, factor = one_pass.factors(*of_fakes)
        assert d.item() == d.item()
        np.testing.assert_allclose(factor.numpy(), expected, rtol=1e-12)
        assert (added.numpy() == 0).all()


def test_where_neither_player_is_moved_there_is_no_factor():
    added, factor = one_pass.factors(mg.tensor(np.array([0.0, 0.0, 0.5])), mg.tensor(np.array([0.0, -0.25, 0.0])))
    unit = np.finfo("float64").eps ** 2
    np.testing.assert_allclose(added.numpy(), [0.0, -0.25 * unit, 0.0], rtol=1e-15)
    np.testing.assert_allclose(factor.numpy(), [0.0, 1 / unit, 0.0], rtol=1e-15)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(64), nn.MinibatchStdDev()], ids=["batch norm", "stddev"])
def test_a_discriminator_that_mixes_samples_is_refused(layer):
    with pytest.raises(mg.errors.ShapeError, match=rf"one_pass_turn: .*{type(layer).__name__} mixes them"):
        on_images(layers=[layer])


def test_what_it_cannot_do_is_refused():
    with pytest.raises(mg.errors.ShapeError, match="needs a simultaneous_turn"):
        on_images(moves=Moves(consensus=1.0))
    for options, told in (({"moves": Moves(unroll=2)}, "got 2 and 0"), ({"sight": Sight(replay=8)}, "got 0 and 8")):
        with pytest.raises(mg.errors.ShapeError, match=f"no unroll or replay, {told}"):
            on_images(**options)
    with pytest.raises(mg.errors.ShapeError, match=r"latent_consistency 5\.0 adds to the generator's loss"):
        on_images(regularisers=Regularisers(latent_consistency=5.0))
    game = on_images()
    game.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(dtype="float64")
    with pytest.raises(mg.errors.ShapeError, match=r"one score a sample, got scores \(6, 3\) of 6"):
        game.play(images)
    with pytest.raises(mg.errors.ShapeError, match="AuxiliaryGame adds to both losses what is read from fakes"):
        labelled(AuxiliaryGame).play(points)
    G, D = mg.models.ebgan28(4)
    rest = {k: v for k, v in parts(G, D).items() if k != "loss"}
    with pytest.raises(mg.errors.ShapeError, match=r"EBGAN: pull_away 0.1 adds to the generator's loss"):
        EBGAN(G, D, **rest)
    assert EBGAN(G, D, pull_away=0.0, **rest).schedule == ONE_PASS
