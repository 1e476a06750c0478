"""Cells go on where they were stopped, give the same on any number of processes, and refuse what does not fit."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from minigan import data, optim, reproduce
from minigan.errors import CheckpointError, NonFiniteLoss, ShapeError
from minigan.gan import ScoreGame, losses, normal_latent
from minigan.models import mlp2d
from minigan.random import Stream
from minigan.reproduce import Column, Figure, Plan, Protocol, Row, Table, cell, files
from minigan.system import disk
from minigan.system.signals import INTERRUPTED

POINTS = data.gaussians_ring(64)[0]


def trained(given):
    """A GAN of eight steps, which keeps the steps that were looked at."""
    G, D = mlp2d(2, width=4, rng=Stream(given.seed))
    game = ScoreGame(
        G,
        D,
        loss=losses.LOSSES[given.settings["loss"]],
        latent=normal_latent(2),
        generator_optimizer=optim.Adam(G.parameters(), given.settings["lr"]),
        discriminator_optimizer=optim.Adam(D.parameters()),
        seed=given.seed,
    )
    looks = list(given.recall("looks").get("looks", []))
    for step in given.train(game, data.shuffled_batches(POINTS, 8), given.settings["steps"], {0, 3, 8}):
        assert np.isfinite(game.sample(4).numpy()).all()  # what is not could not be measured
        looks = [k for k in looks if k < step] + [step]
        given.keep("looks", looks=np.array(looks))
    return {"mean": float(game.sample(100).numpy().mean()), "word": "done"}


def made(folder, *, steps=8, seeds=1, lr=1e-3, of=trained, **options):
    """A plan of a table of two rows."""
    table = Table(
        "made",
        "A made-up table",
        "Nobody 2000",
        "Nothing.",
        [Column("mean", "mean", ".3f", "low"), Column("word", "word")],
        [Row("one", {"loss": "hinge"}, {"mean": Figure(0.5, 0.1)}), Row("two <b>", {"loss": "lsgan"})],
        Protocol({"steps": steps, "lr": lr}, seeds),
        None,
        {},
        of,
    )
    return Plan(table, table.short, table.rows, seeds, folder, **options)


def numbers(results):
    return {key: result.numbers for key, result in results.found.items()}


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_a_cell_that_was_stopped_goes_on_as_if_it_had_not_been(stop_at, tmp_path):
    whole = reproduce.run(made(tmp_path / "whole"))[0]
    plan = made(tmp_path / "parts")
    assert not (stopped_at(plan, stop_at) / cell.RESULT).exists()
    parts = reproduce.run(plan)[0]
    assert numbers(parts) == numbers(whole)
    for row in plan.rows:
        assert parts.of(row)[0].kept("looks")["looks"].tolist() == [0, 3, 8]
    assert not list(plan.folder.glob("cells/*/checkpoints"))


def test_what_is_finished_is_not_computed_again_and_more_seeds_come_on_top(tmp_path):
    told = []
    first = reproduce.run(made(tmp_path), told.append)[0]
    both = reproduce.run(made(tmp_path, seeds=2), told.append)[0]
    assert [(r.row, r.seed) for r in told] == [("one", 0), ("two <b>", 0), ("one", 1), ("two <b>", 1)]
    assert numbers(first).items() <= numbers(both).items()
    row, column = both.rows[0], both.table.columns[0]
    a, b = (both.found["one", seed].numbers["mean"] for seed in range(2))
    found = both.summary(row, column)
    assert found.value == pytest.approx((a + b) / 2)
    assert found.error == pytest.approx(abs(a - b) / 2)  # the deviation of two, over the root of two
    assert both.summary(row, both.table.columns[1]) == ("done", None, 2)


def test_what_was_asked_for_before_stays_on_the_page(tmp_path):
    plan = made(tmp_path, seeds=2)
    reproduce.run(replace(plan, rows=plan.rows[:1]))
    results = reproduce.run(replace(plan, rows=plan.rows[1:], seeds=1))[0]
    assert results.missing == []
    assert [(row.name, len(results.of(row))) for row in results.rows] == [("one", 2), ("two <b>", 1)]
    page = files.write(results, tmp_path, {}).read_text()
    assert "<td>one</td>" in page
    assert "3 of 3" in page
    assert reproduce.run(replace(plan, rows=plan.rows[1:], minutes=0.0))[0].missing == [(plan.rows[1], 1)]


def stopped_at(plan, step):
    """The folder of the plan's first cell, stopped after so many steps."""
    asked = iter(range(100))
    with pytest.raises(cell.Stopped):
        plan.cell(plan.rows[0], 0, stopped=lambda: next(asked) + 1 == step).result()
    return plan.folder / "cells/one-0"


def test_a_damaged_checkpoint_is_told_and_the_cell_begins_anew(tmp_path, capsys):
    whole = reproduce.run(made(tmp_path / "whole"))[0]
    plan = made(tmp_path / "parts")
    (held,) = stopped_at(plan, 6).glob("checkpoints/*.safetensors")
    held.write_bytes(held.read_bytes()[:-1])
    folder = stopped_at(plan, 2)
    assert "its checksum is not the one" in capsys.readouterr().err
    assert [path.name for path in folder.glob("checkpoints/*.safetensors")] == ["step_00000002.safetensors"]
    assert numbers(reproduce.run(plan)[0]) == numbers(whole)


def test_what_a_cell_kept_without_a_checkpoint_is_forgotten(tmp_path):
    plan = made(tmp_path)
    folder = tmp_path / "cells/one-0"
    folder.mkdir(parents=True)
    np.savez(folder / "curve.npz", step=np.array([1]))
    reproduce.run(plan)
    assert [path.name for path in folder.glob("*.npz")] == ["looks.npz"]


def test_a_cell_is_computed_by_one_process_at_a_time(tmp_path):
    plan = made(tmp_path)
    folder = tmp_path / "cells/one-0"
    folder.mkdir(parents=True)
    with disk.holding(folder / ".lock"), pytest.raises(CheckpointError, match=r"one-0: another process \(number"):
        reproduce.run(plan)


def test_time_that_is_up_stops_before_the_next_cell_and_says_what_is_left(tmp_path):
    results, interrupted = reproduce.run(made(tmp_path, minutes=0.0, seeds=2))
    assert not interrupted
    assert [(row.name, seed) for row, seed in results.missing] == [
        ("one", 0),
        ("two <b>", 0),
        ("one", 1),
        ("two <b>", 1),
    ]
    page = files.write(results, tmp_path, {}).read_text()
    assert "Not finished, by seed: one (0, 1); two &lt;b&gt; (0, 1)" in page


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    reproduce.run(made(tmp_path))
    with pytest.raises(CheckpointError, match=r"lr was 0.001, is 0.01.*another folder"):
        reproduce.run(made(tmp_path, lr=0.01))


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: text.replace('"seconds": ', '"seconds": 1')])
def test_a_damaged_result_is_named(damage, tmp_path):
    reproduce.run(made(tmp_path))
    path = tmp_path / "cells/one-0" / cell.RESULT
    path.write_text(damage(path.read_text()))
    with pytest.raises(CheckpointError, match=r"result\.json: cannot be read"):
        reproduce.run(made(tmp_path))


def test_a_cell_whose_training_fails_is_a_result_of_its_own(tmp_path):
    def fails(given):
        if given.row.name == "one":
            raise NonFiniteLoss("step 3: d_loss is nan")
        return {"mean": float("inf")}

    results = reproduce.run(made(tmp_path, of=fails))[0]
    again = reproduce.run(made(tmp_path, of=fails))[0]
    for held in (results, again):
        assert held.missing == []
        assert held.summary(held.rows[0], held.table.columns[0]) is None
        assert held.summary(held.rows[1], held.table.columns[0]).value == float("inf")
    several = reproduce.run(made(tmp_path, of=fails, seeds=2))[0]
    assert several.summary(several.rows[1], several.table.columns[0]) == (float("inf"), None, 2)
    page = files.write(again, tmp_path, {}).read_text()
    assert "one, seed 0: step 3: d_loss is nan" in page
    assert json.loads((tmp_path / files.NUMBERS).read_text())["cells"][1]["numbers"] == {"mean": "inf"}


@pytest.mark.parametrize("lr", [1e38, 3e38])  # at the end, or at a look
def test_a_weight_that_is_not_finite_fails_the_cell(lr, tmp_path):
    with np.errstate(all="ignore"):
        results = reproduce.run(made(tmp_path, lr=lr))[0]
    assert all("is not finite" in result.failed for result in results.failed)
    assert len(results.failed) == 2


def test_the_terminal_and_the_csv_show_ours_and_the_papers(tmp_path):
    results = reproduce.run(made(tmp_path, seeds=2))[0]
    files.write_numbers(results, tmp_path, {})
    told = files.lines(results).splitlines()
    assert [line.split()[:2] for line in told[2:4]] == [["one", "ours"], ["paper", "0.500"]]
    assert len(told) == 5
    rows = (tmp_path / files.CSV).read_text().splitlines()
    assert rows[0] == "method,measure,ours,error,seeds,paper,paper_error,sure"
    assert rows[1].startswith("one,mean,")
    assert rows[1].endswith(",2,0.5,0.1,read")


def test_names_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ShapeError, match="no table 'rings', but dirac"):
        reproduce.load("rings")
    with pytest.raises(ShapeError, match="no method 'gan', but GAN"):
        reproduce.load("ring").chosen(["gan"])


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same(tmp_path):
    table = reproduce.load("ring")
    protocol = Protocol({**table.short.settings, **table.trial}, 1)
    rows = table.chosen(["GAN", "PacGAN2", "R1"])
    one, two = (reproduce.run(Plan(table, protocol, rows, 1, tmp_path / str(n), processes=n))[0] for n in (1, 2))
    assert numbers(one) == numbers(two)
    for row in rows:
        assert np.array_equal(one.of(row)[0].kept("samples")["samples"], two.of(row)[0].kept("samples")["samples"])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="children inherit masks on POSIX alone")
@pytest.mark.parametrize("after", [0.1, 0.6, 1.2])
def test_ctrl_c_while_processes_start_is_no_error(after, tmp_path):
    line = [sys.executable, "-m", "minigan", "reproduce", "ring", "--processes", "2", "--out", str(tmp_path)]
    options = {"start_new_session": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = subprocess.Popen(line, **options)
    while not (tmp_path / ".lock").exists():
        time.sleep(0.01)
    time.sleep(after)  # its workers are being started, or import what they need
    os.killpg(started.pid, signal.SIGINT)
    told, _ = started.communicate(timeout=60)
    assert started.returncode == INTERRUPTED, told
    assert "Traceback" not in told
    assert "the same command goes on" in told
