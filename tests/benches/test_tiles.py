"""benches/tiles.py without a GPU: a rehearsal of all, and a wrong result that is seen."""

import re
import subprocess
import sys
from pathlib import Path

import fakecupy

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import tiles  # noqa: E402
from gpu_steps import clocks  # noqa: E402


def test_a_rehearsal_compares_every_tile_and_keeps_nothing(tmp_path):
    command = [sys.executable, BENCHES / "tiles.py", "--rehearse", "--json", tmp_path / "tiles.json"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    right, compared = re.search(r"(\d+) of (\d+) results were right", result.stdout).groups()
    assert int(right) == int(compared) > len(tiles.TILES)
    assert "TFLOP/s" not in result.stdout
    assert not list(tmp_path.iterdir())


def test_a_wrong_result_is_seen(monkeypatch):
    fakecupy.install(monkeypatch)
    monkeypatch.setattr(tiles, "TOLERANCES", {"fp32": 1e-5, "tf32": 0, "bf16": 1e-2})
    layer = tiles.layers(rehearse=True)[-1]
    times = tiles.measure(clocks.CupyClock(), layer, 1e-4)
    lines = [line for line in tiles.table([{"layer": layer.title, "gflop": 1.0, "times": times}]) if " us " in line]
    assert any("tf32" in line for line in lines)
    assert all(line.endswith("WRONG") == ("tf32" in line) for line in lines)
