"""Hooks: what they are told and when, that they change nothing, and what becomes of those that fail."""

import argparse

import numpy as np
import pytest
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, newest, rows, settings, without_clock

import minigan as mg
from minigan import training, viz
from minigan.errors import NonFiniteLoss
from minigan.training import loop, options


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)


class Recorder(training.Hook):
    def __init__(self):
        self.told = []
        self.losses = []

    def begun(self, run):
        self.run = run
        self.told.append(("begun", run.step))

    def stepped(self, step, losses):
        self.told.append(("stepped", step))
        self.losses.append(losses)

    def sampled(self, step, pictures):
        assert all(path.exists() for path in pictures.values())
        self.told.append(("sampled", step, *pictures))

    def looked(self, look):
        self.told.append(("looked", look.step))

    def evaluated(self, step, numbers):
        self.told.append(("evaluated", step, dict(numbers)))

    def checkpointed(self, step, path):
        assert path.exists()
        self.told.append(("checkpointed", step))

    def ended(self, step, status):
        self.told.append(("ended", step, status))

    def steps(self, what="stepped"):
        return [told[1] for told in self.told if told[0] == what]


class Failing(Recorder):
    """Raises in the method of that name."""

    def __init__(self, at):
        super().__init__()

        def fail(*told):
            self.told.append((at, "fails"))
            raise OSError("no\nroom")

        setattr(self, at, fail)


def run(out, *hooks, make=build, measure=None, **options):
    return training.run(make, settings(out, **{"epochs": 2, **options}), hooks=hooks, measure=measure)


def test_a_run_is_told_as_its_files_have_it(tmp_path):
    hook = Recorder()
    assert run(tmp_path, hook, measure=lambda *about: {"score": 2.0}) == 0
    assert hook.told[:3] == [("begun", 0), ("sampled", 0, ""), ("looked", 0)]
    assert hook.steps() == list(range(1, 13))
    assert (hook.run.step, hook.run.last, hook.run.folder.path) == (0, 12, tmp_path)
    logged = [{k: float(v) for k, v in row.items() if k != "step"} for row in rows(tmp_path)]
    assert hook.losses == logged
    pictures = [int(path.stem[5:]) for path in sorted((tmp_path / "samples").glob("*.png"))]
    assert hook.steps("sampled") == pictures
    assert hook.steps("looked") == [look.step for look in training.record.read(tmp_path).looks]
    assert hook.steps("checkpointed") == [6, 12]
    assert hook.told[-2:] == [("evaluated", 12, {"score": 2.0}), ("ended", 12, 0)]


def test_losses_are_told_before_what_is_made_of_them(tmp_path):
    hook = Recorder()
    run(tmp_path, hook)
    before = hook.told[: hook.told.index(("checkpointed", 6))]
    assert [told[1] for told in before if told[0] == "stepped"] == list(range(1, 7))


def test_all_is_told_in_the_order_of_its_steps(tmp_path):
    hook = Recorder()
    run(tmp_path, hook, epochs=8)
    steps = [told[1] for told in hook.told]
    assert steps == sorted(steps)
    assert {told[0] for told in hook.told if told[1] == 6} == {"stepped", "sampled", "checkpointed"}
    assert next(told[0] for told in hook.told if told[1] == 6) == "stepped"


def test_with_hooks_a_run_is_the_same_and_waits_for_the_device_as_often(tmp_path, monkeypatch):
    reads, original = [], loop.to_numbers
    monkeypatch.setattr(loop, "to_numbers", lambda arrays: reads.append(len(arrays)) or original(arrays))
    counted = []
    for name, hooks in (("without", []), ("with", [Recorder(), Recorder()])):
        reads.clear()
        run(tmp_path / name, *hooks)
        counted.append(list(reads))
    assert counted[0] == counted[1]
    assert without_clock(tmp_path / "with") == without_clock(tmp_path / "without")
    weights = [newest(tmp_path / name) for name in ("with", "without")]
    assert all(np.array_equal(weights[0][k], weights[1][k]) for k in weights[0] | weights[1])
    spent = [training.record.read(tmp_path / name).seconds for name in ("with", "without")]
    assert ["trackers" in seconds for seconds in spent] == [True, False]


@pytest.mark.parametrize("at", ["stepped", "sampled", "looked", "checkpointed", "ended"])
def test_one_that_fails_is_left_out_and_the_run_goes_on(tmp_path, capsys, at):
    failing, other = Failing(at), Recorder()
    assert run(tmp_path, failing, other) == 0
    assert failing.told[-1] == (at, "fails")
    assert other.steps() == list(range(1, 13))
    said = capsys.readouterr().err
    assert said.count("Failing failed (OSError: no\\nroom): the run goes on without it") == 1


def test_one_that_cannot_begin_stops_the_run_before_its_first_step(tmp_path):
    before, failing, after = Recorder(), Failing("begun"), Recorder()
    with pytest.raises(OSError, match="room"):
        run(tmp_path, before, failing, after)
    assert before.told == [("begun", 0), ("ended", 0, 1)]
    assert failing.told == [("begun", "fails")]
    assert after.told == []
    assert not (tmp_path / "log.csv").exists()
    assert run(tmp_path, resume=True) == 0


def test_a_resumed_run_says_after_which_step_it_goes_on(tmp_path):
    run(tmp_path, epochs=1)
    hook = Recorder()
    run(tmp_path, hook, resume=True)
    assert hook.told[0] == ("begun", 6)
    assert hook.steps() == list(range(7, 13))
    finished = Recorder()
    assert run(tmp_path, finished, resume=True, measure=lambda *about: {"score": 2.0}) == 0
    assert finished.told == []


def test_an_error_and_ctrl_c_are_told(tmp_path):
    def spoilt(settings):
        game = build(settings)
        turn = game.generator_turn
        nan = mg.tensor(float("nan"))
        game.generator_turn = lambda batch: {**turn(batch), **({"g_loss": nan} if game.rounds >= 3 else {})}
        return game

    hook = Recorder()
    with pytest.raises(NonFiniteLoss):
        run(tmp_path / "nan", hook, make=spoilt, graph=False)
    assert hook.steps() == [1, 2, 3]
    assert hook.told[-1][2] == 1

    def interrupted(*about):
        raise KeyboardInterrupt

    hook = Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", hook, measure=interrupted)
    assert hook.told[-1] == ("ended", 12, 130)


def test_of_several_processes_the_first_tells(tmp_path):
    hook = Recorder()
    assert run(tmp_path, hook, epochs=1, virtual_ranks=2) == 0
    assert hook.steps() == list(range(1, 7))
    assert hook.steps("begun") == [0]


def test_evaluations_on_the_way_are_told(tmp_path, monkeypatch):
    class Ruler:
        described, count, floor, seconds = "by a ruler", 4, 0.5, 0.0

        def measure(self, samples):
            return 3.0

    monkeypatch.setattr(training.program, "_gauge", lambda *about: Ruler())
    hook = Recorder()
    run(tmp_path, hook, evaluate_every=4)
    told = [what[1:] for what in hook.told if what[0] == "evaluated"]
    assert told == [(step, {"frechet": 3.0, "frechet_floor": 0.5}) for step in (4, 8, 12)]


def test_names_of_trackers_on_the_command_line():
    p = options.parser("tiny", "A run.", epochs=1, batch_size=16)
    assert p.parse_args([]).log == []
    assert p.parse_args(["--log", "tensorboard"]).log == ["tensorboard"]
    with pytest.raises(argparse.ArgumentTypeError, match="no tracker 'tensorbord'"):
        options._trackers("tensorboard,tensorbord")
