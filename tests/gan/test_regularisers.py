"""What is added to the losses beside a penalty: the formulas of the papers, in the turns of both players."""

import numpy as np
import pytest
from single_turn import take
from systems import SYSTEMS, built
from systems import game as small_game
from watched_game import game

import minigan as mg
from minigan import nn
from minigan.errors import ShapeError
from minigan.gan import Batch, Moves, Regularisers, Sight, Turn, losses
from minigan.gan.augmentations import augmented
from minigan.gan.regularisers import Anchors
from minigan.models import StyleGenerator
from minigan.random import Stream
from minigan.tensor import Tensor


def anchors(decay=0.9, lower=False):
    return Anchors(decay, lower, mg.zeros((), dtype="float64"), mg.zeros((), dtype="int64"), 0)


def scores(*values):
    return mg.tensor(np.array(values))


def test_averages_begin_with_the_first_scores_and_follow_the_others():
    found = anchors()
    found.move(scores(1.0, 3.0), scores(-2.0, 4.0))
    assert (found.real.item(), found.fake.item()) == (2.0, 1.0)
    found.move(scores(12.0), scores(-9.0))
    assert (found.real.item(), found.fake.item()) == pytest.approx((0.9 * 2 + 0.1 * 12, 0.9 * 1 - 0.1 * 9))


def test_lecam_is_the_squared_distance_of_each_side_from_the_average_of_the_other():
    """Where it lies on its own side of that."""
    for lower, turned in ((False, 1.0), (True, -1.0)):
        found = anchors(lower=lower)
        found.move(scores(turned * 2.0), scores(turned * -1.0))
        real, fake = scores(*(turned * np.array([3.0, -4.0]))), scores(*(turned * np.array([1.0, 7.0])))
        expected = ((3 + 1) ** 2 + 0) / 2 + ((2 - 1) ** 2 + 0) / 2
        assert found.penalty(real, fake).item() == pytest.approx(expected)
        slopes = mg.grad(found.penalty(real, fake), [real, fake])
        np.testing.assert_allclose(slopes[0].numpy(), [turned * 4, 0])
        np.testing.assert_allclose(slopes[1].numpy(), [turned * -1, 0])
        mg.testing.gradcheck(found.penalty, [real, fake])


REAL = Tensor(np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8)))


def moved(played, turn, stream):
    """(what the turn shows, how far each of the players' weights went, in one vector each)."""
    before = {name: [p.numpy().copy() for p in player.parameters()] for name, player in played.players.items()}
    with mg.random.using(stream) as rng:
        shown = getattr(played, turn)(Batch(REAL, 0, 0, rng))
    steps = {
        name: np.concatenate(
            [(p.numpy() - was).ravel() for p, was in zip(player.parameters(), before[name], strict=True)]
        )
        for name, player in played.players.items()
    }
    return {name: value.item() for name, value in shown.items()}, steps


def slopes(loss, player):
    return np.concatenate([g.numpy().ravel() for g in mg.grad(loss, player.parameters())])


def mse(a, b):
    return mg.mean(mg.square(a - b))


def test_the_discriminator_pays_for_what_it_scores_otherwise_once_it_is_changed():
    weights = Regularisers(
        consistency=2.0,
        fake_consistency=3.0,
        latent_consistency=5.0,
        latent_step=0.5,
        consistency_by="translation,color",
    )
    played = game(regularisers=weights)
    G, D = played.generator, played.discriminator
    z = played.noise(Batch(REAL, 0, 0, Stream(0)))
    rng = Stream(3)
    near = G(z + Tensor(rng.normal(z.shape, 0.0, 0.5, "float64"))).detach()
    fake = G(z).detach()
    changed = [augmented(x, ("translation", "color"), rng) for x in (REAL, fake)]
    terms = [mse(D(changed[0]), D(REAL)), mse(D(changed[1]), D(fake)), mse(D(near), D(fake))]
    expected = losses.nonsaturating.discriminator(D(REAL), D(fake)) + 2 * terms[0] + 3 * terms[1] + 5 * terms[2]
    step = -slopes(expected, D)
    shown, found = moved(played, "discriminator_turn", Stream(3))
    np.testing.assert_allclose(found["discriminator"], step, rtol=1e-10, atol=1e-14)
    assert not found["generator"].any()
    assert shown["d_loss"] == pytest.approx(expected.item())
    names = ("consistency", "fake_consistency", "latent_consistency")
    assert [shown[name] for name in names] == pytest.approx([term.item() for term in terms])
    assert min(term.item() for term in terms) > 1e-4


@pytest.mark.parametrize("turn", ["generator_turn", "simultaneous_turn"])
def test_the_generator_is_paid_for_samples_that_differ(turn):
    played = game([Turn(turn)] if turn != "generator_turn" else None, regularisers=Regularisers(latent_consistency=5.0))
    G, D = played.generator, played.discriminator
    z = played.noise(Batch(REAL, 0, 0, Stream(0)))
    near = G(z + Tensor(Stream(3).normal(z.shape, 0.0, 0.03, "float64")))
    expected = losses.nonsaturating.generator(D(G(z))) - 0.5 * mse(near, G(z))
    step = -slopes(expected, G)
    shown, found = moved(played, turn, Stream(3))
    np.testing.assert_allclose(found["generator"], step, rtol=1e-10, atol=1e-14)
    assert shown["g_loss"] == pytest.approx(expected.item())


def test_lecam_in_the_discriminators_turn():
    played = game(regularisers=Regularisers(lecam=0.7, lecam_decay=0.5, lecam_after=0))
    D = played.discriminator
    averages = []
    for k in range(2):
        D.seen.clear()
        fake = played.generator(played.noise(Batch(REAL, 0, 0, Stream(0)))).detach()
        r, f = D(REAL), D(fake)
        here = np.array([r.numpy().mean(), f.numpy().mean()])
        averages.append(here if k == 0 else 0.5 * averages[0] + 0.5 * here)
        lecam = mg.mean(mg.square(mg.relu(r - averages[k][1]))) + mg.mean(mg.square(mg.relu(averages[k][0] - f)))
        step = -slopes(losses.nonsaturating.discriminator(r, f) + 0.7 * lecam, D)
        shown, found = moved(played, "discriminator_turn", Stream(3))
        np.testing.assert_allclose(found["discriminator"], step, rtol=1e-9, atol=1e-13)
        assert shown["lecam"] == pytest.approx(lecam.item())
    state = played.state
    np.testing.assert_allclose([state["lecam.real"].item(), state["lecam.fake"].item()], averages[1])


@pytest.mark.parametrize("graphs", [False, True])
def test_lecam_asks_for_nothing_while_its_averages_learn(graphs):
    AFTER, ROUNDS = 6, 9

    def states(**weights):
        mg.random.seed(1)
        played = small_game(losses.hinge, regularisers=Regularisers(**weights))
        played.graphs, shown = graphs, []
        for _ in range(ROUNDS):
            shown.append(played.play(lambda k: REAL[:, :, :6, :6]))
            yield {name: t.numpy().copy() for name, t in played.state.items()}, shown[-1]

    for k, ((one, shown), (other, _)) in enumerate(zip(states(lecam=0.7, lecam_after=AFTER), states(), strict=True)):
        assert (shown["lecam"].item() > 0) == (k >= AFTER)
        assert all(np.array_equal(one[name], other[name]) for name in other) == (k < AFTER)
        assert one["lecam.real"] != 0


def test_drift_in_the_discriminators_turn():
    played = game(regularisers=Regularisers(drift=0.7))
    D = played.discriminator
    fake = played.generator(played.noise(Batch(REAL, 0, 0, Stream(0)))).detach()
    r, f = D(REAL), D(fake)
    drift = mg.mean(mg.square(r))
    step = -slopes(losses.nonsaturating.discriminator(r, f) + 0.7 * drift, D)
    shown, found = moved(played, "discriminator_turn", Stream(3))
    np.testing.assert_allclose(found["discriminator"], step, rtol=1e-9, atol=1e-13)
    assert shown["drift"] == pytest.approx(drift.item())


def test_imagined_steps_move_no_averages():
    played = game(regularisers=Regularisers(lecam=0.7, lecam_after=0), moves=Moves(unroll=3))
    take(played, "generator_turn", REAL)
    assert [played.state[f"lecam.{name}"].item() for name in ("real", "fake", "count")] == [0, 0, 0]


def test_energies_are_low_where_samples_are_real():
    for name in ("EBGAN", "BEGAN"):
        assert built(SYSTEMS[name]).loss.lower
    assert [name for name, loss in losses.LOSSES.items() if loss.lower] == ["lab_printed"]


def test_without_weights_nothing_is_added():
    assert set(game().play(lambda k: REAL)) == {"d_loss", "g_loss", "d_real", "d_fake"}
    played = game()
    take(played, "discriminator_turn", REAL)
    assert len(played.discriminator.seen) == 2


def test_what_cannot_be_is_refused():
    for options in ({"lecam": -1.0}, {"consistency": np.nan}, {"latent_step": -0.1}, {"latent_variety": np.inf}):
        with pytest.raises(ShapeError, match=f"Regularisers: {next(iter(options))}: expected a finite number >= 0"):
            Regularisers(**options)
    with pytest.raises(ShapeError, match=r"lecam_decay: expected a finite number >= 0 and < 1, got 1\.0"):
        Regularisers(lecam_decay=1.0)
    with pytest.raises(ShapeError, match=r"Regularisers: lecam_after: expected an integer >= 0, got -1"):
        Regularisers(lecam_after=-1)
    for changes, told in (("ada", "expected some of color"), ("", "expected a change, got none")):
        with pytest.raises(ShapeError, match=f"Regularisers: consistency_by: {told}"):
            Regularisers(consistency_by=changes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"regularisers": Regularisers(consistency=1.0), "seen": {"joint_batches": True}}, "joint_batches: a score"),
        ({"regularisers": Regularisers(latent_consistency=1.0), "seen": {"replay": 64}}, "1.0 needs the noise of each"),
        (
            {"regularisers": Regularisers(latent_consistency=1.0), "schedule": [Turn("one_pass_turn")]},
            "beside scores: no one_pass_turn",
        ),
    ],
)
def test_what_does_not_go_together_says_why(options, told):
    with pytest.raises(ShapeError, match=told):
        small_game(losses.hinge, how={"norm": False}, **options)


def test_noise_that_holds_a_code_cannot_be_moved():
    code = mg.gan.LatentCode(noise=2, categories=2, continuous=0)
    G, D = mg.nn.Linear(code.dim, 2), mg.nn.Linear(2, 1)
    parts = {
        "generator_optimizer": mg.optim.SGD(G.parameters(), 0.1),
        "discriminator_optimizer": mg.optim.SGD(D.parameters(), 0.1),
    }
    with pytest.raises(ShapeError, match=r"InfoGame: noise that has moved holds another code: .* got 5\.0"):
        mg.gan.InfoGame(G, D, loss=losses.hinge, code=code, regularisers=Regularisers(latent_consistency=5.0), **parts)
    assert mg.gan.InfoGame(G, D, loss=losses.hinge, code=code, sight=Sight(augment="flip"), **parts).sight.augment


DRAWING = {
    "layer noise and mixed styles": lambda: StyleGenerator(8, 3, 4, 1, 2, depth=1, mixing=0.9),
    "dropout": lambda: nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.Unflatten(1, (1, 8, 8))),
    "dropout, computed again": lambda: nn.Sequential(
        nn.checkpointed(nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5))), nn.Unflatten(1, (1, 8, 8))
    ),
}


def drawing(name):
    """A generator that draws something itself, in float64, as it is in training."""
    mg.random.seed(2)
    G = DRAWING[name]().to(dtype="float64")
    for module in G.modules():
        if isinstance(module, nn.NoiseInjection):
            module.weight.copy_(np.ones(1))
    return G


@pytest.mark.parametrize("moves", [Moves(), Moves(latent_optimisation=1e-9)], ids=["near", "near of moved"])
@pytest.mark.parametrize("turn", ["discriminator_turn", "generator_turn", "simultaneous_turn"])
@pytest.mark.parametrize("name", DRAWING)
def test_samples_of_near_noise_differ_by_their_noise_alone(name, turn, moves):
    played = game(
        [Turn(turn)] if turn == "simultaneous_turn" else None,
        regularisers=Regularisers(latent_consistency=5.0, latent_step=1e-9),
        moves=moves,
    )
    played.generator, made = drawing(name), []
    played.optimizers["generator"] = mg.optim.SGD(played.generator.parameters(), 1.0)
    played.as_functions = lambda batch: (lambda z: made.append(played.generator(z)) or made[-1], played.discriminator)
    take(played, turn, REAL)
    *others, last = (fake.numpy() for fake in made)
    assert len(others) == 1 + bool(moves.latent_optimisation)
    for fake in others:
        assert 0 < np.abs(last - fake).max() < 1e-6
    again = played.generator(played.noise(Batch(REAL, 0, 0, Stream(0)))).numpy()
    assert np.abs(last - again).max() > 0.1, "what is drawn decides a sample"
