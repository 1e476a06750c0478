"""What is said before a run begins: of folders that hold none, and by a dry run of a batch that is too large."""

import numpy as np
import pytest
from tiny_run import build, settings

import minigan as mg
from minigan import training
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


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_batch_of_more_than_all_images_is_refused_in_a_dry_run_too(tmp_path, dry_run):
    path = tmp_path / "few.npy"
    np.save(path, np.zeros((40, 28, 28), np.uint8))
    asked = settings(tmp_path / "run", data=str(path), batch_size=50, dry_run=dry_run)
    with pytest.raises(mg.errors.DataError, match=r"--batch-size 50: .*has 40 samples to learn from"):
        training.program.start(build, asked, lambda settings: (1, 28, 28))
