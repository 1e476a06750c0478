"""`minigan sweep`: what it refuses before anything is made, what it prints, and whole sweeps of small runs."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigan.command import cli
from minigan.sweep import results
from minigan.sweep.runs import LOG
from minigan.system.signals import INTERRUPTED
from minigan.training import checkpoint

SMALL = "--model dcgan --side 16 --channels 1 --width 2 --batch-size 16 --steps 30 --sample-every 10"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A file of 4 096 images."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (4096, 16, 16), np.uint8))
    return path


def status_of(line, capsys):
    """(exit status, what it said, what was wrong) of a command line."""
    try:
        status = cli.main(["sweep", *shlex.split(line)])
    except SystemExit as ended:
        status = ended.code
    return status, *capsys.readouterr()


# --- refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("", 2, "what is to be varied? --grid loss=hinge,lsgan seed=0..4, say"),
        ("--grid", 2, "argument --grid: expected at least one argument"),
        ("--grid los=hinge", 2, "--grid los: there is no option --los; did you mean --loss?"),
        ("--grid loss=hing", 2, "--grid loss=hing: invalid choice: 'hing'; did you mean hinge?"),
        ("--grid loss=", 2, "argument --grid: loss=: a value is empty"),
        ("--grid width=0,4", 2, "--grid width=0: expected a positive number, got 0"),
        ("--grid lr=fast", 2, "--grid lr=fast: invalid float value: 'fast'"),
        ("--grid lr=none", 2, "--grid lr=none: invalid float value: 'none'"),
        ("--grid seed=0..1 --seed 4", 2, "--grid seed: is also given for all runs"),
        ("--grid seed=0..1 seed=7", 2, "--grid seed: is there twice"),
        ("--grid early_stop=yes no_early_stop=no", 2, "--grid no_early_stop: is there twice"),
        ("--grid out=a,b", 2, "--grid out: is for the whole sweep"),
        ("--grid resume=yes", 2, "--grid resume: what was begun goes on by itself"),
        ("--grid workers=1,2", 2, "--grid workers: is for the whole sweep"),
        ("--grid one_pass=1,0", 2, "--grid one_pass=1: is a switch, expected yes or no"),
        ("--grid lr=1e-3,0.001", 2, "--grid lr=0.001: is the same run as lr=1e-3"),
        (
            "--grid penalty=none,r1 --penalty-weight 3",
            2,
            "--grid penalty=none: --penalty-weight changes nothing without",
        ),
        ("best --grid one_pass=yes,no", 2, "--grid one_pass=no: best has it, and no option takes it away"),
        ("wgan_gp --grid penalty=none,r1", 2, "--grid penalty=none: invalid choice: 'none'"),
        ("hinge --grid preset=wgan,sngan", 2, "--grid preset: is also given for all runs"),
        ("--grid preset=wgun", 2, "--grid preset=wgun: invalid choice: 'wgun'; did you mean wgan"),
        ("--grid seed=0..99 lr=1..101", 2, "--grid: 10100 runs, which are more than 10000"),
        ("--grid seed=0,1 --resume", 2, "there is no option --resume"),
        ("--grid seed=0,1 --print --workers 3", 2, "--workers changes nothing beside --print"),
        ("--grid seed=0,1 --workers 0", 2, "argument --workers: expected a positive number, got 0"),
        ("--grid lr=1e-3,-1", 1, "lr=-1: Adam: learning rate: expected a finite number >= 0, got -1.0"),
        ("--grid one_pass=yes norm=batch --model dcgan --width 2", 1, "one_pass=yes,norm=batch: "),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(line, status, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found, said, wrong = status_of(line, capsys)
    assert (found, said) == (status, "")
    assert wrong.startswith(f"minigan sweep: {told}")
    assert wrong.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_run_is_no_place_for_a_sweep(tmp_path, capsys):
    (tmp_path / "config.json").touch()
    found = status_of(f"--grid seed=0,1 --model mlp28 --data digits --out {tmp_path}", capsys)
    assert found[0] == 1
    assert "is the folder of a run: give another one with --out" in found[2]


# --- printed ----------------------------------------------------------------------------------------------------


def test_print_gives_a_command_for_each_run_and_makes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = "--grid penalty=none,r1 one_pass=no,yes seed=0..1 --data 'my pictures' --model dcgan --side 16 --width 2"
    status, said, wrong = status_of(f"{line} --print", capsys)
    commands = [shlex.split(command) for command in said.splitlines()]
    assert (status, wrong, len(commands)) == (0, "", 8)
    common = shlex.split("minigan train --data 'my pictures' --model dcgan --side 16 --width 2")
    assert commands[0] == [*common, "--seed=0", "--out", "sweeps/train/penalty=none,one_pass=no,seed=0"]
    assert commands[3][len(common) :] == [
        *("--penalty=r1", "--one-pass", "--seed=0", "--out", "sweeps/train/penalty=r1,one_pass=yes,seed=0")
    ]
    assert all("--seed=1" in command for command in commands[4:])
    assert list(tmp_path.iterdir()) == []


def test_print_sets_threads_that_are_asked_for_and_a_preset_stands_first(capsys):
    status, said, _ = status_of("--grid preset=wgan,hinge --data digits --threads 2 --out a --print", capsys)
    assert status == 0
    assert said.splitlines() == [
        f"OMP_NUM_THREADS=2 minigan train {preset} --data digits --out a/preset={preset}"
        for preset in ("wgan", "hinge")
    ]


# --- whole sweeps -----------------------------------------------------------------------------------------------


def started(*words, launcher=()):
    line = [*launcher, sys.executable, "-m", "minigan", *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen(line, **options)


def ended(process):
    """What it said, once it has ended; it is killed if that takes too long."""
    try:
        return process.communicate(timeout=600)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def sweep(images, out, *more, launcher=()):
    """(exit status, what it said) of a small sweep."""
    words = ["sweep", *SMALL.split(), "--data", images, "--out", out, *more]
    process = started(*words, launcher=launcher)
    said = ended(process)
    return process.returncode, said


def rows(out):
    with (out / results.CSV).open() as lines:
        return list(csv.DictReader(lines))


def weights(folder):
    """The arrays of a run's last checkpoint."""
    return checkpoint.load(checkpoint.find(folder / "checkpoints")[-1])[0]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


@pytest.mark.slow
def test_two_workers_train_what_each_run_is_alone(images, tmp_path, monkeypatch):
    status, said = sweep(images, tmp_path / "out", "--grid", "loss=hinge,lsgan", "seed=0..1", "--workers", "2")
    assert status == 0, said
    assert said.count(": finished, early, distance ") == 4
    held = rows(tmp_path / "out")
    assert [row["status"] for row in held] == ["finished"] * 4
    far = [float(row["distance"]) for row in held]
    assert far == sorted(far)
    page = (tmp_path / "out" / results.PAGE).read_text()
    assert len(set(re.findall(r'href="([^"]+/report\.html)"', page))) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for row in held[:2]:
        alone = tmp_path / f"alone {row['folder']}"
        line = [*SMALL.split(), "--data", images, "--loss", row["loss"], "--seed", row["seed"], "--out", alone]
        said = ended(started("train", *line))
        assert same(weights(alone), weights(tmp_path / "out" / row["folder"])), said
        assert (
            (tmp_path / "out" / row["folder"] / LOG)
            .read_text()
            .splitlines()[1]
            .endswith("30 steps of 16 images, 256 an epoch")
        )
    status, said = sweep(images, tmp_path / "out", "--grid", "loss=hinge,lsgan", "seed=0..1")
    assert (status, "4 runs, 4 finished before; nothing to do" in said) == (0, True)
    status, said = sweep(images, tmp_path / "out", "--grid", "loss=hinge,lsgan", "seed=0..2", "--json")
    assert status == 0
    assert len(json.loads(said[said.index("{") : said.rindex("}") + 1])["runs"]) == 6
    assert said.count(": finished, ") == 2
    status, said = sweep(images, tmp_path / "out", "--grid", "loss=hinge,lsgan", "seed=0..1", "--lr", "1e-3")
    assert status == 1
    assert "loss=hinge,seed=0: was made with other settings (lr was 0.0002, is 0.001)" in said


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_tried_again(images, tmp_path):
    grid = ["--optimizer", "sgd", "--loss", "wasserstein", "--grid", "lr=1e-3,1e9"]
    for left in ("2 runs; ", "2 runs, 1 finished before, 1 go on; 1 at once"):
        status, said = sweep(images, tmp_path / "out", *grid)
        assert status == 1
        assert left in said
        assert re.search(r"Failed: lr=1e9: step \d+: d_loss of the discriminator is nan.*lr=1e9/output.log", said)
        assert [row["status"] for row in rows(tmp_path / "out")] == ["finished", "failed"]


LONG = ["--grid", "seed=0..2", "--steps", "1500", "--sample-every", "1500"]


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    """The folder of a longer sweep that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    status, said = sweep(images, out, *LONG)
    assert status == 0, said
    return out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "whom"), [("SIGINT", "group"), ("SIGTERM", "one"), ("SIGTERM", "worker")])
def test_a_sweep_that_was_interrupted_goes_on_to_the_same_end(number, whom, images, undisturbed, tmp_path):
    line = ["sweep", *SMALL.split(), "--data", images, "--out", tmp_path / "out", *LONG, "--workers", "2"]
    process = started(*line)
    logs = [tmp_path / "out" / f"seed={seed}" / "log.csv" for seed in (0, 1)]
    until = time.monotonic() + 120
    while not all(log.exists() for log in logs):
        assert time.monotonic() < until
        time.sleep(0.02)
    if whom == "group":
        os.killpg(process.pid, getattr(signal, number))
    else:
        holder = int((tmp_path / "out" / "seed=1" / ".lock").read_text())
        os.kill(process.pid if whom == "one" else holder, getattr(signal, number))
    said = ended(process)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    assert "Not finished: 3 of 3. What was done is saved; the same command goes on." in said
    for log in logs:
        assert checkpoint.find(log.parent / "checkpoints")
        assert "everything is saved" in (log.parent / LOG).read_text()
    _, printed = sweep(images, tmp_path / "out", *LONG, "--print")
    assert [command.endswith("--resume") for command in printed.splitlines()] == [True, True, False]
    status, said = sweep(images, tmp_path / "out", *LONG, "--workers", "2")
    assert status == 0, said
    assert "3 runs, 2 go on; 2 at once" in said
    for seed in range(3):
        assert same(weights(undisturbed / f"seed={seed}"), weights(tmp_path / "out" / f"seed={seed}"))


@pytest.mark.slow
def test_a_dry_run_leaves_nothing_and_finds_what_fails(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, said = sweep(images, "out", "--grid", "loss=hinge,lsgan", "--dry-run")
    assert status == 0, said
    assert said.splitlines()[-1].startswith("Dry run: all is well.")
    status, said = sweep(tmp_path / "absent", "out", "--grid", "loss=hinge,lsgan", "--dry-run")
    assert status == 1
    assert "loss=lsgan: failed: " in said
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.mpi
@pytest.mark.parametrize("command", ["sweep", "reproduce"])
def test_mpiexec_spreads_the_same_runs(command, images, tmp_path):
    pytest.importorskip("mpi4py", reason="needs mpi4py and an MPI: pip install -e '.[mpi]'")
    mpiexec = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("needs mpiexec: pip install -e '.[mpi]'")
    launcher = [mpiexec, "-n", "3"]
    if command == "reproduce":
        process = started("reproduce", "dirac", "--dry-run", launcher=launcher)
        said = ended(process)
        assert (process.returncode, "Not finished" in said, "Traceback" in said) == (0, False, False), said
        return
    grid = ["--grid", "loss=hinge,lsgan", "seed=0..1"]
    status, said = sweep(images, tmp_path / "mpi", *grid, launcher=launcher)
    assert status == 0, said
    assert "4 runs; 2 at once" in said
    assert said.count(f"compares the runs; {results.CSV} is beside it") == 1  # one process speaks
    assert sweep(images, tmp_path / "pool", *grid)[0] == 0
    for row in rows(tmp_path / "pool"):
        assert same(weights(tmp_path / "pool" / row["folder"]), weights(tmp_path / "mpi" / row["folder"]))
    status, said = sweep(images, tmp_path / "mpi", *grid, "--workers", "2", launcher=launcher)
    assert status == 2
    assert "--workers changes nothing beside the 3 that were started together" in said
    status, said = sweep(images, tmp_path / "mpi", *grid, "--patience", "3", launcher=launcher)
    assert status == 2
    assert "--patience changes nothing for one process" in said  # as each run is
