"""The steps of benches/gpu.py without a GPU: what is written when, what becomes of failures and of figures."""

import copy
import json
import os
import signal
import sys
from pathlib import Path

import fakecupy
import pytest

pytest.importorskip("torch", reason="needs PyTorch: pip install 'minigan[bench]'")

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

from gpu_steps import (  # noqa: E402
    driver,
    layers,
    plan,
    report,
    runner,
    several,
    stages,
    summary,
    targets,
    timed_steps,
)
from gpu_steps.children import Child, ChildError  # noqa: E402


def record(*names):
    what = {"gpu": "a GPU", "driver": "1", "date": "today", "commit": "1a", "rehearsal": False}
    chosen = {"chosen_stages": list(names), "chosen_workloads": ["dcgan28"]}
    return what | chosen | {"errors": [], "cut": [], "stages": {}, "targets": []}


@pytest.fixture
def written():
    """A session and every state of its record that was written."""
    states = []
    empty = record("first", "second", "third")
    session = runner.Session(
        plan.REHEARSAL, True, ["dcgan28"], empty, lambda found: states.append(copy.deepcopy(found))
    )
    yield session, states
    session.close()


# --- stages -------------------------------------------------------------------------------------------------------


def test_a_stage_that_fails_is_recorded_and_the_next_ones_run(written, capsys):
    session, states = written

    def first(job):
        job.result["x"] = 1

    def second(job):
        job.result["half"] = True
        raise ValueError("what went wrong")

    def third(job):
        job.attempt("a part", lambda: 1 / 0)
        job.result["y"] = 2

    table = {"first": (1.0, first), "second": (1.0, second), "third": (1.0, third)}
    assert runner.run(table, session, 60) is False
    assert [list(state["stages"]) for state in states] == [["first"], ["first", "second"], ["first", "second", "third"]]
    stages = states[-1]["stages"]
    assert [stages[name]["ok"] for name in table] == [True, False, False]
    assert states[0]["stages"]["first"]["result"] == {"x": 1}
    assert stages["second"]["result"] == {"half": True}
    assert "ValueError: what went wrong" in stages["second"]["errors"][0]
    assert "a part: ZeroDivisionError" in stages["third"]["errors"][0]
    assert stages["third"]["result"] == {"y": 2}
    assert "what went wrong" in capsys.readouterr().out
    assert any("what went wrong" in line for line in summary.table(states[-1]))


def test_what_a_stage_leaves_of_its_time_the_next_ones_have(written):
    session, states = written
    given = []
    table = {name: (share, lambda job: given.append(job.left())) for name, share in (("first", 1), ("second", 3))}
    assert runner.run(table, session, 100) is True
    assert given[0] == pytest.approx(25, abs=1)
    assert given[1] == pytest.approx(100, abs=1)
    assert states[-1]["stages"]["first"]["limit_s"] == pytest.approx(25, abs=1)


@pytest.mark.skipif(several.what_is_lacking(2) != "", reason="needs MPI: pip install 'minigan[mpi]'")
def test_two_processes_add_up_and_play_the_game_of_one(written):
    session, states = written
    assert runner.run({"processes": (1.0, several.processes)}, session, 120) is True, states[-1]
    found = states[-1]["stages"]["processes"]["result"]
    assert [found[name]["processes"] for name in ("one", "several")] == [1, 2]
    assert list(found["several"]["sums"]) == ["1", "64"]
    assert [found["several"][name]["batch"] for name in ("same batch", "larger batch")] == [2, 4]
    lines = list(summary.table(states[-1]))
    assert sum("float32, GPUs: 2" in line for line in lines) == 2
    assert sum("main job, batch" in line for line in lines) == 3


def test_where_there_are_not_several_gpus_it_is_said_why_and_one_is_measured(written, monkeypatch):
    session, states = written
    plain = several.what_is_lacking
    monkeypatch.setattr(several, "what_is_lacking", lambda gpus: plain(gpus - 1))
    assert runner.run({"processes": (1.0, several.processes)}, session, 60) is True
    found = states[-1]["stages"]["processes"]["result"]
    assert list(found["one"]["sums"]) == ["1", "64"]
    assert found["several"] == {"skipped": "1 GPU is here, and each process needs one of its own"}
    assert "no several processes: 1 GPU is here" in "\n".join(summary.table(states[-1]))
    monkeypatch.setattr(several, "launcher", lambda: None)
    assert "pip install 'minigan[mpi]'" in plain(2)


def test_losses_of_several_processes_are_those_of_one():
    one = [[1.0, 20.0], [2.0, 30.0]]
    assert several.differences(one, [[1.0009, 20.019], [2.0, 30.0]]) == []
    for other in (2.0021, float("nan")):
        assert "round 2 on several GPUs" in several.differences(one, [[1.0, 20.0], [other, 30.0]])[0]


def test_tests_that_fail_are_an_error_of_their_stage(written, tmp_path):
    session, states = written
    (tmp_path / "test_it.py").write_text("import pytest\n@pytest.mark.gpu\ndef test_it():\n    assert 1 == 2\n")
    session.plan = plan.Plan(tests=(str(tmp_path), "--rootdir", str(tmp_path), "-o", "markers=gpu"))
    assert runner.run({"first": (1.0, stages.tests)}, session, 60) is False
    found = states[-1]["stages"]["first"]
    assert found["result"]["failed"] == 1
    assert "1 failed" in found["result"]["summary"]
    assert "pytest exited with 1" in found["errors"][0]


class MadeUpCrew:
    """Variants that answer at once; `asked` has who was asked for what."""

    def __init__(self):
        self.asked = []

    def start(self, name, request, /, **arguments):
        self.asked.append((name, request))

    def finish(self, name, limit):
        return {"losses": [[1.0]]}

    def ask(self, name, request, limit, /, **arguments):
        self.start(name, request)
        return 2.0, 3


def test_what_there_is_no_time_for_is_cut_and_said(written):
    session, states = written
    crew = MadeUpCrew()
    found = {}

    def first(job):
        found["late"] = timed_steps.opened(job, crew, "dcgan28", "gan", reserve=job.left())
        found["critic"] = timed_steps.opened(job, crew, "wgan_gp", "gradient_penalty", reserve=0)
        entries = {"torch eager": {"losses": [[1.0]]}, "minigan eager": {"losses": [[1.0]]}}
        timed_steps.take_turns(job, crew, "dcgan64", entries, reserve=job.left())
        found["entries"] = entries

    assert runner.run({"first": (1.0, first)}, session, 60) is True
    ours = [name for name in plan.VARIANTS if plan.variant(name).library == "minigan"]
    assert [name for name, entry in found["late"].items() if "losses" in entry] == ours
    assert [name for name, entry in found["critic"].items() if "skipped" in entry] == [
        "torch graph channels_last frozen"
    ]
    assert list(found["late"]) == list(found["critic"]) == list(plan.VARIANTS)
    assert [entry["blocks"] for entry in found["entries"].values()] == [[(2.0, 3)]] * 2
    cut = states[-1]["cut"]
    assert cut[:-1] == [f"dcgan28, {name}" for name in plan.VARIANTS if name not in ours]
    assert cut[-1] == "dcgan64: 1 of 2 rounds were timed"
    assert any(line.startswith("cut: dcgan64") for line in summary.table(states[-1]))


class SilentChild:
    """It answers nothing, and has no process."""

    def ask(self, request, limit, /, **arguments):
        raise ChildError(f"{request}: no answer")

    def close(self):
        pass


@pytest.mark.parametrize("late", [True, False])
def test_a_layer_in_which_time_runs_out_is_cut_and_one_that_fails_is_an_error(written, late):
    session, states = written
    layer = layers.Layer("linear", (2, 3), (4, 3), (2, 4))

    def first(job):
        job.child = lambda library: SilentChild()
        job.deadline -= 100 if late else 0
        job.result |= stages.timed_layer(job, {library: SilentChild() for library in stages.LIBRARIES}, layer)

    assert runner.run({"first": (1.0, first)}, session, 60) is late
    assert states[-1]["stages"]["first"]["result"] == {"minigan": None, "torch": None}
    failed = [f"{layer.title}: layer: no answer"] * 2
    assert states[-1]["stages"]["first"]["errors"] == ([] if late else failed)
    assert states[-1]["cut"] == ([f"{layer.title}, {library}" for library in stages.LIBRARIES] if late else [])


# --- children -----------------------------------------------------------------------------------------------------


def test_a_child_answers_or_says_why_not():
    child = Child("minigan", "the child", rehearse=True)
    with pytest.raises(ChildError, match=r"the child: nonsense: AttributeError"):
        child.ask("nonsense", 60)
    assert child.ask("identity", 60)["gpu"].endswith("(stand-in)")
    os.kill(child._process.pid, signal.SIGTERM)
    with pytest.raises(ChildError, match=r"the child: identity: the process ended with exit code -15"):
        child.ask("identity", 60)
    assert child.closed


def test_a_child_that_takes_too_long_is_ended():
    child = Child("minigan", "the child", rehearse=True)
    with pytest.raises(ChildError, match=r"the child: identity: no answer within 0 s"):
        child.ask("identity", 0)
    assert child.closed
    assert child._process.returncode == -signal.SIGKILL


# --- figures ------------------------------------------------------------------------------------------------------


def timed(**variants):
    """A workload whose variants, named with _ for a space, took so many milliseconds."""
    entries = {name: {"milliseconds": v, "agrees": True} if isinstance(v, float) else v for name, v in variants.items()}
    return {"variants": {name.replace("_", " ").replace("last", "channels_last"): v for name, v in entries.items()}}


def test_targets_are_judged_by_the_fastest_rival_of_the_same_precision():
    graphs = {
        "torch_graph": 1.2,
        "torch_graph_last": 0.9,
        "torch_graph_last_tf32": 0.25,
        "torch_graph_last_bf16": 0.1,
        "torch_graph_last_frozen": 0.1,
    }
    ours = {"minigan_captured": 1.0, "minigan_captured_tf32": 0.5, "minigan_captured_bf16": 0.3}
    found = targets.evaluate(
        {
            "dcgan28": timed(**ours, torch_eager=2.1, torch_compile=0.1, **graphs),
            "wgan_gp": timed(minigan_captured=1.0, torch_graph={"error": "it failed"}),
            "dcgan64": timed(minigan_captured=1.19, torch_graph=1.0),
        }
    )
    by = {(t["workload"], t["against"]): t for t in found}
    assert len(by) == len(found) == 5
    assert by["dcgan28", "torch eager"]["met"] is True
    graph = by["dcgan28", "torch graph"]
    assert (graph["met"], graph["fastest_of_them"]) == (False, "torch graph channels_last")
    assert graph["ratio"] == pytest.approx(1 / 0.9)
    assert graph["beside"] == {"tf32": 2, "bf16": pytest.approx(3)}
    assert by["wgan_gp", "torch graph"]["met"] is None
    assert by["dcgan64", "torch graph"]["met"] is True
    assert by["dcgan128", "torch graph"]["ratio"] is None
    lines = list(summary.targets(found))
    assert [line.split()[:3] for line in lines[2:]] == [[t["workload"], "/", "torch"] for t in found]
    assert lines[3].split()[4:] == ["1.0", "1.11", "MISSED", "2.00", "3.00"]
    assert "not measured" in lines[4]


def test_targets_that_nobody_asked_for_are_not_shown():
    for stage, count in (("layers", 0), ("steps", 2)):
        lines = summary.table(record(stage) | {"targets": targets.evaluate({})})
        assert sum("not measured" in line for line in lines) == count


def test_figures_of_a_variant_that_computes_something_else_meet_no_target():
    variants = timed(minigan_captured={"milliseconds": 0.1, "agrees": False}, torch_eager=2.0)
    assert {t["met"] for t in targets.evaluate({"dcgan28": variants})} == {None}
    assert {t["met"] for t in targets.evaluate({})} == {None}


def test_losses_are_compared_step_by_step():
    theirs = [[2.0, 1.0]] * 3
    apart = timed_steps.deviations([[2.0, 1.001], [2.0, 1.0], [2.2, 1.0]], theirs)
    assert apart == pytest.approx([0, 0.0005, 0, 0.1])
    assert timed_steps.agrees(apart, "fp32")
    assert not timed_steps.agrees([2e-4, 2e-4, 0, 0], "fp32")
    assert timed_steps.agrees([2e-2, 0.2, 0, 0], "bf16")
    assert not timed_steps.agrees([6e-2, 6e-2, 0, 0], "bf16")
    assert timed_steps.agrees([2e-4, 2e-4, 0, 0], "tf32")
    assert not timed_steps.agrees(timed_steps.deviations([[2.0, 1.0], [2.0, 1.0], ["nan", 1.0]], theirs), "fp32")


def test_a_variant_without_blocks_gets_no_figure():
    entry = {"losses": [[1.0]]}
    timed_steps.summarise(entry, 128, 1.0)
    assert entry == {"losses": [[1.0]]}
    entry["blocks"] = [(2.0, 10), (1.0, 20), (4.0, 5)]
    timed_steps.summarise(entry, 128, 10.0)
    assert entry["milliseconds"] == 2.0
    assert entry["images_per_s"] == 64_000
    assert entry["tflop_per_s"] == 5.0
    assert entry["steps_timed"] == 35


def test_a_layer_is_judged_by_the_way_that_minigan_chooses():
    def times(**ways):
        return {precision: dict.fromkeys(layers.FACES, ways) for precision in plan.PRECISIONS}

    chosen = dict.fromkeys(plan.PRECISIONS, dict.fromkeys(layers.FACES, "im2col"))
    row = {"gflop": 10.0, "times": {"minigan": times(im2col=2.0, implicit=1.0) | {"chosen": chosen}}}
    row["times"]["torch"] = times(nchw=4.0, channels_last=1.0)
    stages.judge(row, {"fp32": 50.0})
    face = row["fp32"]["forward"]
    assert (face["ratio"], face["best_way"], face["tflop_per_s"], face["of_ceiling"]) == (2.0, "implicit", 5.0, 0.1)
    assert row["tf32"]["forward"]["of_ceiling"] is None
    lines = list(summary.layers([row | {"layer": "a layer"}]))
    assert sum(line.startswith("a layer") for line in lines) == len(plan.PRECISIONS)
    assert lines[3].split() == ["a", "layer", *["2.000", "2.00", "10%*"] * 3]
    assert any(line.endswith("of the ratios: fp32 2.00, tf32 2.00, bf16 2.00") for line in lines)
    assert lines[-1] == "* a layer, weight gradient, bf16: im2col is taken; im2col 2.000, implicit 1.000"
    row["times"]["torch"] = None
    stages.judge(row, {})
    assert row["fp32"]["forward"]["ratio"] is None


def test_a_record_is_written_whole_and_what_is_not_finite_as_text(tmp_path):
    path = tmp_path / "results" / "gpu.json"
    report.write(path, {"a": [1.5, float("nan")], "b": (float("inf"), None)})
    report.write(path, {"a": [2.5, float("nan")], "b": (float("inf"), None)})
    assert json.loads(path.read_text()) == {"a": [2.5, "nan"], "b": ["inf", None]}
    assert [p.name for p in path.parent.iterdir()] == ["gpu.json"]
    assert report.check({"chosen_stages": ["soak"], "stages": {"soak": {"ok": True}}})


def test_the_first_lines_of_a_summary_compare_the_fastest_of_each_precision():
    variants = timed(minigan_captured=2.0, torch_graph=1.6, torch_graph_last=1.5, torch_graph_last_bf16=0.25)
    lines = list(summary.compared({"dcgan28": variants | {"title": "a DCGAN"}, "main_job": {}}))
    assert lines[-1].split() == ["a", "DCGAN", "2.000", "1.500", "1.33", "-", "-", "-", "-", "0.250", "-"]


def test_the_driver_is_asked_for_the_nodes_of_a_graph(monkeypatch):
    class Library:
        def cuGraphGetNodes(self, graph, nodes, count):
            assert (graph.value, nodes) == (42, None)
            count._obj.value = 7
            return self.status

    monkeypatch.setattr(driver.ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(Library, "status", 0, raising=False)
    assert driver.nodes_at(42) == 7
    assert driver.nodes_at(0) is None
    monkeypatch.setattr(Library, "status", 1)
    assert driver.nodes_at(42) is None


# --- what is timed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rehearse", [True, False])
@pytest.mark.parametrize("name", plan.WORKLOADS)
def test_the_layers_of_a_network_fit_together(name, rehearse):
    work = plan.workload(name, rehearse)
    assert list(layers.walk(work.discriminator, (work.batch, *work.sample)))[-1].y[:2] == (work.batch, 1)
    if work.generator:
        assert list(layers.walk(work.generator, (work.batch, work.z_dim)))[-1].y == (work.batch, *work.sample)
    for layer, users in layers.distinct([work]).items():
        assert users
        assert layers.Layer.of(json.loads(json.dumps(layer.described()))) == layer


@pytest.mark.parametrize("name", ["dcgan28", "wgan_gp"])
def test_a_captured_bench_computes_what_the_plain_one_does(name, monkeypatch):
    fakecupy.install(monkeypatch)
    from gpu_steps.in_minigan import Bench

    work = plan.workload(name, rehearse=True)
    captured, plain = Bench(work, captured=True), Bench(work, captured=False)
    assert captured.losses(6) == plain.losses(6)
    assert captured.turn.graph is not None
    assert plain.flops() > 0
    with pytest.raises(RuntimeError, match="was not captured"):
        Bench(work, captured=True).losses(3)
