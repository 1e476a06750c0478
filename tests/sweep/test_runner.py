"""Runs side by side: each ends as it ends, none takes another along, and a signal has all of them save."""

import os
import signal
import threading
import time

import pytest
from quick_train import train, units

from minigan.sweep import Crew, run
from minigan.sweep.runner import LOST
from minigan.sweep.runs import FAILED_SO, FINISHED, LOG, STOPPED

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def ends(folder, *names, processes=2):
    """(was it a signal that ended it?, how each run ended) of runs of these names."""
    found = {}
    put = lambda unit, outcome: found.__setitem__(unit.values["end"], outcome)
    return run(units(folder, *names), train, Crew(processes, 1), put), found


def log(folder, name):
    return (folder / f"end={name}" / LOG).read_text()


def test_each_run_ends_in_its_own_way_and_the_others_go_on(tmp_path, capfd):
    interrupted, found = ends(tmp_path, "well1", "nan", "dies", "bug", "early", "well2")
    assert not interrupted
    assert found == {
        "well1": (FINISHED, ""),
        "well2": (FINISHED, ""),
        "early": (STOPPED, ""),
        "nan": (FAILED_SO, "step 3: d_loss is nan"),
        "bug": (FAILED_SO, "ZeroDivisionError: nobody thought of it"),
        "dies": (FAILED_SO, LOST),
    }
    assert log(tmp_path, "well2").splitlines() == [
        f"$ minigan train --steps=8 --out {tmp_path / 'end=well2'}",
        "end=well2 goes well",
    ]
    assert "minigan train: step 3: d_loss is nan" in log(tmp_path, "nan")
    assert "Traceback" in log(tmp_path, "bug")
    assert capfd.readouterr() == ("", "")  # what a run says is in its log alone


def test_a_run_goes_on_and_its_log_too(tmp_path):
    for _ in range(2):
        ends(tmp_path, "nan", processes=1)
    (tmp_path / "end=nan" / "config.json").touch()
    ends(tmp_path, "nan", processes=1)
    said = [line for line in log(tmp_path, "nan").splitlines() if line.startswith("end=nan goes")]
    assert said == ["end=nan goes well", "end=nan goes well", "end=nan goes on"]


def test_nothing_left_is_nothing_done(tmp_path):
    assert ends(tmp_path) == (False, {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_all_of_them_save(number, tmp_path):
    def interrupt():
        while len(list(tmp_path.glob("*/begun"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert ends(tmp_path, "waits1", "waits2", "well") == (True, {})
    thread.join()
    assert sorted(path.parent.name for path in tmp_path.glob("*/saved")) == ["end=waits1", "end=waits2"]
    assert not (tmp_path / "end=well").exists()


def test_a_signal_that_a_run_gets_itself_is_everyones(tmp_path):
    assert ends(tmp_path, "waits", "term", "well") == (True, {})
    assert sorted(path.parent.name for path in tmp_path.glob("*/saved")) == ["end=term", "end=waits"]
    assert not (tmp_path / "end=well").exists()


def test_a_folder_that_cannot_be_written_to_fails_its_run(tmp_path):
    (tmp_path / "end=well1").touch()
    _, found = ends(tmp_path, "well1", "well2", processes=1)
    assert found["well1"].status == FAILED_SO
    assert "end=well1" in found["well1"].why
    assert found["well2"].status == FINISHED
