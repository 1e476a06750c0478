"""Any two networks told the class: of D's scores the label's, samples in the data's proportion, all of it resumed."""

from functools import partial

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_without_waiting
from replayed_game import ROUNDS, replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan.command.networks import NETWORKS
from minigan.gan import ConditionalGame, losses, penalties
from minigan.gan.answers import split
from minigan.gan.conditional import classes_drawn
from minigan.models import Players, of_classes
from minigan.tensor import Tensor

CLASSES = 3


def game(counts=(5, 0, 3), device="cpu", **options):
    """On images of 28x28, of two small networks without labels."""
    mg.random.seed(0)
    nn = mg.nn
    plain = Players(
        nn.Sequential(nn.Linear(4 + CLASSES, 784), nn.BatchNorm1d(784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
        nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.LeakyReLU(0.2), nn.Linear(8, CLASSES)),
    )
    G, D = (player.to(device) for player in of_classes(plain, CLASSES))
    return ConditionalGame(
        G,
        D,
        classes=CLASSES,
        counts=counts,
        loss=losses.nonsaturating,
        latent=mg.gan.uniform_latent(4),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
        ema=mg.optim.EMA(G, 0.9),
        **options,
    )


def batches(k):
    rng = np.random.default_rng(k)
    images = Tensor(rng.uniform(-1, 1, (6, 1, 28, 28)).astype("float32"))
    return images, Tensor(rng.integers(0, CLASSES, 6))


def test_the_score_is_the_one_of_the_label():
    D = game().discriminator
    x, labels = batches(0)
    all_scores = D.network(x).numpy()
    assert np.array_equal(D(x, labels).numpy()[:, 0], all_scores[np.arange(6), labels.numpy()])
    with pytest.raises(mg.errors.ShapeError, match=r"expected 3 scores for each of 5 labels, got \(6, 3\)"):
        D(x, labels[:5])


def test_a_penalty_runs_through_the_score_of_the_label_to_second_order():
    D = game().discriminator.to(dtype="float64")
    rng = np.random.default_rng(0)
    x, labels = Tensor(rng.uniform(-1, 1, (2, 1, 28, 28))), mg.tensor([2, 0])

    def penalty(w):
        return penalties.r1(lambda x: mg.nn.functional_call(D, {"network.3.weight": w}, x, labels), x, x)

    mg.testing.gradcheck(penalty, D.network[3].weight, rtol=1e-5)


def test_the_gradient_of_one_class_reaches_no_other():
    g = game()
    x, _ = batches(0)
    weight = g.discriminator.network[3].weight
    slope = mg.grad(mg.sum(g.discriminator(x, mg.tensor([1] * 6))), weight).numpy()
    assert np.abs(slope).sum(1).astype(bool).tolist() == [False, True, False]


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.game is mg.gan.ScoreGame])
def test_every_network_takes_classes(name):
    network = NETWORKS[name]
    size = {"side": 32 if name == "fastgan" else 16, "width": 8, "channels": 1} if "side" in network.shaped_by else {}
    with mg.random.using(mg.random.Stream(0)):
        if network.told:
            G, D = network.make(z_dim=5, classes=CLASSES, **size)
        else:
            G, D = of_classes(network.make(z_dim=5 + CLASSES, outputs=CLASSES, **size), CLASSES)
    labels = mg.tensor([0, 2])
    images = G(Tensor(mg.random.Stream(1).uniform((2, 5), -1, 1)), labels)
    scores, _ = split(D(images, labels))
    assert scores.shape[:2] == ((2, 2) if name == "unet" else (2, 1))  # of the image and of each pixel


def test_samples_have_classes_in_the_proportion_of_the_data():
    g = game()
    labels = classes_drawn(np.array([5, 0, 3]), 400, g.stream("classes of samples").at(0))
    assert np.bincount(labels).tolist() == pytest.approx([250, 0, 150], abs=30)
    z = g.latent(400, g.stream("samples").at(0))
    assert np.array_equal(g.sample(400).numpy(), g.generate(z, mg.tensor(labels)).numpy())
    g.count(np.array([1, 1, 1, 2]))
    assert g.state["counts"].numpy().tolist() == [0, 3, 1]
    assert not np.array_equal(g.sample(400).numpy(), g.generate(z, mg.tensor(labels)).numpy())


def test_the_first_classes_are_those_of_any_number():
    counts = np.array([1, 7, 2])
    many, few = (classes_drawn(counts, n, mg.random.Stream(3)) for n in (50, 20))
    assert np.array_equal(many[:20], few)
    assert (classes_drawn(np.array([0, 1, 0]), 100, mg.random.Stream(3)) == 1).all()


@pytest.mark.parametrize("counts", [[1, 2], [0, 0, 0], [1, -1, 3], [1, np.nan, 3], [[1, 2, 3]]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(mg.errors.ShapeError, match="how often each of 3 classes is there"):
        game(counts)


def test_labels_that_are_no_class_are_refused():
    with pytest.raises(mg.errors.ShapeError, match="how often each of 3 classes"):
        game().count(np.array([0, 3]))


def recipe(**options):
    """The game as the best recipe plays it: one pass, R1 in some rounds, a rate that falls, an average with a ramp."""
    made = game(penalty=penalties.r1, penalty_every=2, schedule=[mg.gan.Turn("one_pass_turn")], **options)
    made.ema = mg.optim.EMA(made.generator, 0.9, ramp=0.05)
    made.schedules = [mg.optim.Course(o, partial(mg.optim.linear, 1.0, 0.0)) for o in made.optimizers.values()]
    made.lasts(40)
    return made


@pytest.mark.parametrize("make", [partial(game, penalty=penalties.r1), recipe])
def test_resuming_is_exact_and_keeps_the_proportion(make):
    second = make(counts=[1, 1, 1])
    continues_exactly(make(), make(), second, batches)
    assert second.counts.numpy().tolist() == [5, 0, 3]


@pytest.mark.parametrize("make", [partial(game, penalty=penalties.r1), recipe])
def test_replayed_turns_are_the_turns(make):
    replays_exactly(make, lambda: batches, rounds=2 * ROUNDS)  # each way of the turn is recorded by itself


def test_one_pass_is_both_players_moving_at_once():
    """The same gradients of both, though D is gone through once; to the rounding of another order of sums."""
    weights = []
    for turn in ("simultaneous_turn", "one_pass_turn"):
        made = game(schedule=[mg.gan.Turn(turn)])
        made.optimizers = {name: mg.optim.SGD(o.params, 1.0) for name, o in made.optimizers.items()}
        made.play(batches)
        weights.append({name: t.numpy() for name, t in made.state.items() if "optimizer" not in name})
    for name, value in weights[0].items():
        np.testing.assert_allclose(weights[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_captured_turns_are_the_turns(monkeypatch):
    fakecupy.install(monkeypatch)
    images, labels = mg.data.digits(40)

    def losses_of(graphs):
        source = mg.data.Batches(images, 8, labels=labels % CLASSES, device="cuda")
        return losses_without_waiting(game(penalty=penalties.r1, device="cuda"), source, graphs=graphs)

    assert losses_of(True) == losses_of(False)
