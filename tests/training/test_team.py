"""Runs of several processes, as ranks that are threads: one folder, one voice, one end."""

import signal
import threading
import time
from contextlib import contextmanager

import fakecupy
import numpy as np
import pytest
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, newest, rows, settings

import minigan as mg
from minigan import training, viz
from minigan.command import recipe
from minigan.data import Samples
from minigan.errors import CheckpointError, DataError, DeviceError, NonFiniteLoss, ProcessError, ShapeError
from minigan.processes import Group
from minigan.training import labels, loop, team

ONE = ("d_loss", "g_loss", "d_real", "d_fake")


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)
    monkeypatch.setattr(team, "GRACE", 0.2)


def run(out, make=build, ranks=2, load=None, **options):
    fixed = make is build  # a turn that a test has changed may be another one in another round, and is not replayed
    chosen = settings(out, **{"graph": fixed, "virtual_ranks": ranks, "steps": 25, **options})
    return training.run(make, chosen, picture=lambda game, samples, path: path.write_bytes(b""), load=load)


def is_first():
    """Does the calling thread lead?"""
    return threading.current_thread() is threading.main_thread()


def test_a_run_of_several_logs_and_keeps_what_one_does(tmp_path, capsys):
    assert run(tmp_path / "one", ranks=0) == 0
    alone = capsys.readouterr().out.splitlines()
    for ranks in (2, 4):
        folder = tmp_path / str(ranks)
        assert run(folder, ranks=ranks) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said[:5]] == [line.split(":")[0] for line in alone[:5]]
        assert said[-2].startswith("Sums over processes, waiting included, took ")
        assert len(said) == len(alone) + 1, "one of them speaks"
        seconds, sessions = training.record.read_timings(folder, [])
        assert seconds["sums over processes"] > 0
        assert [session["processes"] for session in sessions] == [ranks]
        page = (folder / "report.html").read_text()
        assert "sums over processes" in page
        assert "<th>processes</th></tr><tr>" in page
        assert {p.name for p in folder.rglob("*")} == {p.name for p in (tmp_path / "one").rglob("*")}
        for mine, expected in zip(rows(folder), rows(tmp_path / "one"), strict=True):
            assert [float(mine[k]) for k in ONE] == pytest.approx([float(expected[k]) for k in ONE], abs=1e-3)


def test_a_run_goes_on_to_the_last_bit(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "parts", steps=11)
    run(tmp_path / "parts", resume=True)
    expected, found = newest(tmp_path / "whole"), newest(tmp_path / "parts")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_it_goes_on_with_another_number_if_that_is_allowed(tmp_path):
    run(tmp_path, steps=11)
    with pytest.raises(CheckpointError, match="virtual_ranks was 2, is 4"):
        run(tmp_path, ranks=4, resume=True)
    assert run(tmp_path, ranks=4, resume=True, allow_change=["virtual_ranks"]) == 0
    assert len(rows(tmp_path)) == 25


def test_batch_norm_of_each_s_own_rows_goes_on_with_another_number_as_another_game(tmp_path, capsys):
    run(tmp_path, steps=2, sync_norm=False)
    run(tmp_path, steps=4, sync_norm=False, resume=True)
    assert "another game" not in capsys.readouterr().out
    run(tmp_path, ranks=4, steps=6, sync_norm=False, resume=True, allow_change=["virtual_ranks"])
    assert "note: --no-sync-norm on 4 processes is another game than on 2" in capsys.readouterr().out


def test_clusters_are_found_by_the_first_and_told(tmp_path, monkeypatch):
    found = []
    plain = labels.k_means
    monkeypatch.setattr(labels, "k_means", lambda *a, **k: found.append(1) or plain(*a, **k))
    options = ["--model", "mlp28", "--clusters", "3", "--batch-size", "16", "--steps", "4", "--virtual-ranks", "2"]
    chosen = training.Settings.parsed(recipe.options([]), [*options, "--out", str(tmp_path)], "train")
    assert training.start(recipe.build, chosen, recipe.shape) == 0
    assert found == [1]


def test_an_error_before_the_run_ends_all(tmp_path):
    with pytest.raises(ShapeError, match="a batch of 18 does not split into 4 equal parts: take 16 or 20"):
        run(tmp_path / "a", ranks=4, batch_size=18)
    assert not (tmp_path / "a").exists()
    run(tmp_path / "b", steps=3)
    with pytest.raises(CheckpointError, match="holds a run"):
        run(tmp_path / "b")


def test_an_error_of_the_shape_ends_all(tmp_path):
    said = []

    def shape(chosen):
        said.append(is_first())
        raise ShapeError("no shape")

    with pytest.raises(ShapeError, match="no shape"):
        training.run(build, settings(tmp_path / "a", virtual_ranks=2), shape)
    assert sorted(said) == [False, True]
    assert not (tmp_path / "a").exists()


def test_a_process_that_waits_for_its_gpu_waits_for_the_others(tmp_path, monkeypatch):
    """Where losses are read back: what they wait for may be a sum that another process does not begin."""
    waits, read = [], []

    @contextmanager
    def waiting(group):
        waits.append(group)
        yield
        waits.pop()

    monkeypatch.setattr(Group, "waiting", waiting)
    monkeypatch.setattr(
        loop, "to_numbers", lambda arrays, plain=loop.to_numbers: read.append(len(waits)) or plain(arrays)
    )
    run(tmp_path, steps=3)
    assert read
    assert set(read) == {1}


def test_data_that_only_another_process_cannot_read(tmp_path):
    def load(chosen, limit):
        if not is_first():
            raise DataError("gone")
        return Samples(np.zeros((32, 1, 28, 28), "uint8"), None, "zeros")

    with pytest.raises(DataError, match="gone"):
        run(tmp_path, load=load)


def test_the_first_names_a_folder_that_the_system_gives_to_none(tmp_path):
    def load(chosen, limit):
        if is_first():
            time.sleep(0.2)
        raise OSError("of the first" if is_first() else "of another")

    with pytest.raises(OSError, match="of the first"):
        run(tmp_path, load=load)


def test_other_data_in_another_process_are_noticed(tmp_path):
    def load(chosen, limit):
        return Samples(np.full((32, 1, 28, 28), is_first(), "uint8"), None, "mine")

    with pytest.raises(ProcessError, match=r"mine: here it is .*, in the first process"):
        run(tmp_path, load=load)


def spoilt_from(step, *, first=True, others=True):
    """The generator's loss is NaN from that step on: in the first process, in the others."""

    def make(chosen):
        game = build(chosen)
        turn, spoils = game.generator_turn, first if is_first() else others

        def spoiling(batch):
            found = turn(batch)
            if game.rounds >= step - 1:
                found["g_loss"] = mg.log(found["g_loss"] * 0 + (-1 if spoils else 1))
            return found

        game.generator_turn = spoiling
        return game

    return make


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("first", "others"), [(True, True), (False, True), (True, False)])
def test_a_loss_that_is_nan_anywhere_ends_all_with_one_message(tmp_path, first, others):
    with pytest.raises(NonFiniteLoss, match=r"step 23: g_loss of the generator is nan; .*step_00000018"):
        run(tmp_path, spoilt_from(23, first=first, others=others))
    assert [int(row["step"]) for row in rows(tmp_path)] == list(range(1, 23))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("first", "others", "whose"), [(True, True, 1), (False, True, 2)])
def test_the_op_that_made_a_nan_is_named_with_the_process(tmp_path, first, others, whose):
    with pytest.raises(NonFiniteLoss, match=rf"step 23: log, .*the first result .* in process {whose} of 2"):
        run(tmp_path, spoilt_from(23, first=first, others=others), debug_nan=True)


def test_a_turn_that_moves_by_its_own_rows_alone_is_told(tmp_path):
    def make(chosen):
        game = build(chosen)
        critic = game.optimizers["discriminator"]
        critic.minimize = lambda loss: critic.step(mg.grad(loss, critic.params))
        return game

    wanted = r"step 6: discriminator\.1\.weight of process 2 is not that of the first: .* before its first checkpoint"
    with pytest.raises(ProcessError, match=wanted):
        run(tmp_path, make)


def test_an_error_in_the_middle_of_a_round_ends_all(tmp_path):
    def make(chosen):
        game = build(chosen)
        turn = game.generator_turn

        def failing(batch):
            if game.rounds == 7 and not is_first():
                raise ShapeError("a mistake of mine")
            return turn(batch)

        game.generator_turn = failing
        return game

    with pytest.raises(ShapeError, match="a mistake of mine"):
        run(tmp_path, make)


@pytest.mark.parametrize("to_first", [True, False])
def test_a_signal_to_any_process_stops_and_saves_once(tmp_path, monkeypatch, to_first):
    """As if process after process had been given it: a thread is given none, so that its list is filled here."""
    lists = {}

    @contextmanager
    def noting():
        lists[is_first()] = []
        yield lists[is_first()]

    monkeypatch.setattr(loop, "stopped_by_signals", noting)
    monkeypatch.setattr(team, "stopped_by_signals", noting)

    def make(chosen):
        game = build(chosen)
        turn = game.generator_turn

        def signalled(batch):
            if game.rounds == 7 and is_first() == to_first:
                lists[to_first].append(signal.SIGTERM)
            return turn(batch)

        game.generator_turn = signalled
        return game

    assert run(tmp_path, make) == 130
    assert len(rows(tmp_path)) == (8 if to_first else 9)
    assert run(tmp_path, resume=True) == 0
    assert len(rows(tmp_path)) == 25


def test_a_run_by_the_clock_has_one_length_for_all(tmp_path):
    assert run(tmp_path, steps=None, minutes=0.02) == 0
    assert len(rows(tmp_path)) == training.record.read_config(tmp_path, [])["total_steps"]


@pytest.mark.parametrize(
    ("parts", "batch", "played"),
    [
        ({}, 128, 16),
        ({}, 8, 8),
        ({"virtual_ranks": 4}, 128, 16),
        ({"virtual_ranks": 8}, 128, 32),  # of which a group of four has all its samples on one
        ({"accumulate": 3}, 96, 12),
        ({"accumulate": 3, "virtual_ranks": 2}, 12, 12),
        ({"accumulate": 3}, 128, 128),  # which the run refuses, as it would if it were not dry
    ],
)
def test_a_dry_run_has_a_batch_that_splits_as_the_real_one_does(parts, batch, played):
    chosen = settings("", dry_run=True, batch_size=batch, **parts)
    with chosen.ready():
        assert chosen.batch_size == played


def test_a_dry_run_of_several_processes_has_rows_for_each(tmp_path, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    chosen = settings(tmp_path, dry_run=True, batch_size=96)
    with chosen.ready():
        assert chosen.batch_size == 12


def test_memory_is_counted_for_the_rows_of_one(tmp_path, capsys):
    run(tmp_path, dry_run=True, batch_size=16)
    assert "memory: " in capsys.readouterr().out


def test_virtual_ranks_add_up_on_a_cpu(tmp_path, monkeypatch):
    fakecupy.install(monkeypatch)
    with pytest.raises(DeviceError, match="--virtual-ranks: GPUs add in an order of NCCL's own"):
        run(tmp_path, device="cuda")
