"""Rounds that are taken back: nothing tells afterwards, and what they were played for is right."""

import numpy as np
import pytest
from games_by_name import on_points

import minigan as mg
from minigan.gan import Sight, penalties, rehearsal
from minigan.tensor import Tensor

REAL = Tensor(mg.random.Stream(5).normal((6, 2)))


def tiny(**options):
    """A game on points, with what keeps state: batch norm, spectral norm, moments, averages."""
    mg.random.seed(0)
    G = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.BatchNorm1d(4), mg.nn.ReLU(), mg.nn.Linear(4, 2))
    D = mg.nn.Sequential(mg.nn.spectral_norm(mg.nn.Linear(2, 4)), mg.nn.LeakyReLU(0.2), mg.nn.Linear(4, 1))
    return on_points(G, D, **options)


def batches(k):
    return REAL


def arrays(game):
    return {name: t.numpy() for name, t in game.state.items()}


@pytest.mark.parametrize("options", [{}, {"sight": Sight(replay=12)}, {"penalty": penalties.gradient_penalty}])
def test_the_state_afterwards_is_the_one_before(options):
    game = tiny(**options)
    twin = tiny(**options)
    for _ in range(3):
        game.play(batches)
        twin.play(batches)
        before = arrays(game)
        rehearsal.gradient_norms(game, batches)
        assert all(np.array_equal(before[k], v) for k, v in arrays(game).items())
    game.play(batches)
    twin.play(batches)
    assert all(np.array_equal(v, arrays(twin)[k]) for k, v in arrays(game).items())
    assert game.rounds == 4


def test_gradient_norms_are_the_lengths_of_what_the_optimizers_get():
    game = tiny()
    given = {}
    norms = rehearsal.gradient_norms(game, batches)
    for name, optimizer in game.optimizers.items():
        original = optimizer.step

        def step(grads, name=name, original=original):
            given[name] = np.sqrt(sum((g.numpy().astype(float) ** 2).sum() for g in grads))
            original(grads)

        optimizer.step = step
    game.play(batches)
    assert set(norms) == {"generator", "discriminator"}
    assert norms == pytest.approx(given, rel=1e-5)


def test_gradients_are_those_of_the_norms_by_the_names_of_parameters():
    game = tiny()
    norms, found = rehearsal.gradients(game, batches)
    assert norms == rehearsal.gradient_norms(game, batches)
    names = {f"{name}.{key}": p for name, player in game.players.items() for key, p in player.named_parameters()}
    assert {name: g.shape for name, g in found.items()} == {name: p.shape for name, p in names.items()}
    for player, norm in norms.items():
        squares = [np.square(g.astype(float)).sum() for name, g in found.items() if name.startswith(player)]
        assert np.sqrt(sum(squares)) == pytest.approx(norm, rel=1e-5)


def test_the_first_op_with_a_nan_is_named():
    game = tiny()
    game.play(batches)
    critic = game.discriminator.forward

    def forward(x):
        y = critic(x)
        return mg.log(y - 1e6) if game.rounds == 3 else y

    game.discriminator.forward = forward
    kept = arrays(game)
    with np.errstate(invalid="ignore"):
        found = rehearsal.first_nonfinite(game, batches, 6)
    assert found.startswith(
        "step 4: log in discriminator, forward pass: the first result that is not finite, from a tens"
    )
    assert "in [-1e+06, -1e+06]" in found
    assert all(np.array_equal(kept[k], v) for k, v in arrays(game).items())
    assert rehearsal.first_nonfinite(game, batches, 3) == "up to step 3 every number is finite when it is played again"


def test_a_weight_that_its_step_spoils_is_named():
    game = tiny()
    game.optimizers["generator"].lr = 1e39  # infinite in float32
    with np.errstate(all="ignore"):
        assert rehearsal.first_nonfinite(game, batches, 5).startswith("step 1: generator.")
    game.generator.parameters()[0].data[...] = np.nan
    assert rehearsal.first_nonfinite(game, batches, 5).startswith("before step 1, generator.")
