"""Processes that MPI connects: the run of one process, and what is said where MPI is missing."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from systems import SYSTEMS
from tiny_run import without_clock

from minigan.errors import MissingExtra, ProcessError
from minigan.processes import world
from minigan.system import mpi

SUPPORT = Path(__file__).parent.parent / "support"
SOME = ["batch norm, EMA", "gradient penalty through batch norm", "relativistic average hinge", "unrolled, penalty"]

needs_mpi = pytest.mark.skipif(
    shutil.which("mpiexec") is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs MPI: pip install 'minigan[mpi]'",
)


def together(ranks, *arguments, program="mpi_systems.py", timeout=300):
    """What so many processes of that program print; they end well."""
    paths = os.pathsep.join([str(SUPPORT.parent.parent), str(SUPPORT)])
    done = subprocess.run(
        ["mpiexec", "-n", str(ranks), sys.executable, SUPPORT / program, *arguments],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_mpi
@pytest.mark.mpi
def test_two_processes_play_every_system_as_one():
    assert len(together(2, "20").splitlines()) == len(SYSTEMS)


@needs_mpi
@pytest.mark.mpi
def test_four_processes_play_as_one():
    assert len(together(4, "20", *SOME).splitlines()) == len(SOME)


@needs_mpi
@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_processes_with_gpus_play_as_one(ranks):
    """On stand-ins for a GPU in each and for NCCL between them."""
    assert len(together(ranks, "6", *SOME, program="mpi_gpu_ranks.py").splitlines()) == len(SOME)


@needs_mpi
@pytest.mark.mpi
def test_a_run_on_two_gpus_is_the_run_on_one(tmp_path):
    for ranks in (1, 2):
        together(ranks, "run", tmp_path / str(ranks), program="mpi_gpu_ranks.py")
    one, two = ([{k: float(v) for k, v in row.items()} for row in without_clock(tmp_path / k)] for k in ("1", "2"))
    assert len(one) == len(two) == 30
    for mine, theirs in zip(two, one, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3)


def test_without_mpi4py_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(MissingExtra, match=r"pip install 'minigan\[mpi\]'"):
        mpi.library()


@needs_mpi
@pytest.mark.mpi
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_library_that_is_not_there_is_said_once(command, tmp_path):
    program = "import sys; sys.modules['mpi4py.MPI'] = None; from minigan.command.cli import main; sys.exit(main())"
    words = [command, "--out", str(tmp_path / "run"), *(["--grid", "seed=0..1"] if command == "sweep" else [])]
    done = subprocess.run(
        ["mpiexec", "-n", "3", sys.executable, "-c", program, *words],
        env=os.environ | {"PYTHONPATH": str(SUPPORT.parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"minigan {command}: several processes need mpi4py and an MPI library (")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_mpi4py_without_a_library_is_no_error_of_the_program(monkeypatch):
    def fails(name):
        raise RuntimeError("cannot load MPI library\nlibmpi.so.12: no such file")

    monkeypatch.setattr(mpi.importlib, "import_module", fails)
    with pytest.raises(MissingExtra, match=r"an MPI library \(cannot load MPI library\): pip install"):
        mpi.library()


def test_an_mpi_that_does_not_connect_them_is_said(monkeypatch):
    library = SimpleNamespace(COMM_WORLD=SimpleNamespace(size=1), Get_library_version=lambda: "Some MPI 3.1\nof 2020")
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", library)
    with pytest.raises(ProcessError, match=r"3 processes were started, of which MPI \(Some MPI 3.1\) connects 1"):
        mpi.connecting(3)


def test_a_program_that_no_launcher_started_is_alone(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert world().size == 1
