"""Domain adaptation by features: replayed and resumed, its phases and its course, and that it adapts."""

from functools import partial

import numpy as np
import pytest
from replayed_game import ROUNDS, replays_exactly
from resumed_game import continues_exactly, numbers

import minigan as mg
from minigan import data, export, nn
from minigan.data import LabelledDomains, Pair
from minigan.errors import ShapeError
from minigan.gan import ADDA, DANN
from minigan.gan.adaptation import reversed_gradient, rising

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
LABELLED = LabelledDomains(IMAGES, IMAGES[::-1].copy(), np.arange(40) % 4)


def adam(*players, lr=1e-3):
    return mg.optim.Adam([p for player in players for p in player.parameters()], lr, (0.5, 0.999))


def extractor(channels=3, side=8):
    layers = nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * (side - 2) ** 2, 6), nn.ReLU())


def critic(features=6):
    return nn.Sequential(nn.Linear(features, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))


def dann(length=0, **parts):
    with mg.random.using(mg.random.Stream(0)):
        F, C, D = extractor(), nn.Linear(6, 4), critic()
    game = DANN(F, C, D, optimizer=adam(F, C, D), **parts)
    if length:
        game.lasts(length)
    return game


def adda(warm_up=2, **parts):
    with mg.random.using(mg.random.Stream(0)):
        source, target, C, D = extractor(), extractor(), nn.Linear(6, 4), critic()
    optimizers = {"source_optimizer": adam(source, C), "target_optimizer": adam(target)}
    return ADDA(source, target, C, D, discriminator_optimizer=adam(D), warm_up=warm_up, **optimizers, **parts)


GAMES = {
    "dann": dann,
    "rising": partial(dann, 12),
    "no adaptation": partial(dann, adversarial=0.0),
    "adda": partial(adda, 6),
    "relativistic": partial(adda, 0, loss=mg.gan.losses.relativistic_average),
    "learning": partial(adda, 1000),
}


def drawn():
    return data.shuffled_batches(LABELLED, 4, paired=False, flip=True)


@pytest.mark.parametrize("name", GAMES)
def test_replayed_it_plays_the_same(name):
    replays_exactly(GAMES[name], drawn, rounds=14 if name == "adda" else ROUNDS)


@pytest.mark.parametrize("name", GAMES)
def test_resumed_it_goes_on_as_it_was(name):
    whole, first, second = (GAMES[name]() for _ in range(3))
    continues_exactly(whole, first, second, drawn())


@pytest.mark.parametrize("warm_up", [1, 3])
def test_resumed_on_either_side_of_the_change_of_phase(warm_up):
    continues_exactly(*(adda(warm_up) for _ in range(3)), drawn())


@pytest.mark.parametrize("name", GAMES)
def test_what_a_round_takes_at_most_is_told_in_no_time(name):
    game = GAMES[name]()
    before = numbers(game)
    assert mg.gan.memory_needed(game, drawn()).sample > 0
    assert all((before[name] == array).all() for name, array in numbers(game).items())


def test_a_reversed_gradient_is_that_of_minus_the_weight(rng):
    x = mg.tensor(rng.standard_normal((3, 4)))
    weight = mg.tensor(np.float64(0.25))
    assert (reversed_gradient(x, weight).numpy() == x.numpy()).all()
    slope = mg.grad(mg.square(reversed_gradient(x, weight)).sum(), x)
    np.testing.assert_allclose(slope.numpy(), -0.5 * x.numpy(), rtol=1e-14)


def test_the_weight_rises_over_the_length_of_the_run():
    game = dann(adversarial=2.0)
    assert game.weight() == pytest.approx(2.0, rel=1e-3)
    game.lasts(10)
    found = []
    for _ in range(11):
        found.append(game.weight())
        game.play(drawn())
        assert game._weight.item() == pytest.approx(found[-1], rel=1e-6)
    assert found == pytest.approx([2.0 * (2 / (1 + np.exp(-k)) - 1) for k in range(11)])
    assert rising(0.0) == 0.0


def test_without_the_domain_features_are_those_of_a_classifier():
    """D learns, F and C are what they would be without it."""
    game, alone = dann(adversarial=0.0), dann(adversarial=0.0)
    alone.loss = mg.gan.losses.lsgan  # D's own business
    for _ in range(3):
        game.play(drawn())
        alone.play(drawn())
    ours, theirs = numbers(game), numbers(alone)
    assert {name.split(".")[0] for name in ours if not np.array_equal(ours[name], theirs[name])} == {
        "discriminator",
        "players_optimizer",
    }


def test_the_extractor_of_targets_takes_over_weights_once():
    game = adda(warm_up=2)
    first = {name: array for name, array in numbers(game).items() if name.startswith(("target.", "discriminator."))}
    for _ in range(2):
        assert set(game.play(drawn())) == {"task"}
    learnt = numbers(game)
    assert all((learnt[name] == array).all() for name, array in first.items())
    assert game.extractors() == (game.source, game.source)
    for shown in (game.play(drawn()) for _ in range(3)):
        assert set(shown) == {"d_loss", "d_real", "d_fake", "g_loss"}
    after = numbers(game)
    still = [name for name in learnt if name.startswith(("source.", "classifier.", "source_optimizer."))]
    assert all((learnt[name] == after[name]).all() for name in still)
    names = [name.removeprefix("target.") for name in after if name.startswith("target.") and name.endswith("weight")]
    for name in names:
        apart = np.abs(after[f"target.{name}"] - after[f"source.{name}"]).max()
        assert 0 < apart < 3.5e-3  # three steps of Adam from there
    assert game.extractors() == (game.target, game.source)


def test_a_batch_in_parts_is_the_whole_one_or_refused():
    """Of extractors without batch norm."""
    ends = []
    for parts in (1, 2):
        with mg.random.using(mg.random.Stream(0)):
            F, C, D = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.Tanh()), nn.Linear(6, 4), critic()
        game = DANN(F, C, D, optimizer=mg.optim.SGD([*F.parameters(), *C.parameters(), *D.parameters()], 0.1))
        game.accumulate(parts)
        for _ in range(3):
            game.play(drawn())
        ends.append(numbers(game))
    for name, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][name], atol=1e-6, err_msg=name)
    with pytest.raises(ShapeError, match="a discriminator that moves within the turn"):
        adda().accumulate(2)


@pytest.mark.parametrize("name", ["dann", "adda"])
def test_it_reads_images_and_makes_none(name, tmp_path):
    game = {"dann": dann, "adda": adda}[name]()
    for _ in range(3):
        game.play(drawn())
    assert game.predict(IMAGES[:5]).shape == (5,)
    assert game.features(IMAGES[:5]).shape == (5, 6)
    same = (game.features(IMAGES[:5], as_sources=True) == game.features(IMAGES[:5])).all()
    assert same == (name == "dann")
    assert (game.predict(IMAGES[:5]) == game.predict(data.scaled(IMAGES[:5]))).all()
    with pytest.raises(export.NotDescribed, match=f"{name.upper()} makes no samples"):
        export.save_of_game(tmp_path / "generator.safetensors", game)


def test_what_it_cannot_be_given_is_named():
    with pytest.raises(ShapeError, match="DANN: expected batches with a target and a source, got a Tensor"):
        dann().play(lambda k: mg.zeros((4, 3, 8, 8)))
    with pytest.raises(ShapeError, match=r"ADDA: a batch of sources \(4, 3, 8, 8\) came without labels"):
        adda().play(data.shuffled_batches(Pair(*LABELLED[:2]), 4, paired=False).at)
    with pytest.raises(ShapeError, match="DANN: adversarial: expected a finite number >= 0"):
        dann(adversarial=-1.0)
    D = critic()
    parts = dict.fromkeys(("source_optimizer", "target_optimizer", "discriminator_optimizer"), adam(D))
    with pytest.raises(ShapeError, match="ADDA: expected two extractors of one kind"):
        ADDA(extractor(), extractor(1), nn.Linear(6, 4), D, warm_up=1, **parts)


def points(n, seed):
    """Sources that two far groups tell apart by their first number, and targets that a shift has moved across."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sources = rng.normal(0, 0.3, (n, 2)).astype(np.float32)
    sources[:, 0] += 2.0 * labels - 1.0
    targets = sources + np.array([2.0, 1.0], np.float32)
    order = rng.permutation(n)
    return LabelledDomains(targets[order], sources, labels), labels[order]


def test_features_that_hide_the_domain_read_what_has_moved():
    """A shift takes targets across the border between classes; the domain's loss brings them back."""
    domains, labels = points(400, 0)
    right = {}
    for adversarial in (0.0, 1.0):
        with mg.random.using(mg.random.Stream(1)):
            F = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 4), nn.ReLU())
            C, D = nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        game = DANN(F, C, D, optimizer=adam(F, C, D, lr=3e-3), adversarial=adversarial)
        game.lasts(600)
        batches = data.shuffled_batches(domains, 50, paired=False)
        for _ in range(600):
            game.play(batches)
        assert (game.predict(domains.source) == domains.labels).mean() > 0.97
        right[adversarial] = (game.predict(domains.target) == labels).mean()
    assert right[0.0] < 0.75
    assert right[1.0] > right[0.0] + 0.1
