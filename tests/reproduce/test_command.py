"""`minigan reproduce`: what it says, writes and refuses."""

import json

import pytest

from minigan import reproduce
from minigan.command import cli
from minigan.reproduce import files

ONE = ["--methods", "GAN", "--processes", "1"]


@pytest.fixture
def tiny(monkeypatch):
    """The Dirac table at the length of its trial."""
    table = reproduce.load("dirac")
    monkeypatch.setitem(table.short.settings, "steps", 4)
    monkeypatch.setitem(table.short.settings, "arrows", 2)


def test_the_list_has_every_table_with_its_paper_and_its_methods(capsys):
    assert cli.main(["reproduce", "--list"]) == 0
    told = capsys.readouterr().out
    for name in reproduce.TABLES:
        table = reproduce.load(name)
        assert f"{name}: {table.title}" in told
        assert table.source in told
        assert all((row.name if row.usual else f"({row.name})") in told for row in table.rows)
    assert "in brackets are computed if --methods asks" in told


def test_a_table_is_written_and_the_second_time_read(tiny, tmp_path, capsys):
    line = ["reproduce", "dirac", *ONE, "--out", str(tmp_path / "made")]
    assert cli.main(line) == 0
    first = capsys.readouterr().out
    assert "GAN, seed 0: eigenvalues of the field: ± 0.5000 i" in first
    assert "paper" in first
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        *(".lock", "cells", "ways.png", files.PAGE, files.CSV, files.NUMBERS)
    }
    assert cli.main([*line, "--json"]) == 0
    again = capsys.readouterr()
    held = json.loads(again.out)
    assert held["rows"][0]["measures"]["radius_simultaneous"]["ours"] == pytest.approx(1.01**0.5)
    assert "seed 0" not in again.err  # nothing was computed
    assert held["processor"]


def test_time_that_is_up_is_no_error_and_says_what_is_left(tiny, tmp_path, capsys):
    assert cli.main(["reproduce", "dirac", *ONE, "--minutes", "0", "--out", str(tmp_path)]) == 0
    assert "Not finished, by seed: GAN (0). What was done is saved" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "protocol"), [("dirac", "the paper's"), ("ring", "short"), ("losses", "short")])
def test_only_the_papers_own_protocol_is_called_so(name, protocol, tmp_path, capsys):
    assert cli.main(["reproduce", name, "--minutes", "0", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == protocol


def test_a_dry_run_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["reproduce", "dirac", *ONE, "--dry-run"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert "shows the table" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ([], 2, "which table?"),
        (["rings"], 2, "did you mean ring?"),
        (["ring", "--minutes", "nan"], 2, "expected a number of minutes, got nan"),
        (["ring", "--seeds", "0"], 2, "expected a positive number, got 0"),
        (["losses", "--full"], 2, "the paper's own protocol of losses is not there"),
        (["ring", "--methods", "gan"], 1, "no method 'gan', but GAN, PacGAN2"),
    ],
)
def test_what_does_not_fit_is_refused(line, status, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        found = cli.main(["reproduce", *line])
    except SystemExit as ended:
        found = ended.code
    assert found == status
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
