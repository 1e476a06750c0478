"""The bench of measures prints a row for each."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_measure_has_its_row(tmp_path):
    bench = Path(__file__).parents[2] / "benches" / "metrics.py"
    command = [sys.executable, bench, "--count", "500", "--width", "8"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    rows = printed.splitlines()
    assert rows[0].split() == ["seconds", "500", "50"]
    assert len(rows) == 20
    assert "nan" not in printed
