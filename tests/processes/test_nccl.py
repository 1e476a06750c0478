"""Processes that NCCL connects, on stand-ins for it and for their GPUs: ranks are threads, or processes of MPI."""

import contextlib
import platform
import threading

import fakecupy
import fakenccl
import numpy as np
import pytest
from fakecuda import device
from fakenccl import together

from minigan import backend
from minigan.errors import DeviceError, DTypeError, MissingExtra, ShapeError
from minigan.kernels import nccl
from minigan.processes import ALONE, NCCLGroup, Threads
from minigan.processes.nccl import device_of_rank


@pytest.fixture
def cupy(monkeypatch):
    """Four GPUs, and NCCL."""
    found = fakecupy.install(monkeypatch, devices=4)
    fakenccl.install(monkeypatch)
    return found


def on_gpu(array):
    return backend.to_device(np.array(array), "cuda")


# --- the group ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_arrays_of_a_gpu(cupy, ranks, dtype, rng):
    values = rng.integers(0, 50, (ranks, 3, 2)).astype(dtype)

    def of_rank(group):
        mine = [on_gpu(values[group.rank]) for _ in range(4)]
        found = group.sum(mine[0]), group.max(mine[1]), group.broadcast(mine[2], ranks - 1), group.gather(mine[3])
        assert found[:3] == tuple(mine[:3]), "in place"
        return [a.get() for a in found]

    for found in together(ranks, of_rank):
        for mine, expected in zip(found, (values.sum(0), values.max(0), values[-1], values), strict=True):
            assert mine.dtype == dtype
            assert np.array_equal(mine, expected.astype(dtype))


def test_arrays_of_the_host_and_what_python_decides_go_by_the_processes_that_were_there(cupy):
    def of_rank(group):
        total = group.sum(np.full(2, group.rank + 1.0))
        rest = group.max(np.array([group.rank])), group.broadcast(np.array([group.rank]), 1), group.gather(np.ones(1))
        told = group.same(f"of {group.rank}"), group.any(group.rank == 1), group.everybodys(group.rank)
        assert group.host is group.control
        group.ended()
        return total.tolist(), [a.tolist() for a in rest], told

    for found in together(2, of_rank):
        assert found == ([3, 3], [[1], [1], [[1], [1]]], ("of 0", True, [0, 1]))


def test_a_process_waits_for_its_gpu_with_the_patience_of_the_processes_that_were_there(cupy):
    def of_rank(group):
        mark = contextlib.nullcontext()
        group.control.waiting = lambda: mark
        return group.waiting() is mark

    assert all(together(2, of_rank))


def test_flags_and_types_that_cannot_be_added_can_be_gathered(cupy):
    def of_rank(group):
        return group.gather(on_gpu([group.rank == 1, True])).get(), group.broadcast(on_gpu([group.rank == 0])).get()

    for rows, first in together(2, of_rank):
        assert rows.tolist() == [[False, True], [True, True]]
        assert first.tolist() == [True]


def test_what_is_no_array_that_nccl_knows_is_refused(cupy):
    def of_rank(group):
        with pytest.raises(DTypeError, match=r"adds and compares float16, .*, got an array \(2,\) bool"):
            group.sum(on_gpu([True, False]))
        for call in (group.sum, group.gather):
            with pytest.raises(ShapeError, match=r"without gaps, got one \(3,\) \(16,\)"):
                call(on_gpu(np.ones(6))[::2])

    together(2, of_rank)


# --- whose GPU ----------------------------------------------------------------------------------------------------


def test_each_rank_has_a_gpu_of_its_own(cupy):
    def of_rank(group):
        assert device.id == group.device
        return group.device, group.local_rank

    assert together(4, of_rank) == [(k, k) for k in range(4)]


def test_the_one_gpu_that_a_process_sees_is_its_own_whatever_its_number_is(cupy, monkeypatch):
    device.reset(1)
    monkeypatch.setattr(nccl, "name_of", lambda number: f"{number} of {threading.current_thread().name}")
    assert Threads(2).run(device_of_rank) == [0, 0]


def test_gpus_of_two_machines_may_have_the_same_name(cupy, monkeypatch):
    device.reset(1)
    monkeypatch.setattr(platform, "node", lambda: threading.current_thread().name)
    assert Threads(2).run(device_of_rank) == [0, 0]


def test_two_ranks_on_one_gpu_are_refused_by_all(cupy):
    device.reset(3)
    refused = []

    def of_rank(group):
        with pytest.raises(DeviceError) as error:
            fakenccl.connected(group)
        refused.append(str(error.value))

    Threads(4).run(of_rank)
    assert len(set(refused)) == 1
    assert f"processes 1 and 4 of 4 would both use the GPU 0000:01:00.0 of {platform.node()}" in refused[0]


def test_a_gpu_is_chosen_before_anything_lies_on_another_one(cupy):
    def of_rank(control):
        kept = on_gpu([1.0]) if control.rank == 1 else None  # on the first GPU
        expected = "arrays lie on GPU 0 already, and this process is to use GPU 1: make the group"
        whose = "" if control.rank == 1 else "process 2 of 2: "
        with pytest.raises(DeviceError, match=whose + expected):
            fakenccl.connected(control)
        return kept

    Threads(2).run(of_rank)


def test_without_nccl_the_command_that_installs_it_is_said(monkeypatch):
    fakecupy.install(monkeypatch)
    for unavailable in (False, True):
        if unavailable:
            fakenccl.install(monkeypatch, available=False)
        with pytest.raises(MissingExtra, match=r"several GPUs need NCCL.*: pip install nvidia-nccl-cu13$"):
            NCCLGroup(ALONE)


def test_without_cuda_it_is_said_what_is_missing():
    if backend.cuda_problem() is None:
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match='device "cuda" cannot be used'):
        NCCLGroup(ALONE)


# --- what the stand-in refuses, as NCCL does -----------------------------------------------------------------------


def fails(ranks, work, why):
    with pytest.raises(Exception, match=why) as error:
        together(ranks, work)
    return error


MISTAKES = {
    "counts": (lambda g: g.sum(on_gpu(np.ones(2 + g.rank))), "allReduce of 2 float64 by add; allReduce of 3 float64"),
    "types": (lambda g: g.sum(on_gpu(np.ones(2, ("f4", "f8")[g.rank]))), "2 float32 by add; allReduce of 2 float64"),
    "order": (lambda g: [getattr(g, k)(on_gpu([1.0])) for k in (("sum", "max"), ("max", "sum"))[g.rank]], "by maximum"),
    "roots": (lambda g: g.broadcast(on_gpu([1.0]), g.rank), "broadcast of 8 uint8 from 0; broadcast of 8 uint8 from 1"),
    "one alone": (lambda g: g.sum(on_gpu([1.0])) if g.rank else g.any(True), "different calls: max of int64"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_calls_that_differ_are_refused(name, cupy):
    work, why = MISTAKES[name]
    fails(2, work, why)


def test_two_ranks_on_one_gpu_are_refused_by_the_stand_in_too(cupy, monkeypatch):
    monkeypatch.setattr("minigan.processes.nccl.device_of_rank", lambda control: 0)
    fails(2, lambda group: None, "Duplicate GPU")


def test_memory_of_the_host_and_of_another_gpu_is_refused(cupy):
    arrays = {}

    def of_rank(group):
        connected = group._connected._connected
        host = np.ones(3)
        arrays[group.rank] = on_gpu(np.ones(3))
        group.any(False)
        for other in (host.ctypes.data, arrays[1 - group.rank].data.ptr):
            with pytest.raises(fakenccl.NcclError, match=r"24 bytes at .* no memory of this device"):
                connected.allReduce(other, other, 3, 8, 0, 0)
        mine = arrays[group.rank].data.ptr
        with pytest.raises(fakenccl.NcclError, match="32 bytes at"):
            connected.allReduce(mine, mine, 4, 8, 0, 0)
        group.any(False)

    together(2, of_rank)


# --- captured -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def capture(cupy):
    """A stream that captures, in a block; the graph is appended to the list that it gives."""
    graphs, pool = [], cupy.cuda.MemoryPool()
    with cupy.cuda.Stream(non_blocking=True) as stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        yield graphs
        graphs.append(stream.end_capture())


def test_a_graph_sums_at_each_launch_and_not_before(cupy):
    def of_rank(group):
        x = on_gpu([group.rank + 1.0])
        with capture(cupy) as graphs:
            y = x + 0
            group.sum(y)
            rows = group.gather(y)
        assert x.get().tolist() == [group.rank + 1]
        found = []
        for _ in range(2):
            graphs[0].launch()
            found.append((y.get().tolist(), rows.get().tolist()))
            x += 1
        return found

    assert together(2, of_rank) == [[([3], [[3], [3]]), ([5], [[5], [5]])]] * 2


def test_a_capture_that_some_make_and_others_do_not_is_refused(cupy):
    def of_rank(group):
        x = on_gpu([1.0])
        if group.rank == 0:
            with capture(cupy) as graphs:
                group.sum(x)
            graphs[0].launch()
        else:
            group.sum(x)

    fails(2, of_rank, "by add, call 1 of a graph of .*; allReduce of 1 float64 by add")


def test_graphs_of_different_calls_are_refused(cupy):
    def of_rank(group):
        x = on_gpu([1.0])
        with capture(cupy) as graphs:
            group.sum(x)
            if group.rank:
                group.max(x)
        graphs[0].launch()

    fails(2, of_rank, r"a graph of \['allReduce of 1 float64 by add'\]; ")


def test_another_stream_than_the_one_that_captures_is_refused(cupy):
    def of_rank(group):
        x = on_gpu([1.0])
        with capture(cupy), pytest.raises(fakenccl.NcclError, match=r"on stream 0, while stream \d+ captures"):
            group._connected._connected.allReduce(x.data.ptr, x.data.ptr, 1, 8, 0, 0)

    together(2, of_rank)
