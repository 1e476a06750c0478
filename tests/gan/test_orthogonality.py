"""Orthogonal regularisation: the paper's formula, over which weights, and in the generator's turns."""

import numpy as np
import pytest
from watched_game import game

import minigan as mg
from minigan import nn
from minigan.errors import ShapeError
from minigan.gan import Batch, Regularisers, Turn, losses, orthogonal
from minigan.gan.orthogonality import beside_the_diagonal
from minigan.random import Stream
from minigan.tensor import Tensor


def formula(w):
    """Equation 3 as it is written, for a matrix whose rows are outputs."""
    w = w.T
    return ((w.T @ w * (1 - np.eye(w.shape[1]))) ** 2).sum()


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (4, 4), (1, 5)])
def test_it_is_the_papers_formula_to_second_order(shape, rng):
    w = rng.standard_normal(shape)
    assert beside_the_diagonal(mg.tensor(w)).item() == pytest.approx(formula(w), rel=1e-12, abs=1e-12)
    mg.testing.gradcheck(beside_the_diagonal, [mg.tensor(w)])


def test_rows_at_right_angles_cost_nothing_however_long_they_are():
    layer = nn.Linear(9, 4)
    nn.init.orthogonal_(layer.weight, rng=Stream(1))
    layer.weight.copy_(layer.weight.numpy() * np.array([[1], [2], [0.5], [3]], "float32"))
    assert orthogonal(layer).item() < 1e-9
    layer.weight.copy_(np.ones((4, 9), "float32"))
    assert orthogonal(layer).item() == pytest.approx(12 * 81)


def test_it_is_that_of_dense_layers_and_convolutions_alone(rng):
    conv, back, dense = nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 2, 2), nn.Linear(4, 5)
    others = nn.BatchNorm2d(3), nn.LayerNorm((3, 2)), nn.Embedding(4, 3)
    expected = formula(conv.weight.numpy().reshape(3, -1)) + formula(dense.weight.numpy())
    expected += formula(back.weight.numpy().transpose(1, 0, 2, 3).reshape(2, -1))
    network = nn.Sequential(conv, back, dense, *others)
    assert orthogonal(network).item() == pytest.approx(expected, rel=1e-5)
    nn.spectral_norm(dense)
    assert orthogonal(network).item() == pytest.approx(expected, rel=1e-5), "of what it is computed from"
    with pytest.raises(ShapeError, match="expected a network of dense layers and convolutions, got BatchNorm2d"):
        orthogonal(others[0])


REAL = Tensor(np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8)))


@pytest.mark.parametrize("turn", ["generator_turn", "simultaneous_turn", "one_pass_turn"])
def test_the_generator_pays_for_it(turn):
    played = game([Turn(turn)] if turn != "generator_turn" else None, regularisers=Regularisers(orthogonal=0.3))
    G, D = played.generator, played.discriminator
    z = played.noise(Batch(REAL, 0, 0, Stream(0)))
    expected = losses.nonsaturating.generator(D(G(z))) + 0.3 * orthogonal(G)
    of_scores = losses.nonsaturating.generator(D(G(z)))
    slopes = [g.numpy() for g in mg.grad(expected, G.parameters())]
    plain = [g.numpy() for g in mg.grad(of_scores, G.parameters())]
    before = [p.numpy().copy() for p in G.parameters()]
    with mg.random.using(Stream(3)) as rng:
        shown = getattr(played, turn)(Batch(REAL, 0, 0, rng))
    assert shown["g_loss"].item() == pytest.approx(expected.item())
    for p, was, slope in zip(G.parameters(), before, slopes, strict=True):
        np.testing.assert_allclose(p.numpy() - was, -slope, rtol=1e-9, atol=1e-12)
    assert max(np.abs(a - b).max() for a, b in zip(slopes, plain, strict=True)) > 1e-2


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ShapeError, match=r"Regularisers: orthogonal: expected .* >= 0, got -0.1"):
        Regularisers(orthogonal=-0.1)
