"""The loop: what is logged, drawn, judged, saved and said, and when."""

import contextlib
import io
import itertools
import json
import signal
import sys
import time

import numpy as np
import pytest
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, newest, rows, settings

import minigan as mg
from minigan import export, training, viz
from minigan.judge import Look
from minigan.training import checkpoint, loop, record


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)


def no_picture(game, samples, path):
    path.write_bytes(b"")


def run(out, make=build, **options):
    fixed = make is build  # a turn that a test has changed may be another one in another round, and is not replayed
    return training.run(make, settings(out, **{"graph": fixed, **options}), picture=no_picture)


def spoiling(first):
    """A game whose generator's loss is NaN from that step on."""

    def make(settings):
        game = build(settings)
        turn = game.generator_turn
        nan = mg.tensor(float("nan"))
        game.generator_turn = lambda batch: {**turn(batch), **({"g_loss": nan} if game.rounds >= first - 1 else {})}
        return game

    return make


# --- the log --------------------------------------------------------------------------------------------------------


def test_a_column_may_come_late_and_go(tmp_path):
    def make(settings):
        game = build(settings)
        turn = game.generator_turn

        def changing(batch):
            late = {"late": mg.tensor(float(game.rounds))} if game.rounds in (3, 4, 23) else {}
            return {**turn(batch), **late}

        game.generator_turn = changing
        return game

    assert run(tmp_path, make, epochs=4, sample_every=5) == 0
    log = rows(tmp_path)
    assert [int(row["step"]) for row in log] == list(range(1, 25))
    assert {row["step"]: row["late"] for row in log if row["late"]} == {"4": "3.0", "5": "4.0", "24": "23.0"}
    assert list(log[0]) == [*record.COLUMNS, "late"]


def killed_at(step):
    def make(settings):
        game = build(settings)
        play = game.play

        def dies(batches):
            if game.rounds == step:
                raise KeyboardInterrupt
            return play(batches)

        game.play = dies
        return game

    return make


def test_a_look_judges_the_means_of_the_log_since_the_one_before(tmp_path):
    often = {"sample_every": 4, "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, killed_at(7), **often)
    for stop in (11, 15):
        assert run(tmp_path, steps=stop, resume=True, **often) == 0
    losses = [float(row["d_loss"]) for row in rows(tmp_path)]
    looks = record.read_looks(tmp_path, [])
    assert [look.step for look in looks] == [0, 4, 8, 11, 12, 15]
    for before, look in itertools.pairwise(looks):
        assert look.numbers["d_loss"] == pytest.approx(np.mean(losses[before.step : look.step]))


# --- samples --------------------------------------------------------------------------------------------------------


def test_samples_are_drawn_more_often_in_the_first_epoch(tmp_path):
    run(tmp_path, batch_size=2, epochs=2)  # of 48 steps
    drawn = [int(record.PICTURE.fullmatch(path.name)[2]) for path in sorted((tmp_path / "samples").iterdir())]
    assert drawn == [0, 3, 6, 12, 24, 48, 96]


def test_no_two_samples_that_are_judged_are_of_the_same_noise(tmp_path, monkeypatch):
    judged = []
    monkeypatch.setattr(QuickYardstick, "count", 3 * loop.CHUNK - 7)
    monkeypatch.setattr(QuickYardstick, "measure", lambda self, samples: judged.append(samples) or {})
    run(tmp_path, steps=1)
    assert [len(np.unique(samples.reshape(len(samples), -1), axis=0)) for samples in judged] == 2 * [185]


# --- checkpoints ----------------------------------------------------------------------------------------------------


def test_a_checkpoint_says_how_far_samples_were_if_they_were_judged_then(tmp_path):
    run(tmp_path, steps=5, checkpoint_every=1, sample_every=2, keep=9)
    about = [json.loads(path.with_suffix(".json").read_text()) for path in checkpoint.find(tmp_path / "checkpoints")]
    assert [(held["step"], held["distance"] is None) for held in about] == [
        *[(1, True), (2, False), (3, True), (4, False), (5, False)],
    ]


def test_a_state_is_saved_once(tmp_path, monkeypatch):
    saved, save = [], checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *args, **options: saved.append(args[3]) or save(*args, **options))
    monkeypatch.setattr(loop, "verdict", lambda step, numbers, before, **about: Look(step, numbers, "failing", []))
    assert run(tmp_path, sample_every=1, checkpoint_every=1, early_stop=True) == loop.FAILED
    assert saved == [1, 2]  # the last of them when it was due, though the run then stopped


def test_a_run_that_failed_goes_on_to_its_next_look(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "verdict", lambda step, numbers, before, **about: Look(step, numbers, "failing", []))
    assert run(tmp_path, sample_every=1, early_stop=True) == loop.FAILED
    assert run(tmp_path, sample_every=5, early_stop=True, resume=True) == loop.FAILED
    assert newest(tmp_path)["step"] == 5


def test_a_generator_knows_its_run(tmp_path):
    run(tmp_path, steps=2)
    assert export.load_generator(tmp_path / "generator.safetensors").about == {"step": 2, "run": "tiny"}


def test_time_is_spent_once(tmp_path):
    before = time.perf_counter()
    run(tmp_path, steps=7)
    spent, _ = record.read_timings(tmp_path, [])
    assert 0 < sum(spent.values()) <= time.perf_counter() - before
    assert min(spent.values()) > 0


# --- what is said ---------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_epoch_is_a_line_where_no_bar_shows_it(tmp_path, capsys, monkeypatch):
    run(tmp_path / "piped", epochs=2)
    said = capsys.readouterr().out
    assert "epoch 1, step 6: D " in said
    assert "epoch 2, step 12: D " in said
    monkeypatch.setattr(sys, "stderr", Terminal())
    run(tmp_path / "watched", epochs=2)
    assert "epoch 1" not in capsys.readouterr().out
    assert "12/12" in sys.stderr.getvalue()


def test_what_is_kept_of_a_run_with_a_loss_that_is_nan_is_said_as_it_is(tmp_path):
    nan = r"step {}: g_loss of the generator is nan; training stopped{}; to find the op: the same command with {}$"
    again = "--resume --debug-nan"
    for _ in range(2):
        first = nan.format(1, " before its first checkpoint", again)
        with pytest.raises(mg.errors.NonFiniteLoss, match=first):
            run(tmp_path / "first", spoiling(1))
    assert checkpoint.find(tmp_path / "first" / "checkpoints") == []
    with pytest.raises(mg.errors.NonFiniteLoss, match=r"before its first checkpoint; up to step 1 every"):
        run(tmp_path / "first", spoiling(1), resume=True, debug_nan=True)
    for step, keeps in ((9, 6), (12, 6), (13, 12)):
        out = tmp_path / str(step)
        kept = rf" and the last good checkpoint, step_0*{keeps}\.safetensors, is kept in {out / 'checkpoints'}"
        with pytest.raises(mg.errors.NonFiniteLoss, match=nan.format(step, kept, again)):
            run(out, spoiling(step))
        assert [path.stem for path in checkpoint.find(out / "checkpoints")][-1] == f"step_{keeps:08d}"


def test_a_dry_run_promises_nothing_of_a_folder_that_is_gone(tmp_path, capsys, monkeypatch):
    dry = settings(tmp_path, dry_run=True)
    with pytest.raises(mg.errors.NonFiniteLoss, match=r"is nan; training stopped; .* command with --debug-nan$"):
        training.start(spoiling(1), dry, lambda settings: (1, 28, 28), picture=no_picture)

    monkeypatch.setattr(loop, "stopped_by_signals", lambda: contextlib.nullcontext([signal.SIGTERM]))
    dry = settings(tmp_path, dry_run=True)
    assert training.start(build, dry, lambda settings: (1, 28, 28), picture=no_picture) == loop.INTERRUPTED
    assert capsys.readouterr().out.endswith("\nStopped at step 0 of 2\n")
