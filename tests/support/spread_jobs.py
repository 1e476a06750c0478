"""Jobs for processes: python spread_jobs.py FOLDER spreads two that wait for as long as they may."""

import os
import signal
import sys
import time
from pathlib import Path

from minigan.errors import ShapeError
from minigan.system.launcher import launched
from minigan.system.signals import stopped_by_signals
from minigan.system.workers import Processes, led, spread


def doubled(job, stopped, done):
    done(0.5)
    return 2 * job


def waits(job, stopped, done):
    """Until it is told to stop; it says in its folder when it begins and when it ends."""
    assert launched() == 1
    job.mkdir(parents=True)
    (job / "pid").write_text(str(os.getpid()))
    (job / "begun").touch()
    while not stopped():
        time.sleep(0.01)
    (job / "saved").touch()


def fails_beside(job, stopped, done):
    """The one called bad, once its fellow is at work."""
    if job.name != "bad":
        return waits(job, stopped, done)
    while not (job.parent / "good" / "begun").exists():
        time.sleep(0.01)
    raise ShapeError("bad job")


def dies_beside(job, stopped, done):
    if job == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def signalled_beside(job, stopped, done):
    """The one called bad gets SIGTERM, once its fellow is at work."""
    while job.name == "bad" and not (job.parent / "good" / "begun").exists():
        time.sleep(0.01)
    if job.name == "bad":
        os.kill(os.getpid(), signal.SIGTERM)
    return waits(job, stopped, done)


def together(folder, workers):
    """Two jobs that wait: 0 if a file says that they shall stop, 1 if a signal does, 2 if a worker's does."""
    assert launched() == 1  # here and in the jobs: nothing of a job is divided among all
    (folder / "leader").write_text(str(os.getpid()))
    jobs = [folder / "one", folder / "two"]
    workers = workers or Processes(2, 2)
    with stopped_by_signals() as signals:
        stopped = lambda: bool(signals) or (folder / "stop").exists()
        lost = lambda k, error: "lost"
        ended = spread(workers, waits, jobs, collect=print, lost=lost, stopped=stopped, look=lambda done: None)
    return 1 if signals else 2 if ended else 0


if __name__ == "__main__":
    sys.exit(led(lambda workers: together(Path(sys.argv[1]), workers)))
