"""One process in a folder at a time, and no lock left behind by one that was killed."""

import signal
import subprocess
import sys

import pytest

from minigan.errors import CheckpointError
from minigan.system import disk

HOLDER = """
import sys, time, pathlib
from minigan.system import disk
with disk.holding(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_by_name_and_a_killed_one_leaves_no_lock(tmp_path):
    path = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        refused = pytest.raises(CheckpointError, match=rf"another process \(number {holder.pid}\) is writing there")
        with refused, disk.holding(path):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with disk.holding(path), pytest.raises(CheckpointError, match="another process"), disk.holding(path):
        pass
    with disk.holding(path):  # and it is free again after each
        pass


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with (
        pytest.raises(CheckpointError, match="absent: cannot write there"),
        disk.holding(tmp_path / "absent" / ".lock"),
    ):
        pass
