"""How much memory a device has left, and the most that something took."""

import math
import sys

import fakecupy
import fakepools
import numpy as np
import pytest

import minigan as mg
from minigan.kernels import headroom, memory
from minigan.system import machine

MB = 1 << 20


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
    taken = np.ones(64 * MB, "uint8")
    (after,) = machine._left_to_process()
    assert before - after == pytest.approx(taken.nbytes, rel=0.1)
    limits[getattr(resource, kind)] -= int(after) - MB
    assert machine.available() <= MB


def test_nothing_is_known_where_the_system_says_nothing(tmp_path, monkeypatch):
    assert 0 < machine.available() <= machine.memory()
    monkeypatch.setattr(machine, "Path", lambda *parts: tmp_path / "absent")
    assert machine.available() == math.inf


def test_memory_that_waits_for_the_next_arrays_is_free(monkeypatch):
    monkeypatch.setattr(machine, "available", lambda: 5.0 * MB)
    memory.empty_cache()
    assert headroom.free("cpu") == 5 * MB
    x = memory.empty((MB,), "uint8")
    del x
    assert headroom.free("cpu") == 6 * MB
    memory.empty_cache()
    assert headroom.free("cpu") == 5 * MB


def test_what_a_gpu_has_left(monkeypatch):
    cupy = fakecupy.install(monkeypatch)
    before = headroom.free("cuda")
    x = cupy.empty((MB,), dtype="uint8")
    assert headroom.free("cuda") == before - MB
    del x  # which the pool keeps
    assert fakepools.memory_info()[0] < headroom.free("cuda") == before
    pool = cupy.get_default_memory_pool()
    monkeypatch.setattr(pool, "get_limit", lambda: 3 * MB)
    x = cupy.empty((MB,), dtype="uint8")
    assert headroom.free("cuda") == 2 * MB
    del x


def on_cpu(n):
    return memory.empty((n,), "uint8")


def on_cuda(n):
    return mg.backend.array_module("cuda").empty((n,), dtype="uint8")


@pytest.mark.parametrize(("device", "make"), [("cpu", on_cpu), ("cuda", on_cuda)])
def test_a_watch_sees_the_most_that_was_held_at_once(device, make, monkeypatch):
    fakecupy.install(monkeypatch)
    before = make(7 * MB)
    with headroom.watching(device) as watch:
        assert watch.most() < MB
        x = make(3 * MB)
        del x
        y = make(2 * MB), make(2 * MB)
        del y
        assert watch.most() == pytest.approx(4 * MB, abs=0.1 * MB)
        x = make(9 * MB)
        kept = make(MB)
        del x
        watch.look_away()
        assert watch.most() == pytest.approx(4 * MB, abs=0.1 * MB)
        z = make(5 * MB)
        del z
        assert watch.most() == pytest.approx(6 * MB, abs=0.1 * MB)
    assert kept.nbytes + before.nbytes == 8 * MB


def test_numpys_own_arrays_are_seen_too():
    with headroom.watching("cpu") as watch:
        np.ones(MB // 8).sum()
        assert watch.most() == pytest.approx(MB, abs=0.1 * MB)
