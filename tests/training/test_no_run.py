"""What is said of folders that hold no run."""

import pytest

import minigan as mg
from minigan.training import report


def test_a_folder_that_is_not_there_and_one_of_runs_are_told_apart(tmp_path):
    with pytest.raises(mg.errors.CheckpointError, match=r"absent: no run, there is no such folder"):
        report.write(tmp_path / "absent")
    for name in "edcba":
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    with pytest.raises(
        mg.errors.CheckpointError, match=r"no config\.json; those that hold one are in it: a, b, c, d, "
    ):
        report.write(tmp_path / "runs")
