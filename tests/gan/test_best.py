"""Top-k training: which fakes are the best, what the generator minimises of them, and where they have no meaning."""

import numpy as np
import pytest
from systems import SYSTEMS, batches, built, game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import Moves, losses
from minigan.gan.best import best
from minigan.tensor import Tensor

SCORES = np.array([[0.5], [-1.0], [2.0], [0.5], [-3.0], [1.0]])


def kept(scores=SCORES, step=0, share=0.5, steps=None, lower=False):
    found = best(Tensor(scores), np.array(step), share, steps, lower)
    assert found.share.item() == found.kept.numpy().mean()
    return np.flatnonzero(found.kept.numpy()).tolist()


def test_the_best_have_the_highest_scores_and_of_equal_ones_the_first():
    assert kept() == [0, 2, 5]
    assert kept(share=4 / 6) == [0, 2, 3, 5]
    assert kept(lower=True) == [0, 1, 4]
    assert kept(share=0.01) == [2]
    assert kept(share=1.0) == [0, 1, 2, 3, 4, 5]


def test_their_share_falls_by_the_same_factor_in_each_round_and_then_stays():
    many = np.random.default_rng(0).normal(size=(100, 1))
    counts = [len(kept(many, step, 0.25, 4)) for step in (0, 1, 2, 3, 4, 5, 1000)]
    assert counts == [100, 71, 50, 35, 25, 25, 25]


@pytest.mark.parametrize("name", [name for name, loss in losses.LOSSES.items() if not loss.couples])
def test_the_objective_is_that_of_the_best_alone_and_so_are_its_slopes(name):
    loss, rng = losses.LOSSES[name], np.random.default_rng(1)
    fake, real = (Tensor(rng.normal(size=(8, 1))) for _ in range(2))
    real = real if loss.compares else None
    chosen = best(fake, np.array(0), 3 / 8, None, loss.lower)
    index = np.flatnonzero(chosen.kept.numpy())
    found = chosen.mean(loss.generator, fake, real, loss.compares)
    expected = loss.generator(fake[index], None if real is None else real[index])
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    slopes = mg.grad(found, fake).numpy()
    np.testing.assert_allclose(slopes, mg.grad(expected, fake).numpy(), rtol=1e-12, atol=1e-15)
    assert not np.delete(slopes, index).any()
    assert slopes[index].all()


@pytest.mark.parametrize("name", [name for name, loss in losses.LOSSES.items() if loss.zero_sum and not loss.couples])
def test_in_a_game_of_opposites_real_scores_stay_whole(name):
    loss, rng = losses.LOSSES[name], np.random.default_rng(1)
    fake, real = (Tensor(rng.normal(size=(8, 1))) for _ in range(2))
    chosen = best(fake, np.array(0), 0.5, None, loss.lower)
    index = np.flatnonzero(chosen.kept.numpy())
    found = chosen.mean(lambda f, r: -loss.discriminator(r, f), fake, real, False)
    assert found.item() == pytest.approx(-loss.discriminator(real, fake[index]).item(), rel=1e-12)


def moved(turn, **options):
    """By how much each player's weights move in the turn."""
    played = game(losses.hinge, how={"norm": False}, g_norm=False, **options)
    before = {name: [p.numpy().copy() for p in player.parameters()] for name, player in played.players.items()}
    with mg.random.using(mg.random.Stream(0)) as rng:
        getattr(played, turn)(mg.gan.Batch(batches(SYSTEMS["replay"])(0), 0, 0, rng))
    return {
        name: max(np.abs(p.numpy() - was).max() for p, was in zip(player.parameters(), before[name], strict=True))
        for name, player in played.players.items()
    }


def test_only_the_generator_learns_from_the_best():
    def sgd(player):
        return mg.optim.SGD(player.parameters(), 1.0)

    mg.random.seed(0)
    whole = moved("discriminator_turn", optimizer=sgd)
    mg.random.seed(0)
    assert moved("discriminator_turn", optimizer=sgd, moves={"top_k": 0.25}) == whole


def test_the_generators_step_is_that_of_its_best_fakes():
    mg.random.seed(0)
    played = game(
        losses.nonsaturating,
        how={"norm": False},
        g_norm=False,
        moves={"top_k": 0.25},
        optimizer=lambda player: mg.optim.SGD(player.parameters(), 1.0),
    )
    G, D = played.generator, played.discriminator
    drawn = batches(SYSTEMS["replay"])(0)
    with mg.random.using(mg.random.Stream(0)) as rng:
        batch = mg.gan.Batch(drawn, 0, 0, rng)
        scores = D(G(played.noise(batch)))
        chosen = np.sort(np.argsort(-scores.numpy()[:, 0])[:8])
        slopes = mg.grad(losses.nonsaturating.generator(scores[chosen]), G.parameters())
        before = [p.numpy().copy() for p in G.parameters()]
        played.generator_turn(batch)
    for p, was, slope in zip(G.parameters(), before, slopes, strict=True):
        np.testing.assert_allclose(p.numpy(), was - slope.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, loss in losses.LOSSES.items() if loss.couples])
def test_losses_that_compare_all_scores_have_no_best_ones(name):
    with pytest.raises(ShapeError, match=f"top_k 0.5 leaves scores out, and the {name} loss is none of each score"):
        game(losses.LOSSES[name], moves={"top_k": 0.5})
    game(losses.LOSSES[name], moves={"top_k": 1.0})


def test_energies_are_best_where_they_are_low():
    played = built(SYSTEMS["EBGAN"])
    energies = Tensor(np.array([3.0, 1.0, 2.0, 0.5]))
    chosen = best(energies, np.array(0), 0.5, None, played.loss.lower)
    assert played._best_of(played.loss.generator, energies, None).item() == pytest.approx(energies.numpy().mean())
    assert chosen.mean(played.loss.generator, energies, None, False).item() == pytest.approx(0.75)


def test_several_scores_a_sample_have_no_best_sample():
    with pytest.raises(ShapeError, match=r"top_k: expected one score a sample, got scores \(4, 1, 3, 3\) of 4"):
        best(mg.zeros((4, 1, 3, 3)), np.array(0), 0.5, None, False)


def test_shares_are_above_nothing_and_at_most_all():
    for value in (0.0, -0.5, 1.5, np.nan):
        with pytest.raises(ShapeError, match=f"Moves: top_k: expected a finite number > 0 and <= 1, got {value}"):
            Moves(top_k=value)
    with pytest.raises(ShapeError, match="Moves: top_k_steps: expected an integer >= 1, got 0"):
        Moves(top_k=0.5, top_k_steps=0)
