"""The counters by which blocks find out which of them comes last: of whom they are, and that they are zero."""

import fakecupy
import numpy as np
import pytest
import shim
from fakecuda import counts, device

import minigan as mg
from minigan.capture import WARM_UP
from minigan.kernels import arrivals, cuda
from minigan.kernels.arrivals import counters


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


def captured(cupy, work):
    stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
    with stream, cupy.cuda.using_allocator(pool.malloc), mg.backend.capturing():
        stream.begin_capture()
        result = work()
        return result, stream.end_capture()


def test_each_stream_has_its_own_and_all_captures_share_one(cupy):
    first = counters()
    assert counters() is first
    with cupy.cuda.Stream():
        assert counters() is not first
        assert counters() is counters()
    in_captures = [captured(cupy, counters)[0] for _ in range(2)]
    assert in_captures[0] is in_captures[1] is not first


def test_no_graph_clears_counters_that_were_there_before(cupy):
    counters()
    counts.clear()
    _, graph = captured(cupy, counters)
    graph.launch()
    assert counts.launches == 0


def test_a_capture_that_comes_first_has_counters_that_it_clears_itself(cupy):
    mine, graph = captured(cupy, counters)
    mine._host[...] = 7
    graph.launch()
    assert not mine._host.any()
    assert captured(cupy, counters)[0] is not mine


@pytest.mark.skipif(shim.compiler() is None, reason="needs g++, to compile CUDA C for the CPU")
@pytest.mark.parametrize("order", ["forward", "backward", 5])
def test_they_are_zero_again_after_every_launch_and_replay(cupy, order, rng, monkeypatch):
    several = set()  # kernels of which blocks share their columns

    def launch(name, function, dtype, grid, *rest):
        if grid[1] > 1:
            several.add(function)
        cuda_launch(name, function, dtype, grid, *rest)

    cuda_launch = cuda.launch
    monkeypatch.setattr(cuda, "launch", launch)
    x = mg.tensor(rng.standard_normal((400, 70)).astype("float32"), device="cuda")
    step = mg.capture(lambda x: (mg.sum(x, 0), *mg.channel_norm(x, 0.1)))
    device.order = order
    try:
        results = [[t.numpy() for t in step(x)] for _ in range(WARM_UP + 3)]
    finally:
        device.order = None
    assert step.graph is not None
    for found in results[1:]:
        for a, b in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(a, b)
    made = arrivals._made(cupy)
    assert len(made) == 2
    assert not any(array._host.any() for array in made.values())
    assert {"column_sums", "channel_stats"} <= several
