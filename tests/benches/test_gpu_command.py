"""The command benches/gpu.py without a GPU: a rehearsal of all, what it refuses, what it shows, the ways it keeps."""

import json
import subprocess
import sys
from pathlib import Path

import fakecupy
import pytest

import minigan as mg

pytest.importorskip("torch", reason="needs PyTorch: pip install 'minigan[bench]'")

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

from gpu_steps import layers, layers_minigan, plan, ways  # noqa: E402

COMMAND = [sys.executable, str(BENCHES / "gpu.py")]
RESULTS = BENCHES / "results"
WITHOUT = pytest.mark.skipif(mg.backend.cuda_problem() is None, reason="this machine has a GPU")


# --- the command --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_rehearsal_runs_every_stage(tmp_path):
    every = "machine,soak,steps,layers,processes,tests,gradcheck"
    result = subprocess.run(
        [*COMMAND, "--rehearse", "--out", tmp_path, "--stages", every], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing is measured" in result.stdout
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert list(found["stages"]) == every.split(",")
    assert all(stage["ok"] for stage in found["stages"].values())
    for work in ("dcgan28", "wgan_gp"):
        variants = found["stages"]["steps"]["result"][work]["variants"]
        assert all(entry["agrees"] and entry["milliseconds"] for entry in variants.values() if "skipped" not in entry)
    assert (tmp_path / "gpu.log").read_text() == result.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"gpu.json", "gpu.log", "kernels.tgz", "cuda_ways.json"}


@WITHOUT
def test_without_a_gpu_it_says_what_is_missing_and_writes_nothing(tmp_path):
    result = subprocess.run([*COMMAND, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip() == mg.backend.cuda_problem()
    assert not list(tmp_path.iterdir())


REFUSED = {
    "": "--out: which folder",
    "--rehearse --stages nonsense": "unknown: nonsense",
    "--rehearse --workloads nonsense": "unknown: nonsense",
    "--rehearse --seconds -3": "-3 is no time",
    "--rehearse --seconds long": "long",
    "--rehearse --smoke --stages steps": "--smoke: has no stages",
    "--rehearse --out FILE/out": "FILE is no folder",
    "--rehearse --kernels NONE": "--kernels: there is no file NONE",
    "--show NONE": "--show: there is no file NONE",
    "--keep-ways NONE": "--keep-ways: there is no file NONE",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_command_line_that_makes_no_sense_is_refused(line, tmp_path):
    (tmp_path / "FILE").touch()
    result = subprocess.run([*COMMAND, *line.split()], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert REFUSED[line] in result.stderr
    assert "Traceback" not in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["FILE"]


# --- records that are shown -----------------------------------------------------------------------------------------


def shown(path):
    return subprocess.run([*COMMAND, "--show", path], capture_output=True, text=True)


def test_a_record_of_stages_is_shown_with_the_targets_only_if_steps_were_timed():
    h100, h200 = (shown(RESULTS / f"2026-11-26-gpu-{name}.json") for name in ("h100", "h200-layers"))
    assert (h100.returncode, h200.returncode) == (0, 0)
    assert "dcgan28 / torch eager                          0.5    0.33  met" in h100.stdout
    assert "targets" not in h200.stdout
    assert "geometric mean of the ratios: fp32 0.93, tf32 1.38, bf16 2.03" in h200.stdout


def test_a_record_of_checks_is_shown_whole_or_cut_off(tmp_path):
    path = RESULTS / "2026-11-26-gpu-h200-smoke.json"
    lines = shown(path).stdout.splitlines()
    assert len(lines) == 1 + 15 + 1 + 1
    assert lines[-1].startswith("15 of 15 checks held; tests: 162 passed")
    assert max(map(len, lines)) < 170
    record = json.loads(path.read_text())
    del record["tests"], record["passed"]
    record["checks"]["layouts"] |= {"ok": False, "errors": ["expected one; found two\n  here"] * 7}
    (tmp_path / "cut.json").write_text(json.dumps(record))
    lines = shown(tmp_path / "cut.json").stdout.splitlines()
    assert sum(line.startswith("       expected one; found two") for line in lines) == 5
    assert "       and 2 more" in lines
    assert lines[-1].startswith("14 of 15 checks held; tests: cut off")


@pytest.mark.parametrize("text", ["{", "[]", '{"checks": {}}', '{"stages": {}}'])
def test_what_is_no_record_is_not_shown(text, tmp_path):
    (tmp_path / "given.json").write_text(text)
    result = shown(tmp_path / "given.json")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{tmp_path / 'given.json'} is no record")
    assert "Traceback" not in result.stderr


# --- ways ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_ways_that_were_faster_are_written_kept_and_taken(tmp_path, monkeypatch, kind):
    fakecupy.install(monkeypatch)
    sides = ((8, 8), (4, 4)) if kind == "conv" else ((4, 4), (8, 8))
    layer = layers.Layer(kind, (2, 64, *sides[0]), (64, 64, 4, 4), (2, 64, *sides[1]), 2, 1)
    keys = dict(zip(layers.FACES, layers_minigan.convolution(layer).keys, strict=True))
    row = {"times": {"minigan": {"keys": keys}}}
    for precision in plan.PRECISIONS:  # of the three faces the second is faster by the other way
        row["times"]["minigan"][precision] = {
            face: {"im2col": 2.0, "implicit": 1.0 + 2 * (k == 1)} for k, face in enumerate(layers.FACES)
        }
    found = {"rehearsal": False, "machine": {"compute_capability": "90"}, "stages": {}}
    ways.write(found, tmp_path)
    assert not list(tmp_path.iterdir())
    found["stages"]["layers"] = {"result": {"layers": [row, {"times": {"minigan": None}}]}}
    ways.write(found | {"machine": {}}, tmp_path)  # which GPU it was is not known
    assert not list(tmp_path.iterdir())
    ways.write(found, tmp_path)
    kept = tmp_path / "kept.json"
    kept.write_text('{"80": {"fp32": {"another": {"im2col": 1.0}}}}')
    assert "9 measurements for compute capability 90" in ways.keep(tmp_path / "cuda_ways.json", kept)
    table = json.loads(kept.read_text())
    assert set(table) == {"80", "90"}
    monkeypatch.setattr(ways.cuda_ways, "_measured", lambda: table)
    ways.cuda_ways.chosen.cache_clear()
    for precision in plan.PRECISIONS:
        mg.set_precision(precision)
        assert layers_minigan.convolution(layer).chosen() == ["implicit", "im2col", "implicit"]
    mg.set_precision("fp32")
    ways.cuda_ways.chosen.cache_clear()


BROKEN = {  # files that are no table of ways, and what is said of them
    "{": "Expecting property name",
    "[]": "has no entries",
    "{}": "it is empty",
    '{"rehearsal": {}}': "nothing was measured",
    '{"9.0": {}}': "'9.0' is no compute capability",
    '{"90": {"fp8": {}}}': "'fp8' is no precision",
    '{"90": {"fp32": {"a shape": 1.5}}}': "1.5 has no entries",
    '{"90": {"fp32": {"a shape": {"magic": 1.5}}}}': "a shape: magic 1.5",
    '{"90": {"fp32": {"a shape": {"im2col": "nan"}}}}': "a shape: im2col 'nan'",
    '{"90": {"fp32": {"a shape": {"im2col": NaN}}}}': "a shape: im2col nan",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_no_table_of_ways_changes_nothing(text, tmp_path):
    given, kept = tmp_path / "given.json", tmp_path / "kept.json"
    given.write_text(text)
    with pytest.raises(ValueError, match=r"given\.json is no table of ways: ") as found:
        ways.keep(given, kept)
    assert BROKEN[text] in str(found.value)
    assert not kept.exists()
