"""What a judge says of runs is not its own taste: another one says the same."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"


@pytest.mark.long
def test_two_judges_that_learnt_apart_rank_ten_runs_alike(mnist_folder, tmp_path):
    command = [sys.executable, BENCHES / "judges.py", "rank", "--out", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Spearman of 10 runs: " in result.stdout
