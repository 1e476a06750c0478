"""A run made by version 0.1.0 before the rooms were moved: it is resumed, reported and sampled as it was then.

Beside its folder lie what that version printed of it, what it drew, and what it logs and draws four steps later, which
has changed since in what comes out of its pool of earlier fakes.
"""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan import export
from minigan.command import cli
from minigan.training.folder import RunFolder

MADE = Path(__file__).with_name("made_before")
SAID = json.loads((MADE / "said.json").read_text())
CLOSE = {"rtol": 1e-3, "atol": 1e-5}  # on another machine sums are rounded otherwise


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(MADE / "run", tmp_path / "run")


def answer(capsys, *arguments):
    """What the command prints for a program."""
    assert cli.main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def log(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name != "images_per_s"}


def test_its_files_are_small():
    assert sum(path.stat().st_size for path in MADE.rglob("*") if path.is_file()) < 100_000


def test_it_goes_on_as_it_would_have(run, tmp_path):
    data = shutil.copy(MADE / "digits16.npy", tmp_path)
    assert cli.main(["resume", str(run), "--steps", "12", "--data", data, "--allow-change", "data"]) == 0
    found, expected = log(run / "log.csv"), log(MADE / "log_after.csv")
    assert found.keys() == expected.keys()
    assert found["step"] == list(range(1, 13))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name, **CLOSE)
    drawn = export.load_generator(run / "generator.safetensors").sample(4, seed=1).numpy()
    np.testing.assert_allclose(drawn, np.load(MADE / "samples_after.npy"), **CLOSE)
    assert abs(drawn - np.load(MADE / "samples.npy")).max() > 0.01  # four steps matter


@pytest.mark.parametrize(
    ("had", "later", "then", "usual"), [("lecam", "lecam_after", 0, 1000), ("cutmix", "cutmix_share", 0.0, 0.5)]
)
def test_a_run_that_had_an_option_goes_on_without_what_came_later_beside_it(run, monkeypatch, had, later, then, usual):
    before, begun = RunFolder(run).settings(), []
    monkeypatch.setattr(cli, "start", lambda build, settings, shape: begun.append(settings) or 0)
    for value in (0.0, 0.3):
        started = replace(before, extra={**before.extra, had: value})
        monkeypatch.setattr(RunFolder, "settings", lambda self, started=started: started)
        assert cli.main(["resume", str(run)]) == 0
    assert [settings.extra[later] for settings in begun] == [usual, then]


def test_its_report_says_what_it_said(run, capsys):
    said = answer(capsys, "report", run)
    assert {**said, "out": "run/report.html"} == SAID["report"]
    page = (run / "report.html").read_text()
    for shown in ("D sees no difference", "penalty_weight", "digits16.npy"):
        assert shown in page
    assert page.count("data:image/png;base64,") == 1


def test_its_settings_are_read(run, capsys):
    found = answer(capsys, "config", run)
    assert {**found, **SAID["config"]} == found  # what came later has its default


def test_its_generator_draws_what_it_drew(run, tmp_path, capsys):
    out = tmp_path / "samples.npy"
    about = answer(capsys, "sample", run / "generator.safetensors", "--n", "4", "--seed", "1", "--out", out)
    assert about["generator"] == {"step": 8, "run": "train"}
    np.testing.assert_allclose(np.load(out), np.load(MADE / "samples.npy"), **CLOSE)


def test_names_of_then_are_still_answered():
    from minigan.checkpoint import load
    from minigan.cli import main
    from minigan.presets import PRESETS
    from minigan.recipe import NETWORKS
    from minigan.runs import RunFolder, Settings, positive

    from minigan.latent import lerp, slerp

    assert (main, PRESETS, NETWORKS) == (cli.main, mg.command.presets.PRESETS, mg.command.recipe.NETWORKS)
    assert (lerp, slerp) == (mg.gan.lerp, mg.gan.slerp)
    assert (RunFolder, Settings, positive) == tuple(
        getattr(mg.training, name) for name in ("RunFolder", "Settings", "positive")
    )
    assert load is mg.training.checkpoint.load
    assert mg.health.Look is mg.judge.Look
    assert mg.report.write is mg.training.report.write
    assert mg.studies.play is mg.training.studies.play
    assert mg.yardstick.Yardstick is mg.judge.Yardstick
    for name in ("held_out", "in_chunks", "Judge", "fit_classifier", "judge_of"):
        assert callable(getattr(mg.judge, name))
    for name in ("Samples", "Settings", "Shape", "main", "parser", "run", "sample_grid", "reconstruction_grid"):
        assert callable(getattr(mg.training, name))
