"""A system that has no more than Windows has, as far as it can be imitated: `support/like_windows` says how far."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigan

SUPPORT = Path(__file__).parent.parent / "support" / "like_windows"
ROOT = Path(minigan.__file__).parent.parent
OPTIONAL = ("minigan.training.tensorboard", "minigan.__main__")

IMPORT_ALL = f"""
import importlib, pkgutil, minigan
names = [found.name for found in pkgutil.walk_packages(minigan.__path__, "minigan.") if found.name not in {OPTIONAL}]
for name in names:
    importlib.import_module(name)
print(len(names))
"""

LOCK = """
import pathlib, subprocess, sys
from minigan.errors import CheckpointError
from minigan.system import disk
path = pathlib.Path(sys.argv[1])
again = "import pathlib, sys; from minigan.system import disk\\nwith disk.holding(pathlib.Path(sys.argv[1])): pass"
with disk.holding(path):
    assert disk.is_held(path)
    refused = subprocess.run([sys.executable, "-c", again, str(path)], capture_output=True, text=True)
assert not disk.is_held(path)
print(refused.stderr.strip().splitlines()[-1])
print(__import__("os").getpid())
"""

REFUSED = """
import pathlib, sys
from minigan.training import RunFolder
path = pathlib.Path(sys.argv[1])
try:
    with RunFolder(path).held():
        assert path.exists()
        raise ZeroDivisionError
except ZeroDivisionError:
    print(path.exists())
"""


@pytest.fixture
def run():
    """run(*arguments): what Python prints, started with these arguments where nothing of POSIX is."""

    def started(*arguments):
        environment = {**os.environ, "PYTHONPATH": f"{SUPPORT}{os.pathsep}{ROOT}", "PYTHONWARNDEFAULTENCODING": "1"}
        done = subprocess.run([sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return started


def test_the_imitation_is_in_force(run, tmp_path):
    (tmp_path / "held").touch()
    tried = "import os, sys\ntry: import fcntl\nexcept ImportError: print('none')\nprint(hasattr(os, 'fork'))\n"
    tried += (
        "f = open(sys.argv[1])\ntry: os.replace(sys.argv[1], sys.argv[1] + '2')\nexcept PermissionError: print('kept')"
    )
    assert run("-c", tried, tmp_path / "held").split() == ["none", "False", "kept"]


def test_every_module_loads(run):
    assert int(run("-c", IMPORT_ALL)) > 150


def test_a_lock_names_its_holder(run, tmp_path):
    refused, holder = run("-c", LOCK, tmp_path / ".lock").splitlines()
    assert f"another process (number {holder}) is writing there" in refused


def test_a_run_that_never_began_leaves_no_trace(run, tmp_path):
    assert run("-c", REFUSED, tmp_path / "run").split() == ["False"]


@pytest.mark.slow
def test_a_run_is_trained_resumed_reported_and_drawn_from(run, tmp_path):
    small = ("--data", "digits", "--batch-size", "16")
    run("-m", "minigan", "train", "mlp", *small, "--steps", "2", "--out", tmp_path / "run")
    run("-m", "minigan", "resume", tmp_path / "run", "--steps", "4")
    assert "step 4" in run("-m", "minigan", "report", tmp_path / "run")
    run("-m", "minigan", "sample", tmp_path / "run", "--n", "16", "--out", tmp_path / "samples.png")
    assert (tmp_path / "samples.png").stat().st_size > 1000


@pytest.mark.slow
def test_two_processes_of_a_sweep_share_the_work(run, tmp_path):
    grid = ("--grid", "lr=1e-3,2e-4", "--data", "digits", "--steps", "2", "--batch-size", "16", "--workers", "2")
    run("-m", "minigan", "sweep", "mlp", *grid, "--out", tmp_path / "sweep")
    assert (tmp_path / "sweep" / "sweep.csv").read_text(encoding="utf-8").count("\n") == 3
