"""Work over several processes: all of it is done, or all of them stop in order, whoever ends."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import spread_jobs

from minigan.errors import MissingExtra, ShapeError
from minigan.system import workers
from minigan.system.workers import Processes, led, spread

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
FAR = 60  # seconds after which something hangs


def spread_over(count, compute, jobs, stopped=lambda: False):
    """(what `spread` says, results by job, what was told of the work)."""
    found, told = {}, []
    how = {"lost": lambda k, error: f"lost {k}", "stopped": stopped, "look": told.append}
    ended = spread(Processes(count, len(jobs)), compute, jobs, collect=found.__setitem__, **how)
    return ended, found, told


def await_all(*paths):
    until = time.monotonic() + FAR
    while not all(path.exists() for path in paths):
        assert time.monotonic() < until, paths
        time.sleep(0.01)


def is_alive(number):
    """Does the process run? One that has ended and that nobody asked for is none."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True).stdout
    return not told.startswith("Z") and bool(told.strip())


def test_every_job_is_done_and_told():
    ended, found, told = spread_over(2, spread_jobs.doubled, [1, 2, 3, 4, 5])
    assert (ended, found) == (False, {0: 2, 1: 4, 2: 6, 3: 8, 4: 10})
    assert told == sorted(told)
    assert told[-1] == 5


def test_nothing_to_do_is_done():
    assert spread_over(2, spread_jobs.doubled, []) == (False, {}, [])


def test_an_error_stops_the_other_one_which_saves(tmp_path):
    with pytest.raises(ShapeError, match="bad job"):
        spread_over(2, spread_jobs.fails_beside, [tmp_path / "good", tmp_path / "bad"])
    assert (tmp_path / "good" / "saved").exists()


def test_one_that_dies_takes_no_other_job_with_it():
    ended, found, _ = spread_over(2, spread_jobs.dies_beside, ["a", "dies", "b", "c", "dies", "d"])
    assert (ended, found) == (False, {0: "a", 1: "lost 1", 2: "b", 3: "c", 4: "lost 4", 5: "d"})


def test_who_is_told_to_stop_saves_and_nothing_else_begins(tmp_path):
    jobs = [tmp_path / name for name in "abc"]
    stopped = lambda: all((job / "begun").exists() for job in jobs[:2])
    assert spread_over(2, spread_jobs.waits, jobs, stopped)[:2] == (False, {})
    assert [(job / "saved").exists() for job in jobs] == [True, True, False]


def test_a_signal_that_one_gets_stops_all(tmp_path):
    jobs = [tmp_path / name for name in ("good", "bad", "late")]
    assert spread_over(2, spread_jobs.signalled_beside, jobs)[:2] == (True, {})
    assert [(job / "saved").exists() for job in jobs] == [True, True, False]


def test_they_end_when_nobody_waits_for_them(tmp_path):
    started = subprocess.Popen([sys.executable, spread_jobs.__file__, str(tmp_path)])
    jobs = [tmp_path / "one", tmp_path / "two"]
    await_all(*(job / "begun" for job in jobs))
    started.kill()
    started.wait()
    await_all(*(job / "saved" for job in jobs))
    until = time.monotonic() + FAR
    while any(is_alive(int((job / "pid").read_text())) for job in jobs):
        assert time.monotonic() < until
        time.sleep(0.05)


# --- a launcher -------------------------------------------------------------------------------------------------


def test_alone_there_is_nobody_to_lead(monkeypatch):
    monkeypatch.setattr(workers, "launched", lambda: 1)
    assert led(lambda given: 5 if given is None else 6) == 5


def test_without_mpi_the_error_says_what_brings_it(monkeypatch):
    monkeypatch.setattr(workers, "launched", lambda: 3)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(MissingExtra, match=r"several processes need mpi4py.*pip install 'minigan\[mpi\]'"):
        led(lambda given: 0)


@pytest.fixture
def mpiexec():
    """The command that starts processes together; skips where there is none."""
    pytest.importorskip("mpi4py", reason="needs mpi4py and an MPI: pip install -e '.[mpi]'")
    beside = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
    if beside is None:
        pytest.skip("needs mpiexec: pip install -e '.[mpi]'")
    return beside


@pytest.mark.mpi
@pytest.mark.parametrize(("who", "status"), [("file", 0), ("launcher", 1), ("leader", 1), ("worker", 2)])
def test_processes_of_a_launcher_save_whoever_is_told_to_stop(who, status, mpiexec, tmp_path):
    started = subprocess.Popen([mpiexec, "-n", "3", sys.executable, spread_jobs.__file__, str(tmp_path)])
    jobs = [tmp_path / "one", tmp_path / "two"]
    await_all(*(job / "begun" for job in jobs))
    if who == "file":
        (tmp_path / "stop").touch()
    elif who == "launcher":
        started.send_signal(signal.SIGTERM)
    else:
        number = (tmp_path / "leader" if who == "leader" else jobs[1] / "pid").read_text()
        os.kill(int(number), signal.SIGTERM)
    assert started.wait(timeout=FAR) == status
    assert all((job / "saved").exists() for job in jobs)
