"""The PyTorch half of benches/gpu.py on the stand-in for torch.cuda: every line runs there; what it refuses."""

import contextlib
import inspect
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'minigan[bench]'")

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

from gpu_steps import in_torch, layers, layers_torch, plan, stand_in_torch, torch_requests  # noqa: E402


@pytest.fixture
def requests(monkeypatch):
    """What a child of PyTorch answers in a rehearsal; torch.cuda is as it was afterwards."""
    for name in stand_in_torch.REPLACED:
        monkeypatch.setattr(torch.cuda, name, getattr(torch.cuda, name))
    monkeypatch.setattr(stand_in_torch, "device", stand_in_torch.Device())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield torch_requests.Requests(rehearse=True)
    in_torch.set_precision("fp32")
    torch.backends.cudnn.benchmark = False


@contextlib.contextmanager
def lines_of(*modules):
    """The lines of these modules that have not run meanwhile, as {(file, line)}: filled when it ends."""
    wanted = {module.__file__ for module in modules}
    ran, missed = set(), set()

    def trace(frame, event, arg):
        if frame.f_code.co_filename not in wanted:
            return None
        ran.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield missed
    finally:
        sys.settrace(before)
    for module in modules:
        code = compile(inspect.getsource(module), module.__file__, "exec")
        missed |= {(module.__file__, line) for line in lines_in_functions(code)} - ran


def lines_in_functions(code):
    """The lines within functions and lambdas of a module or a class."""
    for inner in (c for c in code.co_consts if inspect.iscode(c)):
        if inner.co_flags & inspect.CO_OPTIMIZED:  # a function's
            yield from {line for _, _, line in inner.co_lines() if line is not None and line != inner.co_firstlineno}
        yield from lines_in_functions(inner)


def test_every_line_runs_in_a_rehearsal(requests, monkeypatch):
    """Without torch.compile itself, which takes long."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda net, backend: compiled.append(backend) or net)
    with lines_of(torch_requests, in_torch, layers_torch) as missed:
        requests = torch_requests.Requests(rehearse=True)
        assert requests.identity()["gpu"] == "CPU (stand-in)"
        requests.ceilings(side=8, copied=1 << 10, seconds=1e-4)
        for name in ("dcgan28", "wgan_gp"):
            for chosen in (v for v in plan.VARIANTS if plan.variant(v).library == "torch"):
                if plan.variant(chosen).frozen and name == "wgan_gp":
                    continue
                assert len(requests.open(name, chosen, 4)["losses"]) == 4
                assert requests.time(1e-4)[1] > 0
        for layer in {each.kind: each for each in layers.distinct([plan.workload("dcgan28", True)])}.values():
            found = requests.layer(layer.described(), 1e-4)
            assert set(found) == set(plan.PRECISIONS)
        requests.open("dcgan28", plan.COMPILED, 1, backend="eager")
    assert compiled == ["eager"] * 2
    assert not missed


def test_a_captured_step_is_the_plain_one(requests):
    """To the last bit, in every workload: nothing that Graphed captures is stale, or done twice."""
    for name in ("dcgan28", "wgan_gp"):
        plain = requests.open(name, "torch eager", 7)["losses"]
        assert requests.open(name, "torch graph", 7)["losses"] == plain


def test_bfloat16_is_near_float32(requests):
    plain = requests.open("dcgan28", "torch eager channels_last", 2)["losses"]
    rounded = requests.open("dcgan28", "torch eager channels_last bf16", 2)["losses"]
    assert rounded != plain
    assert rounded[0] == pytest.approx(plain[0], rel=0.05)


# --- the stand-in -------------------------------------------------------------------------------------------------


def captured(step):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


def test_a_capture_changes_nothing_and_a_replay_does_it_again(requests):
    x, y = torch.ones(3), torch.zeros(3)
    graph = captured(lambda: y.add_(x * 2))
    assert y.tolist() == [0, 0, 0]
    graph.replay()
    x.fill_(5)
    graph.replay()
    assert y.tolist() == [12, 12, 12]


def test_what_makes_the_host_wait_is_refused_in_a_capture(requests):
    x, event = torch.ones(3), torch.cuda.Event()
    for wait in (lambda: x.sum().item(), event.synchronize, torch.cuda.synchronize, lambda: captured(lambda: x + 1)):
        with pytest.raises(RuntimeError, match="operation not permitted when stream is capturing"):
            captured(wait)

    def caught():
        with contextlib.suppress(RuntimeError):
            x.sum().item()

    with pytest.raises(RuntimeError, match="previous error during capture"):
        captured(caught)
    captured(lambda: x + 1).replay()


def test_graphs_and_events_are_used_in_their_order(requests):
    with pytest.raises(AssertionError, match=r"replay\(\) before a capture"):
        torch.cuda.CUDAGraph().replay()
    kept = torch.cuda.CUDAGraph(keep_graph=True)
    with torch.cuda.graph(kept):
        torch.ones(3) + 1
    with pytest.raises(AssertionError, match="before instantiate"):
        kept.replay()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with pytest.raises(AssertionError, match="was not recorded"):
        start.elapsed_time(stop)
    start.record()
    stop.record()
    with pytest.raises(AssertionError, match="has not waited"):
        start.elapsed_time(stop)
    stop.synchronize()
    assert start.elapsed_time(stop) >= 0
