"""Files that are whole and as readable as others; one process in a folder; no lock left by one that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_path_that_names_no_file_is_refused_and_nothing_left(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be written"):
        disk.write(Path(name), b"x")
    assert not list(tmp_path.iterdir())


def test_a_lock_is_not_written_through_a_link_nor_into_a_folder(tmp_path):
    (tmp_path / "precious").write_text("weights")
    (tmp_path / ".lock").symlink_to("precious")
    with pytest.raises(CheckpointError, match=r"cannot write there \(\.lock: "), disk.holding(tmp_path / ".lock"):
        pass
    with pytest.raises(CheckpointError, match=r"\.lock: cannot be written"):
        disk.append(tmp_path / ".lock", b"x")
    assert (tmp_path / "precious").read_text() == "weights"
    (tmp_path / ".lock").unlink()
    (tmp_path / ".lock").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write there \(\.lock: "), disk.holding(tmp_path / ".lock"):
        pass


def test_a_damaged_lock_names_nobody(tmp_path):
    path = tmp_path / ".lock"
    with disk.holding(path):
        path.write_bytes(b"\xff\n7")
        with pytest.raises(CheckpointError, match=r"another process \(number unknown\)"), disk.holding(path):
            pass


def test_a_file_that_is_replaced_is_as_readable_as_any_other_and_so_is_one_that_is_written_meanwhile(tmp_path):
    before = os.umask(0o027)
    try:
        with disk.replacing(tmp_path / "whole") as out:
            (tmp_path / "meanwhile").write_bytes(b"")
            out.write(b"x")
        disk.append(tmp_path / "appended", b"x")
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    finally:
        assert os.umask(before) == 0o027


def test_the_umask_is_never_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("for a moment, any other thread would have another one"))
    disk.write(tmp_path / "whole", b"x")
    with disk.holding(tmp_path / ".lock"):
        pass


def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    path = tmp_path / ("n" * 255)
    disk.write(path, b"x")
    assert path.read_bytes() == b"x"


def test_what_is_put_aside_takes_no_name_that_is_taken(tmp_path):
    names = []
    for content in ("a", "b", "c"):
        (tmp_path / "log.csv").write_text(content)
        names.append(disk.put_aside(tmp_path / "log.csv").name)
    assert names == ["log.csv.damaged", "log.csv.damaged.2", "log.csv.damaged.3"]
    assert [(tmp_path / name).read_text() for name in names] == ["a", "b", "c"]
    with pytest.raises(CheckpointError, match=r"log\.csv: cannot be written"):
        disk.put_aside(tmp_path / "log.csv")


def test_what_a_killed_program_left_is_cleared_and_nothing_else(tmp_path):
    for name in (".1234.part", "part", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".folder.part").mkdir()
    disk.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".folder.part", ".hidden", "part"]


def test_json_is_read_that_is_no_deeper_than_ours():
    deepest = '{"a": ' * (disk.DEEPEST - 1) + "1" + "}" * (disk.DEEPEST - 1)
    assert disk.parsed(deepest)
    for text in (f"[{deepest}]", "[" * 900 + "]" * 900, "[" * 100_000, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            disk.parsed(text)
    with pytest.raises(ValueError, match="Expecting"):
        disk.parsed("{")


def test_json_that_says_a_name_twice_is_an_error():
    assert disk.parsed('{"a": {"b": 1}, "b": 2}') == {"a": {"b": 1}, "b": 2}
    with pytest.raises(ValueError, match="'b' twice"):
        disk.parsed('{"a": {"b": 1, "c": 2, "b": 1}}')


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        disk.read(tmp_path / "pipe")


def test_a_file_that_is_being_written_takes_no_name_that_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "urandom", bytes)
    taken = tmp_path / f".{'00' * 8}.part"
    taken.write_bytes(b"of somebody else")
    with pytest.raises(CheckpointError, match="whole: cannot be written"):
        disk.write(tmp_path / "whole", b"x")
    assert taken.read_bytes() == b"of somebody else"


def test_content_is_on_disk_before_its_name_is(tmp_path, monkeypatch):
    done = []

    def noted(call, original):
        return lambda *args: done.append(call) or original(*args)

    for call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, noted(call, getattr(os, call)))
    disk.write(tmp_path / "whole", b"x")
    assert done == ["fsync", "replace", *(["fsync"] if os.name == "posix" else [])]
    done.clear()
    disk.append(tmp_path / "whole", b"x")
    assert done == []
    disk.append(tmp_path / "whole", b"x", lasting=True)
    assert done == ["fsync"]
