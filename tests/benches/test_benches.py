"""The benchmarks run, and what they compare computes the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import minigan as mg

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'minigan[bench]'")

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

from steps.disguise import AS_ON_INTEL, library  # noqa: E402  found through the line above
from steps.workloads import WORKLOADS, workload  # noqa: E402  found through the line above
from train_steps import check_losses, rivals  # noqa: E402  found through the line above


def test_two_libraries_are_timed_and_their_losses_agree(tmp_path):
    command = [sys.executable, BENCHES / "train_steps.py", "toy2d", "--seconds", "0.3", "--rounds", "2"]
    result = subprocess.run(
        [*command, "--json", tmp_path / "figures.json"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "toy2d" in result.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    found = figures["workloads"]["toy2d"]
    disguised = {f"torch nchw{AS_ON_INTEL}"} if library() else set()
    assert (
        set(found["milliseconds"]) == set(found["peak_mib"]) == {"minigan", "minigan numpy", "torch nchw"} | disguised
    )
    assert bool(found["ratio_as_on_intel"]) == bool(disguised)
    for ratio in filter(None, (found["ratio"], found["ratio_of_numpy"], found["ratio_as_on_intel"])):
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert 0 < found["fraction_of_floor"] < 1
    assert figures["machine"]["kernel"]


def test_libraries_that_disagree_are_not_timed():
    check_losses({"minigan": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], "torch": [[1.00001, 2.0], [1.01, 2.0], [1.0, 2.0]]})
    with pytest.raises(SystemExit, match="step 0"):
        check_losses({"minigan": [[1.0, 2.0]] * 3, "torch": [[1.01, 2.0]] * 3})
    with pytest.raises(SystemExit, match="step 1"):
        check_losses({"minigan": [[1.0, 2.0]] * 3, "torch": [[1.0, 2.0], [1.0, float("nan")], [1.0, 2.0]]})


@pytest.mark.parametrize("name", ["wgan_gp", "dcgan:16:8:4"])
def test_first_losses_agree(name):
    from steps import in_minigan, in_torch
    from steps.worker import losses

    work = workload(name)
    check_losses(
        {
            "minigan": losses(in_minigan.Bench(work, "default"), 3),
            "torch": losses(in_torch.Bench(work, "channels_last"), 3),
        }
    )


@pytest.mark.slow
def test_layers_are_timed_and_agree():
    """It ends with an error where the two libraries do not compute the same."""
    command = [sys.executable, BENCHES / "layers.py", "--repeats", "1"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 1 + 2 * 11


def test_every_workload_has_a_rival_and_a_wrong_name_is_refused():
    assert all(rivals(work, full=False) for work in WORKLOADS.values())
    result = subprocess.run([sys.executable, BENCHES / "train_steps.py", "nonsense"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "nonsense" in result.stderr


def test_resampling_is_timed_beside_what_computes_the_same(capsys, monkeypatch):
    import resampling

    monkeypatch.setattr(resampling, "SHAPES", [(2, 3, 8)])
    monkeypatch.setattr(resampling, "WARM", 0)
    before = torch.get_num_threads()
    try:
        resampling.main(["--repeats", "1"])
        header, _, *rows = capsys.readouterr().out.splitlines()
        assert header.count("ratio") == 2
        assert [row.split("|")[1].strip() for row in rows] == list(resampling.CASES)
        monkeypatch.setitem(resampling.CASES, "blur", (mg.nn.Blur((1, 2, 2, 1)), resampling.CASES["blur"][1]))
        with pytest.raises(AssertionError):
            resampling.main(["--repeats", "1"])
    finally:
        torch.set_num_threads(before)
