"""Averaged weights have the statistics of batch norm that are their own, and training does not notice."""

import numpy as np
import pytest
from resumed_game import numbers

import minigan as mg
from minigan.gan import ScoreGame, losses
from minigan.gan.game import STANDING, STANDING_BATCHES
from minigan.nn import functional_call, take_standing_statistics
from minigan.tensor import Tensor


def game(decay=0.5):
    mg.random.seed(0)
    nn = mg.nn
    G = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, momentum=0.01), nn.ReLU(), nn.Linear(5, 2))
    D = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=mg.gan.normal_latent(3),
        generator_optimizer=mg.optim.Adam(G.parameters(), 0.05),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 0.05),
        ema=mg.optim.EMA(G, decay) if decay else None,
    )


def batches(k):
    return Tensor(np.random.default_rng(k).standard_normal((16, 2)).astype("float32"))


def test_they_are_the_means_over_the_batches(rng):
    norm = mg.nn.BatchNorm1d(4, momentum=0.3)
    x = rng.standard_normal((5, 20, 4)).astype("float32") * 3 + 1
    take_standing_statistics(norm, lambda k: norm(Tensor(x[k])), 5)
    np.testing.assert_allclose(norm.running_mean.numpy(), x.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var.numpy(), x.var(1, ddof=1).mean(0), rtol=1e-4)
    assert norm.momentum == 0.3
    with pytest.raises(ZeroDivisionError):
        take_standing_statistics(norm, lambda k: 1 // 0, 5)
    assert norm.momentum == 0.3
    take_standing_statistics(mg.nn.Linear(2, 2), lambda k: 1 // 0, 5)  # no batch norm: nothing passes


def test_averaged_weights_have_their_own():
    g = game()
    for _ in range(20):
        g.play(batches)
    weight, bias = (g.ema.shadow[name].numpy() for name in ("0.weight", "0.bias"))
    z = [g.latent(STANDING, g.stream("standing statistics").at(k)).numpy() for k in range(STANDING_BATCHES)]
    expected = (np.concatenate(z) @ weight.T + bias).mean(0)
    before = numbers(g)
    live = g.ema.shadow["1.running_mean"].numpy()
    g.settle()
    np.testing.assert_allclose(g.ema.shadow["1.running_mean"].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert abs(live - expected).max() > 0.01  # which those of the weights that it follows are not
    changed = {name for name, value in numbers(g).items() if not np.array_equal(value, before[name])}
    assert changed == {f"ema.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}


def test_samples_are_made_with_them():
    g = game()
    for _ in range(20):
        g.play(batches)
    g.settle()
    z = g.latent(7, g.stream("samples").at(0))
    network = game().generator.eval()
    network.load_state_dict({name: t.numpy() for name, t in g.ema.state_dict().items()})
    assert np.array_equal(g.sample(7).numpy(), network(z).numpy())


def test_training_goes_on_as_if_nothing_had_been_taken():
    plain, settled = game(), game()
    for k in range(6):
        expected = {name: value.item() for name, value in plain.play(batches).items()}
        assert {name: value.item() for name, value in settled.play(batches).items()} == expected
        if k % 2:
            settled.settle()
    plain.play(batches)
    settled.play(batches)
    ours, theirs = numbers(plain), numbers(settled)
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


def test_without_an_average_there_is_nothing_to_take():
    g = game(decay=None)
    g.play(batches)
    before = numbers(g)
    g.settle()
    assert all(np.array_equal(value, before[name]) for name, value in numbers(g).items())


def test_buffers_can_be_exchanged_in_a_call():
    norm = mg.nn.BatchNorm1d(2, affine=False).eval()
    x = Tensor(np.ones((3, 2), "float32"))
    shifted = functional_call(norm, {"running_mean": mg.tensor([1.0, 0.0])}, x).numpy()
    np.testing.assert_allclose(shifted, [[0, 1]] * 3, atol=1e-4)
    assert norm.running_mean.numpy().tolist() == [0, 0]
    with pytest.raises(mg.errors.ShapeError, match="running_mean of shape"):
        functional_call(norm, {"running_mean": mg.ones(3)}, x)
