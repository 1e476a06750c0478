"""Whatever befalls the disk under a run, or the files in its folder: it ends in a line, and never in other weights.

The run is one of a tiny network, by `minigan train` and `minigan resume` in this process. A trial is a recipe made
from its number alone, which a failure prints.
"""

import contextlib
import errno
import io
import json
import os
import shutil
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from faulty_disk import CALLS, ERRORS, FaultyDisk, Killed, damage
from quick_run import QuickYardstick, quick_curves

from minigan import nn, viz
from minigan.command import cli, networks
from minigan.errors import CheckpointError
from minigan.models import Players
from minigan.system import disk
from minigan.training import checkpoint, loop, record

STEPS = 10
OPTIONS = f"--model tiny --side 4 --channels 1 --batch-size 8 --steps {STEPS} --ema 0.9"
OFTEN = "--checkpoint-every 2 --sample-every 3 --keep 2"


def tiny(side, z_dim, *, channels, width, outputs):
    G = nn.Sequential(nn.Linear(z_dim, side * side), nn.Tanh(), nn.Unflatten(1, (channels, side, side)))
    return Players(G, nn.Sequential(nn.Flatten(), nn.Linear(side * side, outputs)))


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A network, a yardstick, curves and flushes of microseconds: no power is cut here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.fsync", os.fstat)
        patched.setitem(networks.NETWORKS, "tiny", networks.Network(tiny, 2, "normal", networks.SIZES))
        patched.setattr(loop, "Yardstick", QuickYardstick)
        patched.setattr(viz, "loss_curves", quick_curves)
        yield


class Runs(NamedTuple):
    """The folder of a run that nothing befell, of one that was killed on its way, and how often each calls the disk."""

    data: Path
    whole: Path
    killed: Path
    calls_of_train: dict
    calls_of_resume: dict


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data, whole, killed, resumed = (folder / name for name in ("data.npy", "whole", "killed", "resumed"))
    np.save(data, np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4)).astype(np.uint8))
    with FaultyDisk(whole) as disk_of_train:
        assert minigan(*train(data, whole)) == (0, "")
    with FaultyDisk(killed, "replace", disk_of_train.seen["replace"] * 2 // 3), pytest.raises(Killed):
        minigan(*train(data, killed))
    assert checkpoint.find(killed / "checkpoints")[-1].stem == "step_00000006"
    shutil.copytree(killed, resumed)
    with FaultyDisk(resumed) as disk_of_resume:
        assert minigan("resume", resumed) == (0, "")
    return Runs(data, whole, killed, disk_of_train.seen, disk_of_resume.seen)


def train(data, out):
    return ["train", *OPTIONS.split(), *OFTEN.split(), "--data", str(data), "--out", str(out)]


def minigan(*arguments):
    """(the exit status, what was said on stderr)."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        return cli.main(list(map(str, arguments))), said.getvalue()


def weights(folder):
    path = checkpoint.find(folder / "checkpoints")[-1]
    return path.name, {name: array.tobytes() for name, array in checkpoint.load(path)[0].items()}


def told(folder):
    """What a run tells of itself, but for the clock."""
    log = [(step, {k: v for k, v in row.items() if k != "images_per_s"}) for step, row in record.read_log(folder, [])]
    return log, record.read_looks(folder, []), checkpoint.find_best(folder / "checkpoints").name


def check_same(runs, out):
    assert weights(out) == weights(runs.whole)
    assert (out / "generator.safetensors").read_bytes() == (runs.whole / "generator.safetensors").read_bytes()


def check_ended(out, status, said):
    """A command was done, or refused in a line; it and what was said of the settings name the folder."""
    assert status in (0, 1)
    lines = said.splitlines()
    assert all(str(out) in line for line in lines), said
    assert len([line for line in lines if line.startswith("minigan ")]) == status, said
    assert len(lines) <= 1 + status, said


def whole_checkpoints(held, out):
    """Those in the folder that are what they were."""
    same = [name for name, content in held.items() if (out / name).is_file() and (out / name).read_bytes() == content]
    return [name for name in same if name.endswith(".safetensors") and name.replace(".safetensors", ".json") in same]


def fault(rng, out, command, recipe, counts):
    """Do the command on a disk that fails at some call, or be killed there."""
    call = rng.choice([name for name in CALLS if counts[name]])
    at = int(rng.integers(1, counts[call] + 1))
    error = rng.choice([None, *ERRORS])
    recipe.append(f"{command[0]}, call {at} of {call}: {'kill' if error is None else error}")
    with contextlib.suppress(Killed), FaultyDisk(out, str(call), at, None if error is None else int(error)):
        check_ended(out, *minigan(*command))


def go_on(runs, out):
    """Resume the run, or begin it if it has not; it is the one that nothing befell."""
    status, said = minigan("resume", out)
    if status:
        assert "no run is in this folder" in said or "no run, there is no such folder" in said
        status, said = minigan(*train(runs.data, out))
    assert (status, said) == (0, "")
    check_same(runs, out)
    assert told(out) == told(runs.whole)


def faulty(runs, out, rng, recipe):
    """The run is begun or goes on, on a disk that fails once or several times."""
    if rng.integers(2):
        shutil.copytree(runs.killed, out)
    for _ in range(rng.integers(1, 4)):
        if (out / "config.json").exists():
            fault(rng, out, ["resume", out], recipe, runs.calls_of_resume)
        else:
            fault(rng, out, train(runs.data, out), recipe, runs.calls_of_train)
    go_on(runs, out)


def damaged(runs, out, rng, recipe):
    """Something in the folder is damaged, and it is read and gone on with."""
    shutil.copytree((runs.killed, runs.killed, runs.whole)[rng.integers(3)], out)
    precious = out.with_name("precious")
    precious.write_text("not of the run")
    held = {f"checkpoints/{path.name}": path.read_bytes() for path in (out / "checkpoints").iterdir()}
    for _ in range(rng.integers(1, 3)):
        recipe.append(damage(rng, out))
    left = whole_checkpoints(held, out)
    reads = (["report", out], ["config", out, "--json"], ["sample", out, "--n", 1, "--out", out.with_suffix(".npy")])
    for command in reads:
        check_ended(out, *minigan(*command))
    if rng.integers(4) == 0:
        fault(rng, out, ["resume", out], recipe, runs.calls_of_resume)
    status, said = minigan("resume", out)
    if status == 0:
        check_same(runs, out)
        for command in reads:
            assert minigan(*command) == (0, "")
        assert minigan("resume", out) == (0, "")
    else:
        check_ended(out, status, said)
        assert not left or not (out / ".lock").is_file() or (out / ".lock").is_symlink(), said
        assert set(left) <= set(whole_checkpoints(held, out))
    assert precious.read_text() == "not of the run"


def trials(runs, tmp_path, first, count):
    for number in range(first, first + count):
        recipe, out = [], tmp_path / f"trial{number}"
        try:
            (faulty, damaged)[number % 2](runs, out, np.random.default_rng(number), recipe)
        except Exception:  # an AssertionError, or what a command must not raise
            pytest.fail(f"trial {number}: {'; '.join(recipe)}\n{traceback.format_exc()}")
        shutil.rmtree(out)


def test_100_trials(runs, tmp_path):
    trials(runs, tmp_path, 0, 100)


@pytest.mark.parametrize(
    ("first", "last"), [pytest.param(100, 500, marks=pytest.mark.slow), pytest.param(500, 3000, marks=pytest.mark.long)]
)
def test_many_trials(runs, tmp_path, first, last):
    trials(runs, tmp_path, first, last)


def test_the_disk_fails_where_it_is_told(runs, tmp_path):
    assert {call for call in CALLS if runs.calls_of_train[call]} == set(CALLS) - {"rename"}
    for error, raised in ((errno.ENOSPC, CheckpointError), (None, Killed)):
        out = tmp_path / str(error)
        out.mkdir()
        with FaultyDisk(tmp_path, "write", 2, error) as faulty:
            disk.append(out / "first", b"12345678")
            with pytest.raises(raised):
                disk.append(out / "second", b"12345678")
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {"first": b"12345678", "second": b"1234"}
        assert (faulty.seen["open"], faulty.seen["write"]) == (2, 2)
    with FaultyDisk(tmp_path, "replace", 1) as faulty:
        with pytest.raises(Killed):
            disk.write(tmp_path / "whole", b"x")
        with pytest.raises(Killed):
            (tmp_path / "first").unlink()
    assert not (tmp_path / "whole").exists()
    assert len(list(tmp_path.glob(".*.part"))) == 1  # a program that is dead does not clean up


# --- one thing at a time --------------------------------------------------------------------------------------------


def flipped(content):
    """The bytes with a bit of the middle one turned."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 128]) + content[at + 1 :]


def deep(content):
    return b"[" * 100_000


LOST = {
    "log.csv": (flipped, "log.csv: 1 damaged row is left out; log.csv.damaged is what it was"),
    "health.jsonl": (flipped, "health.jsonl: 1 damaged row is left out; health.jsonl.damaged is what it was"),
    "timings.json": (deep, "timings.json is damaged and left out; timings.json.damaged is what it was"),
    "checkpoints/best.json": (flipped, "best.json names no checkpoint that is there: it is made anew"),
    "checkpoints/step_00000006.json": (deep, "step_00000006.safetensors: cannot be read (nested too deeply); trying"),
    "checkpoints/step_00000006.safetensors": (flipped, "its checksum is not the one in step_00000006.json; trying"),
    "samples/step_00000000.png": (flipped, "samples.gif is without step_00000000.png: damaged, or of another size"),
    "config.json": (flipped, ""),
}


@pytest.fixture
def out(runs, tmp_path):
    """A copy of the run that was killed."""
    return shutil.copytree(runs.killed, tmp_path / "run")


@pytest.mark.parametrize("name", LOST)
def test_a_damaged_file_is_named_kept_and_made_anew(runs, out, name, capsys):
    spoil, said = LOST[name]
    damaged = spoil((out / name).read_bytes())
    (out / name).write_bytes(damaged)
    assert cli.main(["resume", str(out)]) == 0
    shown = capsys.readouterr()
    assert said in shown.out
    if name == "config.json":
        newest = checkpoint.find(runs.killed / "checkpoints")[-1].name
        assert shown.err == f"{out}: config.json is missing or damaged; the settings are those of {newest}\n"
    check_same(runs, out)
    assert checkpoint.find_best(out / "checkpoints").name == checkpoint.find_best(runs.whole / "checkpoints").name
    if said.endswith("is what it was"):
        assert (out / f"{name}.damaged").read_bytes() == damaged
    elif name.startswith("checkpoints/step"):
        assert damaged in [path.read_bytes() for path in (out / "checkpoints").glob("*.damaged")]
    elif name == "config.json":
        problems = []
        assert record.read_settings(out, problems).steps == STEPS
        assert problems == []


def test_settings_that_no_file_says_are_a_line_and_nothing_is_lost(out, capsys):
    shutil.rmtree(out / "checkpoints")
    (out / "config.json").write_bytes(flipped((out / "config.json").read_bytes()))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for command in ("resume", "config"):
        assert cli.main([command, str(out)]) == 1
        assert capsys.readouterr().err.startswith(f"minigan {command}: {out / 'config.json'}: ")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_whose_checkpoints_are_gone_does_not_begin_anew_over_its_generator(out, capsys):
    shutil.rmtree(out / "checkpoints")
    held = (out / "generator.safetensors").read_bytes()
    assert cli.main(["resume", str(out)]) == 1
    said = (
        "no whole checkpoint is left, and a run that begins anew would replace what is (generator.safetensors, timings"
    )
    assert f"minigan resume: {out}: {said}" in capsys.readouterr().err
    assert (out / "generator.safetensors").read_bytes() == held


def test_a_sealed_config_that_somebody_changed_is_not_gone_by(runs, out, capsys):
    text = (out / "config.json").read_text()
    (out / "config.json").write_text(text.replace(f'"steps": {STEPS}', '"steps": 7'))
    assert cli.main(["resume", str(out)]) == 0
    check_same(runs, out)


@pytest.mark.parametrize(
    "wrong", [{"epochs": "5"}, {"extra": None}, {"allow_change": 3}, {"colour": 1}, {"steps": 1.5}]
)
def test_a_config_of_before_they_were_sealed_is_read_if_it_makes_sense(runs, out, wrong, capsys):
    config = json.loads((out / "config.json").read_text())
    del config["sha256"]
    (out / "config.json").write_text(json.dumps(config))
    problems = []
    assert record.read_settings(out, problems).steps == STEPS
    assert problems == []
    (out / "config.json").write_text(json.dumps({**config, "settings": {**config["settings"], **wrong}}))
    assert record.read_settings(out, problems).extra["model"] == "tiny"
    assert len(problems) == 1
    assert cli.main(["resume", str(out)]) == 0
    check_same(runs, out)


def test_what_stands_in_the_way_is_put_aside(runs, out, capsys):
    for name in ("log.csv", "samples.gif", "samples/step_00000009.png", "checkpoints/step_00000008.json"):
        (out / name).unlink(missing_ok=True)
        (out / name).mkdir()
    (out / "report.html").symlink_to("nowhere")
    assert cli.main(["resume", str(out)]) == 0
    check_same(runs, out)
    said = capsys.readouterr().out
    assert said.count(" was in the way and is ") == 5
    assert f"{out}: log.csv has no rows of 6 of the 6 steps\n" in said
    assert (out / "log.csv.damaged").is_dir()
    assert (out / "samples" / "step_00000009.png.damaged").is_dir()


def test_a_generator_draws_whatever_befell_the_rest(runs, out, tmp_path, capsys):
    for path in out.iterdir():
        if path.name != "generator.safetensors":
            shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"\xff")
    drawn = tmp_path / "drawn.npy"
    assert cli.main(["sample", str(out), "--n", "2", "--out", str(drawn)]) == 0
    assert np.load(drawn).shape == (2, 1, 4, 4)
    (out / "generator.safetensors").unlink()
    assert cli.main(["sample", str(out), "--n", "2", "--out", str(drawn)]) == 1
    assert capsys.readouterr().err.startswith(f"minigan sample: {out / 'config.json'}: cannot be read")


def test_whichever_byte_of_the_settings_is_damaged_they_are_the_same(out):
    content, settings = (out / "config.json").read_bytes(), record.read_settings(out, [])
    for at in range(0, len(content), 7):
        for value in (1, 128):
            (out / "config.json").write_bytes(content[:at] + bytes([content[at] ^ value]) + content[at + 1 :])
            assert record.read_settings(out, []) == settings, (at, value)
