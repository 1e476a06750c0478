"""`minigan evaluate RUN`: the table that it prints, what it says to a program, and what it refuses."""

import contextlib
import io
import json

import numpy as np
import pytest
from tiny_run import build, settings

from minigan import data, training
from minigan.command import cli
from minigan.judge.evaluation import MEASURES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of two steps on 100 digits in a file."""
    folder = tmp_path_factory.mktemp("evaluated")
    np.save(folder / "digits.npy", data.digits(100)[0])
    with contextlib.redirect_stdout(io.StringIO()):
        training.run(build, settings(folder / "run", data=str(folder / "digits.npy"), steps=2))
    return folder / "run"


def test_a_table_is_printed_and_kept(run, capsys):
    assert cli.main(["evaluate", str(run), "--judge", "digits"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0] == f"{run}, step 2: 50 samples beside 50 real ones, read by digits"
    assert lines[2].split() == ["value", "95", "%", "real", "better"]
    titles = [title for title, _ in MEASURES.values() if any(line.startswith(title) for line in lines)]
    assert len(titles) == len(lines) - 5 == 10
    assert lines[3].startswith("Fréchet distance")
    assert lines[3].endswith("lower")
    assert lines[-2].startswith("note: of these data nothing is held out")
    assert lines[-1].startswith("note: 50 samples, not 10000")
    assert "How good the samples are" in (run / "report.html").read_text()


def test_a_program_is_told_all_of_it(run, tmp_path, capsys):
    assert cli.main(["evaluate", str(run), "--json", "--n", "45", "--seed", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["report"]) == (str(run), str(run / "report.html"))
    assert (told["samples"], told["reader"], told["made_with"]["seed"]) == (45, "random features", 3)
    assert told["rows"]["frechet"].keys() == {"value", "low", "high", "floor"}
    assert {k: v for k, v in told.items() if k not in ("run", "report")} == (
        json.loads((run / "metrics.json").read_text())["evaluation"]
    )
    assert cli.main(["report", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluation"]["rows"] == told["rows"]
    rng = np.random.default_rng(0)
    for name in ("fake", "real"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((60, 4)).astype("float32"))
    features = [str(tmp_path / f"{name}.npy") for name in ("fake", "real")]
    assert cli.main(["evaluate", str(run), "--json", "--features", *features]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["frechet"]["floor"] is None


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        (["--judge", "digitz"], 1, "digitz: no such file, and no judge of that name; did you mean digits?"),
        (["--features", "a.npy"], 2, "--features expects two files or three"),
        (["--features", "a.npy", "b.npy", "--judge", "digits"], 2, "--judge changes nothing beside --features"),
        (["--features", "a.npy", "b.npy"], 1, "a.npy: "),
        (["--n", "39"], 1, "expected at least 40 samples and as many real ones, got 39"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, words, status, problem, capsys):
    try:
        ended = cli.main(["evaluate", str(run), *words])
    except SystemExit as error:
        ended = error.code
    told = capsys.readouterr()
    assert (ended, told.out) == (status, "")
    assert told.err.startswith("minigan evaluate: ")
    assert problem in told.err
    assert told.err.count("\n") == 1
