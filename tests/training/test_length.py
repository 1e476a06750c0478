"""How long a run is: in steps, in epochs, or by the clock, which fixes its steps once and for all."""

import json
import shutil
from functools import partial
from time import sleep
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_run
from quick_run import QuickYardstick, quick_curves

import minigan as mg
from minigan import optim, training
from minigan.training import checkpoint, length, loop
from minigan.training.length import UNKNOWN, Clock


class Time:
    """A clock that stands until it is set."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    monkeypatch.setattr(length, "time", clock := Time())
    return clock


def nothing(steps):
    return 0.0


def test_the_first_steps_are_not_measured_and_the_rest_fills_the_minutes(time):
    clock = Clock(1.0)
    time.now += 2.0  # of which the first 40 steps took most
    assert clock.steps(39, 1.9, nothing) == UNKNOWN
    assert clock.steps(40, 1.9, nothing) == UNKNOWN
    time.now += 2.0
    assert clock.steps(80, 3.9, nothing) == UNKNOWN  # 2 of the 3 seconds that it takes to know
    time.now += 1.0
    assert clock.steps(100, 4.9, nothing) == pytest.approx(100 + 1100, abs=1)  # 20 a second, for the 55 that are left


def test_steps_to_come_may_be_faster(time):
    clock = Clock(1.0)
    assert clock.steps(40, 0.0, nothing) == UNKNOWN
    time.now += 5.0
    assert clock.steps(90, 5.0, nothing, 0.5) == pytest.approx(90 + 1100, abs=1)


def test_steps_that_warm_up_tell_nothing_of_those_after_them(time):
    clock, playing = Clock(10.0), 0.0

    def step(number, seconds):
        nonlocal playing
        time.now += seconds
        playing += seconds
        return clock.steps(number, playing, nothing, warm_up=1000)

    assert {step(20 * k, 1.0) for k in range(1, 51)} == {UNKNOWN}  # a thousand of them take 50 of the 600 seconds
    assert step(1020, 10.0) == UNKNOWN  # two a second from here on
    assert {step(1020 + 20 * k, 10.0) for k in range(1, 4)} == {UNKNOWN}
    assert step(1100, 10.0) == pytest.approx(1100 + 1000, abs=1)  # 500 seconds are left


def test_a_run_that_is_over_before_it_is_warm_ends_in_time(time):
    clock = Clock(1.0)
    assert clock.steps(40, 0.0, nothing, warm_up=1000) == UNKNOWN
    time.now += 5.0
    assert clock.steps(90, 5.0, nothing, warm_up=1000) == pytest.approx(90 + 550, abs=1)


def test_a_run_that_is_late_when_it_is_warm_ends_soon(time):
    clock = Clock(1.0)
    assert clock.steps(40, 0.0, nothing, warm_up=100) == UNKNOWN
    time.now += 59.0
    assert clock.steps(90, 59.0, nothing, warm_up=92) == 91  # of slow steps, none fits
    clock = Clock(1.0)
    assert clock.steps(100, 0.0, nothing, warm_up=100) == UNKNOWN
    time.now += 58.0
    assert clock.steps(120, 58.0, nothing, warm_up=100) == UNKNOWN
    time.now += 3.0
    assert clock.steps(140, 61.0, nothing, warm_up=100) == 141


@pytest.mark.parametrize(("adversarial", "warm_up"), [(1e-3, 7), (0.0, 0)])
def test_a_restoration_by_pixels_alone_has_no_warm_up(adversarial, warm_up):
    G, D = mg.nn.Sequential(mg.nn.Conv2d(1, 1, 1)), mg.nn.Sequential(mg.nn.Conv2d(1, 1, 1))
    optimizers = {
        "generator_optimizer": mg.optim.SGD(G.parameters(), 0.1),
        "discriminator_optimizer": mg.optim.SGD(D.parameters(), 0.1),
    }
    game = mg.gan.translation.Restoration(G, D, adversarial=adversarial, warm_up=7, **optimizers)
    assert game.warm_up == warm_up
    assert [game.variant(game.schedule[0], k) for k in (0, 6, 7)] == [int(warm_up > 0)] * 2 + [0]


def test_slow_steps_are_measured_before_there_are_forty(time):
    clock = Clock(1.0)
    time.now += 4.0
    assert clock.steps(2, 4.0, nothing) == UNKNOWN
    assert clock.steps(2, 4.0, nothing) == UNKNOWN
    time.now += 4.0
    assert clock.steps(4, 8.0, nothing) == pytest.approx(4 + 26, abs=1)


def test_what_is_done_beside_steps_takes_its_share(time):
    clock = Clock(1.0, spent=10.0)
    assert clock.steps(40, 0.0, nothing) == UNKNOWN
    time.now += 5.0
    # 45 s are left: 10 for the end, and 35 for steps of a tenth of a second with one more for every tenth of them
    assert clock.steps(90, 5.0, lambda n: 10.0 + n // 10 * 1.0) == pytest.approx(90 + 179, abs=1)


def test_a_run_that_is_late_ends_with_its_next_step(time):
    clock = Clock(1.0, spent=70.0)
    assert clock.steps(40, 0.0, nothing) == UNKNOWN
    time.now += 5.0
    assert clock.steps(90, 5.0, nothing) == 91


def settings(**options):
    return training.Settings(name="a run", **options)


def test_what_was_told_of_the_same_minutes_holds():
    assert length.told(settings(steps=7, minutes=1.0), {}, 10) == 7
    assert length.told(settings(epochs=2), {}, 10) == 20
    before = {"settings": {"minutes": 1.0}, "total_steps": 33}
    assert length.told(settings(minutes=1.0), before, 10) == 33
    for other in ({}, {**before, "total_steps": None}, {**before, "settings": {"minutes": 2.0}}, {"settings": {}}):
        assert length.told(settings(minutes=1.0), other, 10) == UNKNOWN


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", (5, None, None)),
        ("--minutes 2", (5, None, 2.0)),
        ("--steps 3", (5, 3, None)),
        ("--epochs 4", (4, None, None)),
    ],
)
def test_what_the_line_says_counts_more_than_what_a_program_has(line, expected):
    for own in ({}, {"steps": 9}, {"minutes": 8.0}):
        p = training.parser("a_run", "A run.", epochs=5, batch_size=4)
        p.set_defaults(**own)
        found = training.Settings.parsed(p, line.split())
        epochs, steps, minutes = expected
        if not line:
            steps, minutes = own.get("steps"), own.get("minutes")
        assert (found.epochs, found.steps, found.minutes) == (epochs, steps, minutes)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--minutes 2 --steps 3", "--steps changes nothing beside --minutes"),
        ("--minutes 2 --epochs 3", "--epochs changes nothing beside --minutes"),
        ("--minutes 0", "expected a number of minutes above 0, got 0"),
        ("--minutes nan", "expected a number of minutes above 0, got nan"),
    ],
)
def test_a_line_that_says_two_lengths_or_none_is_refused(line, told, capsys):
    with pytest.raises(SystemExit):
        training.parser("a_run", "A run.", epochs=5, batch_size=4).parse_args(line.split())
    assert told in capsys.readouterr().err


# --- runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Runs that neither judge samples nor draw curves."""
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(mg.viz, "loss_curves", quick_curves)


def with_courses(settings):
    game = tiny_run.build(settings)
    game.schedules = [
        optim.Course(game.optimizers["generator"], partial(optim.linear, 1.0, 0.0), warmup=10),
        optim.Course(game.optimizers["discriminator"], partial(optim.cosine, floor=0.1)),
    ]
    return game


def run(path, **options):
    images = mg.data.digits(64, seed=0)[0]
    options = {"data": "digits", "seed": 1, **options}
    return training.run(
        with_courses, tiny_run.settings(path, **options), load=lambda s, n: mg.data.Samples(images, None, "digits")
    )


def rates(path, step):
    arrays = checkpoint.load(path / "checkpoints" / f"step_{step:08d}.safetensors")[0]
    return {name: float(arrays[f"{name}_optimizer.lr"]) for name in ("generator", "discriminator")}


def test_rates_fall_over_a_run_and_a_longer_one_goes_on_along_its_own_course(tmp_path, quick, capsys):
    assert run(tmp_path, steps=12) == 0
    found = rates(tmp_path, 12)
    assert found["generator"] == pytest.approx(1e-3 / 12)
    assert found["discriminator"] == pytest.approx(1e-3 * (0.1 + 0.9 * (1 + np.cos(np.pi * 11 / 12)) / 2))
    assert run(tmp_path, epochs=4, resume=True, checkpoint_every=1, keep=100) == 0  # 64 images in batches of 16
    assert "that were to end at step 12 go on along another course" in capsys.readouterr().out
    assert rates(tmp_path, 13)["generator"] == pytest.approx(1e-3 * 4 / 16)
    assert rates(tmp_path, 16)["generator"] == pytest.approx(1e-3 * 1 / 16)


def test_a_run_by_the_clock_has_a_length_that_is_written_down_and_is_resumed_exactly(tmp_path, quick, capsys):
    whole, again = tmp_path / "whole", tmp_path / "again"
    options = {"minutes": 0.02, "checkpoint_every": 50, "sample_every": 10**6, "keep": 1000}
    assert run(whole, **options) == 0
    steps = json.loads((whole / "config.json").read_text())["total_steps"]
    assert f"0.02 minutes are {steps} steps" in capsys.readouterr().out
    assert len(tiny_run.rows(whole)) == steps
    assert rates(whole, steps)["generator"] == pytest.approx(1e-3 / steps)
    shutil.copytree(whole, again)
    saved = checkpoint.find(again / "checkpoints")
    lengths = [json.loads(path.with_suffix(".json").read_text())["total_steps"] for path in saved]
    fixed = lengths.index(steps)
    assert lengths == [None] * fixed + [steps] * (len(saved) - fixed)
    for path in saved[fixed + 1 :]:
        path.unlink()
    assert run(again, resume=True, **options) == 0
    ours, theirs = tiny_run.newest(whole), tiny_run.newest(again)
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    assert tiny_run.without_clock(whole) == tiny_run.without_clock(again)
    capsys.readouterr()
    assert run(again, resume=True, **options) == 0
    assert "a larger --minutes continues it" in capsys.readouterr().out


def test_the_checkpoint_that_says_the_length_says_how_good_samples_were_too(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(Clock, "steps", lambda *told: loop.READ_BACK + 5)
    assert run(tmp_path, minutes=1.0, sample_every=loop.READ_BACK) == 0
    about = json.loads((tmp_path / f"checkpoints/step_{loop.READ_BACK:08d}.json").read_text())
    assert about["total_steps"] == loop.READ_BACK + 5
    assert about["distance"] is not None


def test_a_run_by_the_clock_counts_the_evaluations_to_come(tmp_path, quick, monkeypatch):
    gauge = SimpleNamespace(count=4, floor=1.0, described="", seconds=1000.0, measure=lambda images: 2.0)
    monkeypatch.setattr(training.program, "Gauge", lambda samples, n, reader, few: gauge)
    told = []

    def steps(clock, step, training, aside, pace, warm_up):
        told.append([round(aside(n) / 1000) for n in (9, 10, 40)])
        return step + 1

    monkeypatch.setattr(Clock, "steps", steps)
    assert run(tmp_path, minutes=1.0, evaluate_every=30) == 0
    assert told == [[1, 2, 3]]  # from step 20 on, with the one at the end


def test_a_run_of_slow_steps_ends_in_time(tmp_path, quick, monkeypatch):
    """Its steps are timed as they come, not once twenty of them are done."""
    played = mg.gan.ScoreGame.play
    monkeypatch.setattr(mg.gan.ScoreGame, "play", lambda game, batches: sleep(0.03) or played(game, batches))
    assert run(tmp_path, minutes=0.01, sample_every=10**6) == 0
    assert len(tiny_run.rows(tmp_path)) < loop.READ_BACK  # 0.6 seconds
