"""Which launcher started the program is read off its environment."""

import pytest

from minigan.errors import ProcessError
from minigan.system import launcher
from minigan.system.launcher import COUNTS, launched


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, 1),
        ({"PMI_SIZE": "3"}, 3),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0"}, 8),
        ({"SLURM_NTASKS": "8"}, 1),  # a batch script, which is one process
        ({"PMI_SIZE": "1"}, 1),
        ({"PMI_SIZE": "many"}, 1),
        ({"PMI_SIZE": "0"}, 1),
    ],
)
def test_how_many_were_launched(variables, count, monkeypatch):
    for name in (*COUNTS, *COUNTS.values()):
        if name:
            monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == count


def test_what_is_one_process_s_work_says_so_once(monkeypatch):
    launcher.check_alone()
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setenv("PMI_RANK", "0")
    with pytest.raises(ProcessError, match="the work of one process, and 3 were started"):
        launcher.check_alone()
    with launcher.separate():
        launcher.check_alone()
    monkeypatch.setenv("PMI_RANK", "2")
    with pytest.raises(SystemExit):
        launcher.check_alone()
