"""benches/gpu.py --smoke without a GPU: what it brings back, what checks that fail come to, what is kept of a run."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import fakecupy

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

from gpu_steps import outputs, plan, smoke, smoke_checks  # noqa: E402

COMMAND = [sys.executable, str(BENCHES / "gpu.py")]


def test_the_smoke_test_is_rehearsed_and_brings_back_a_few_files(tmp_path):
    result = subprocess.run([*COMMAND, "--smoke", "--rehearse", "--out", tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"smoke.json", "smoke.log", "tests.log", "kernels.tgz"}
    assert (tmp_path / "smoke.log").read_text() == result.stdout
    assert "skipped" in (tmp_path / "tests.log").read_text()
    found = json.loads((tmp_path / "smoke.json").read_text())
    assert found["passed"] is True
    assert len(found["checks"]) == 15
    assert all(entry["ok"] and entry["found"] for entry in found["checks"].values())


# --- the checks of the first minutes ------------------------------------------------------------------------------


def test_a_check_that_fails_keeps_what_it_found_and_the_next_one_has_a_new_child(tmp_path, capsys):
    run = smoke.Smoke(tmp_path, rehearse=True, seconds=60)
    try:
        run.check(["environment"], 0)
        first = run.child
        run.check(["nonsense"], 0)
        assert run.child.closed
        run.check(["environment"], 0)
        assert run.child is not first
    finally:
        run.child.close()
    found = json.loads((tmp_path / "smoke.json").read_text())["checks"]
    assert [found[name]["ok"] for name in ("environment", "nonsense")] == [True, False]
    assert "KeyError: 'nonsense'" in found["nonsense"]["errors"][0]
    assert "FAILED nonsense" in capsys.readouterr().out


def test_checks_for_which_no_time_is_left_have_failed(tmp_path):
    run = smoke.Smoke(tmp_path, rehearse=True, seconds=10)
    run.check(["environment"], 10)
    assert run.record["checks"]["environment"]["errors"] == ["environment: no time was left"]
    assert run.child is None


def test_an_expectation_that_is_not_met_is_an_error_with_what_was_found(monkeypatch):
    fakecupy.install(monkeypatch)

    def fn(check):
        check.found["x"] = 3
        check.expect("at most 2", check.found["x"] <= 2, check.found["x"])
        check.expect_fast("a short time", False, 9)
        raise ValueError("later")

    found = smoke_checks.run(fn, plan.REHEARSAL, False, None)
    assert found["found"] == {"x": 3}
    assert found["errors"][:2] == ["expected at most 2; found 3", "expected a short time; found 9"]
    assert found["errors"][2].startswith("ValueError: later")
    assert len(smoke_checks.run(fn, plan.REHEARSAL, True, None)["errors"]) == 2


def test_errors_of_products_are_seen(monkeypatch):
    fakecupy.install(monkeypatch)
    product = smoke_checks.cuda_linear.product
    monkeypatch.setattr(smoke_checks.cuda_linear, "product", lambda a, b: product(a, b) * 1.001)
    found = smoke_checks.run(smoke_checks.products, plan.REHEARSAL, True, None)
    assert any("an error of a batch in fp32 of at most 2e-06" in error for error in found["errors"])


# --- what is kept -------------------------------------------------------------------------------------------------


def test_kernels_compiled_by_one_run_are_there_in_the_next(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUPY_CACHE_DIR", "elsewhere")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with outputs.compiled_kernels(first, None):
        Path(os.environ["CUPY_CACHE_DIR"], "a.cubin").write_text("a")
    with outputs.compiled_kernels(first, None):
        Path(os.environ["CUPY_CACHE_DIR"], "b.cubin").write_text("b")
    with contextlib.suppress(SystemExit), outputs.compiled_kernels(second, first / "kernels.tgz"):
        assert sorted(os.listdir(os.environ["CUPY_CACHE_DIR"])) == ["a.cubin", "b.cubin"]
        sys.exit("ended from outside")
    assert os.environ["CUPY_CACHE_DIR"] == "elsewhere"
    for folder in (first, second):
        assert [p.name for p in folder.iterdir()] == ["kernels.tgz"]
    (first / "kernels.tgz").write_bytes((second / "kernels.tgz").read_bytes()[:50])
    with outputs.compiled_kernels(first, None):
        assert "cannot be read" in capsys.readouterr().out


def test_what_is_printed_is_in_the_log_and_what_ended_it(tmp_path, capsys):
    with contextlib.suppress(ValueError), outputs.also_in(tmp_path / "log"):
        print("said")
        raise ValueError("the end")
    assert capsys.readouterr().out == "said\n"
    assert (tmp_path / "log").read_text().startswith("said\nTraceback")
