"""The tables of images: their games resume and are replayed, and what is measured of them is what it says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers

import minigan as mg
from minigan import data, reproduce
from minigan.reproduce import Plan, Protocol, losses, parzen, semi, stacked, stacked_r3gan, wasserstein
from minigan.reproduce.cell import Cell, Stopped
from minigan.reproduce.images import learnt
from minigan.reproduce.page import compared
from minigan.reproduce.results import Result, Results


def cell(name, row, folder, *, seed=0, stopped=lambda: False, **changes):
    """A cell of a table's trial."""
    table = reproduce.load(name)
    settings = {**table.short.settings, **table.trial, **changes}
    return Cell(table, table.row(row), seed, folder, settings, stopped=stopped)


def stacks(given):
    return data.Stacks(learnt("mnist", 60).values, 4 * given.settings["pack"])


# --- games --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "row", "game"),
    [
        ("stacked-mnist", "PacDCGAN2", stacked.game),
        ("stacked-mnist", "unrolled 1", stacked.game),
        ("stacked-r3gan", "RpGAN+R1+R2", stacked_r3gan.game),
        ("stacked-r3gan", "GAN+R1", stacked_r3gan.game),
    ],
)
def test_a_game_on_stacks_continues_and_is_replayed_exactly(table, row, game, tmp_path):
    given = cell(table, row, tmp_path)
    assert continues_exactly(*(game(given) for _ in range(3)), stacks(given)).keys() >= {"d_loss", "g_loss"}
    replays_exactly(lambda: game(given), lambda: stacks(given))


def test_the_games_of_the_other_tables_continue_exactly(tmp_path):
    given = cell("semi", "20 labels", tmp_path)
    images = learnt("mnist", 400).drawn
    batches = data.Batches(images, 20)
    continues_exactly(*(semi.game(given) for _ in range(3)), batches)
    given = cell("parzen", "adversarial nets", tmp_path)
    continues_exactly(*(parzen.game(given, images) for _ in range(3)), batches)
    given = cell("losses", "BEGAN on MNIST", tmp_path)
    batches = data.Batches(learnt("mnist", 60, 32).drawn, 4)
    continues_exactly(*(losses.game(given) for _ in range(3)), batches)


def test_a_cell_that_is_stopped_ends_as_one_that_is_not(tmp_path):
    settings = {"steps": 4, "looks": 4}
    whole = cell("stacked-mnist", "DCGAN", tmp_path / "whole", **settings)
    expected = whole.result().numbers
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        cell("stacked-mnist", "DCGAN", tmp_path / "parts", stopped=lambda: next(asked), **settings).result()
    rest = cell("stacked-mnist", "DCGAN", tmp_path / "parts", **settings)
    assert rest.recall("curve")["step"].tolist() == [1, 2, 3]
    assert rest.result().numbers == expected
    ours, theirs = rest.recall("curve"), whole.recall("curve")
    assert {k: v.tolist() for k, v in ours.items()} == {k: v.tolist() for k, v in theirs.items()}
    assert ours["step"].tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_cells_are_the_same_in_several_processes(tmp_path):
    table = reproduce.load("stacked-mnist")
    protocol = Protocol({**table.short.settings, **table.trial}, 1)
    found = []
    for processes in (1, 2):
        rows = table.chosen(["DCGAN", "PacDCGAN2"])
        plan = Plan(table, protocol, rows, 1, tmp_path / str(processes), processes=processes)
        results, _ = reproduce.run(plan)
        found.append({key: result.numbers for key, result in results.found.items()})
    assert len(found[0]) == 2
    assert found[0] == found[1]


# --- what is measured ---------------------------------------------------------------------------------------------


def test_modes_of_real_stacks_are_those_of_their_labels():
    images, labels = data.stacked(*data.digits(300, seed=5), 400)
    modes, kl = stacked.modes(data.scaled(images))
    known = len(np.unique(labels))
    assert modes == pytest.approx(known, rel=0.1)
    assert math.log(1000 / known) - 0.1 < kl < math.log(1000 / known) + 0.3
    assert stacked.modes(data.scaled(images[:1].repeat(50, 0))) == (1, pytest.approx(math.log(1000)))


def test_momentum_and_learning_rate_are_those_of_the_papers_code():
    p = mg.tensor([1.0])
    sgd = mg.optim.SGD([p], 0.1, 0.5)
    momentum = parzen.Momentum(sgd, per_epoch=10)
    for step, expected in ((0, 0.5), (10, 0.5), (10 + 10 * 249 // 2, 0.6), (2500, 0.7), (10**6, 0.7)):
        momentum.set(step)
        assert sgd.momentum == pytest.approx(expected)
    images = learnt("mnist", 240).drawn
    table = reproduce.load("parzen")
    played = parzen.game(Cell(table, table.rows[0], 0, None, {**table.short.settings, **table.trial}), images)
    shown = played.sample(4).numpy()
    assert abs(shown.mean(0) - (images.mean(0) / 127.5 - 1)).max() < 0.3  # the mean image at first
    for schedule in played.schedules:
        schedule.set(50_000)
    assert played.optimizers["generator"].lr == pytest.approx(0.1 / 1.000004**50_000, rel=1e-4)
    assert played.optimizers["discriminator"].lr == pytest.approx(0.05 / 1.000004**50_000, rel=1e-4)  # of half a loss
    assert played.inputs(2000, "noise", 0)[0].numpy().std() == pytest.approx(1, rel=0.01)


def test_a_window_of_real_images_is_likelier_than_one_of_noise():
    images = data.digits(300, seed=2)[0].reshape(300, -1).astype("float32") / 255
    real, sigma = parzen.likelihood(images[:200], images[200:250], images[250:])
    noise, _ = parzen.likelihood(mg.random.Stream(0).uniform((200, 784)), images[200:250], images[250:])
    assert real.value > noise.value + 50
    assert 0.1 <= sigma <= 1


@pytest.mark.parametrize("row", ["WGAN MLP", "GAN DCGAN"])
def test_an_estimate_is_the_discriminators_and_leaves_the_game_as_it_was(row, tmp_path):
    given = cell("wasserstein", row, tmp_path)
    images = learnt("mnist", 64, 32).drawn
    played = wasserstein.game(given, data.Batches(images, 4))
    before = numbers(played)
    found, cost = wasserstein.estimate(played, images[:16])
    assert wasserstein.estimate(played, images[:16]) == (found, cost)
    assert all(np.array_equal(value, before[name]) for name, value in numbers(played).items())
    x = mg.tensor(data.scaled(images[:16]))
    z = played.latent(16, played.stream("asked"))
    real, fake = played.discriminator(x).numpy(), played.discriminator(played.generator(z)).numpy()
    if row.startswith("WGAN"):
        assert found == pytest.approx(real.mean() - fake.mean(), abs=1e-5)
        assert cost == pytest.approx(-fake.mean(), abs=1e-5)
    else:
        softplus = [np.logaddexp(0, v).mean() for v in (-real, fake)]
        assert found == pytest.approx(math.log(2) - sum(softplus) / 2, abs=1e-5)


def test_agreement_of_rankings_is_within_a_data_set():
    table = reproduce.load("losses")
    fids = {row.name: row.published["fid"].value for row in table.rows}
    found = [
        Result(row.name, 0, {"best": fids[row.name] * (1 if "Fashion" in row.name else -1), "last": 0.0}, 1.0)
        for row in table.rows
    ]
    results = Results(table, replace(table.short, seeds=1), table.rows, 1, found)
    assert losses.agreement(results, "mnist")[3] == pytest.approx(-1)
    rows, ours, theirs, rank = losses.agreement(results, "fashion_mnist")
    assert len(rows) == len(ours) == len(theirs) == 7
    assert rank == pytest.approx(1)
    page = compared(results)
    assert page.count(">ours</th>") == 2  # the paper's FID has nothing of ours beside it
    assert page.count('class="number paper">') == 1 + len(table.rows)
    few = Results(table, table.short, table.rows[:2], 1, found[:2])
    assert math.isnan(losses.agreement(few, "mnist")[3])
