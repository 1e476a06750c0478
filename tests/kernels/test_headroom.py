"""How much memory a device has left, and the most that something took."""

import fakecupy
import fakepools
import numpy as np
import pytest

import minigan as mg
from minigan.kernels import headroom, memory
from minigan.system import machine

MB = 1 << 20


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
