"""The bench of the verdict tells what the looks of its runs hold."""

import csv
import importlib.util
from pathlib import Path

import pytest

from minigan.judge import Look
from minigan.training import RunFolder

spec = importlib.util.spec_from_file_location("verdict_bench", Path(__file__).parents[2] / "benches" / "verdict.py")
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def test_checkpoints_that_both_measured_are_compared(tmp_path, capsys, monkeypatch):
    for name, distances in {"mnist_r1": [1.5, 0.6, 0.4], "mnist_mlp": [1.2, 0.7, 0.9]}.items():
        (tmp_path / name).mkdir()
        for step, distance in enumerate(distances, 1):
            numbers = {"distance": distance, "floor": 0.1, "frechet": 100 * distance**2 + step, "frechet_floor": 4.0}
            RunFolder(tmp_path / name).append_look(Look(step, numbers, "healthy", []))
        RunFolder(tmp_path / name).append_look(Look(9, {"distance": 0.3}, "healthy", []))  # which no judge saw
    held = bench.points(tmp_path)
    assert [(point.run, point.step) for point in held] == [
        *[("mnist_r1", step) for step in (1, 2, 3)],
        *[("mnist_mlp", step) for step in (1, 2, 3)],
    ]
    table = tmp_path / "table.csv"
    monkeypatch.setattr(
        "sys.argv", ["verdict.py", str(tmp_path), "--csv", str(table), "--plot", str(tmp_path / "a.png")]
    )
    bench.main()
    told = capsys.readouterr().out
    assert "6 checkpoints of 2 runs: spearman 1.00" in told
    rows = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.startswith("mnist_")}
    assert rows["mnist_r1"] == ["1.00", "0.40", "4.8", "4.8"]
    assert "0.35 to  0.50             1      4.8" in told
    assert (tmp_path / "a.png").stat().st_size > 10_000
    written = list(csv.DictReader(table.read_text().splitlines()))
    assert len(written) == 6
    assert float(written[2]["frechet"]) == pytest.approx(19)
