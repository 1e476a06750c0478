"""What this machine lends a program."""

import math
import mmap
import os
import subprocess
import sys

import pytest

from minigan.system import machine

MB = 1 << 20

DRAWING = """
import os, sys
from minigan import viz
viz.loss_curves({"step": [1, 2], "d_loss": [1.0, 0.5]}, sys.argv[1])
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonesuch", "svg"])
def test_pictures_are_drawn_whatever_backend_a_notebook_leaves_behind(backend, tmp_path):
    command = [sys.executable, "-c", DRAWING, str(tmp_path / "losses.png")]
    drawn = subprocess.run(command, env={**os.environ, "MPLBACKEND": backend}, capture_output=True, text=True)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "losses.png").exists()
    named, used = drawn.stdout.split()
    assert named == backend
    assert backend != "svg" or used == "svg"  # one that is there stays


def group(folder, limit, used, inactive=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\nactive_file 7\n")


def test_a_control_group_leaves_what_its_limits_and_those_above_it_leave(tmp_path):
    group(tmp_path / "outer", 900 * MB, 500 * MB)
    group(tmp_path / "outer" / "inner", "max", 400 * MB)
    assert list(machine._left_to_groups(tmp_path, "outer/inner")) == [400 * MB]
    group(tmp_path / "outer" / "inner", 450 * MB, 400 * MB, inactive=30 * MB)  # files that it may forget
    assert list(machine._left_to_groups(tmp_path, "outer/inner")) == [80 * MB, 400 * MB]
    assert list(machine._left_to_groups(tmp_path, "nowhere")) == []


def test_an_older_control_group(tmp_path):
    (tmp_path / "memory.limit_in_bytes").write_text(str(900 * MB))
    (tmp_path / "memory.usage_in_bytes").write_text(str(500 * MB))
    (tmp_path / "memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {100 * MB}\n")
    assert list(machine._left_to_groups(tmp_path, "")) == [500 * MB]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says what a process has taken of its limits")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_a_process_leave_what_it_has_not_taken(kind, monkeypatch):
    import resource

    limits = {getattr(resource, kind): 1 << 50}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: 2 * (limits.get(kind, resource.RLIM_INFINITY),))
    (before,) = machine._left_to_process()
    # not an array, which may be given memory that the process has taken already
    with mmap.mmap(-1, 64 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS):
        (after,) = machine._left_to_process()
        assert before - after == pytest.approx(64 * MB, rel=0.1)
        limits[getattr(resource, kind)] -= int(after) - MB
        assert machine.available() <= MB


def test_nothing_is_known_where_the_system_says_nothing(tmp_path, monkeypatch):
    assert 0 < machine.available() <= machine.memory()
    monkeypatch.setattr(machine, "Path", lambda *parts: tmp_path / "absent")
    assert machine.available() == math.inf
