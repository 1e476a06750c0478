"""How a run stands, by what is in its folder."""

import json
from dataclasses import asdict, replace

import pytest

from minigan.errors import CheckpointError
from minigan.judge.verdict import Finding, Look
from minigan.sweep.runs import BEGUN, FINISHED, NEW, STOPPED, Unit, standing
from minigan.training import Settings, record

SETTINGS = Settings("train", data="digits", steps=8, extra={"lr": 1e-3, "loss": "hinge"})


def made(folder, *, step=8, total=8, whole=True, settings=SETTINGS):
    """A run that has come so far."""
    (folder / "checkpoints").mkdir(parents=True)
    config = {"settings": asdict(settings), "total_steps": total}
    (folder / "config.json").write_text(json.dumps(config))
    for kind in ("safetensors", "json") if step else ():
        (folder / "checkpoints" / f"step_{step:08d}.{kind}").touch()
    for name in ("losses.png", "samples.gif") if whole else ():
        (folder / name).touch()
    return folder


def unit(folder, **changed):
    return Unit({"lr": "1e-3"}, folder, ["--lr=1e-3"], replace(SETTINGS, **changed))


def test_what_is_not_there_begins(tmp_path):
    new = unit(tmp_path / "a")
    assert standing(new) == NEW
    assert new.words() == ["--lr=1e-3", "--out", str(tmp_path / "a")]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "output.log").touch()  # it failed before it began
    assert standing(new) == NEW


@pytest.mark.parametrize(
    ("left", "asked", "status"),
    [
        ({}, {}, FINISHED),
        ({"step": 4}, {}, BEGUN),
        ({"step": 0, "whole": False}, {}, BEGUN),
        ({"whole": False}, {}, BEGUN),  # killed before its last files
        ({}, {"steps": 9}, BEGUN),  # longer
        ({}, {"steps": 7}, FINISHED),
        ({"settings": replace(SETTINGS, steps=None)}, {"steps": None}, FINISHED),
        ({"settings": replace(SETTINGS, steps=None)}, {"steps": None, "epochs": 6}, BEGUN),
        (
            {"settings": replace(SETTINGS, steps=None, minutes=1.0), "total": None},
            {"steps": None, "minutes": 1.0},
            BEGUN,
        ),
        ({"settings": replace(SETTINGS, steps=None, minutes=1.0)}, {"steps": None, "minutes": 1.0}, FINISHED),
    ],
)
def test_a_run_is_finished_when_its_last_step_is_saved(left, asked, status, tmp_path):
    run = unit(made(tmp_path / "a", **left), **asked)
    assert standing(run) == status
    assert run.words()[-1] == "--resume"


def test_a_run_that_gave_up_stays_so(tmp_path):
    folder = made(tmp_path / "a", step=4, whole=False)
    looks = [Look(step, {}, "failing", [Finding("failing", "mode collapse", "")]) for step in (2, 3, 4)]
    (folder / "health.jsonl").write_text("".join(map(record.look_line, looks)))
    assert standing(unit(folder)) == BEGUN
    assert standing(unit(folder, early_stop=True)) == STOPPED


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    folder = made(tmp_path / "a")
    assert standing(unit(folder, keep=7, data="auto")) == FINISHED  # they decide nothing, or are not known
    for changed, told in (
        ({"extra": {"lr": 1e-4, "loss": "hinge"}}, r"a: was made with other settings \(lr was 0.001, is 0.0001\)"),
        ({"batch_size": 7}, "batch_size was 128, is 7"),
        ({"data": "mnist"}, "data was 'digits', is 'mnist'"),
    ):
        with pytest.raises(CheckpointError, match=f"{told}.*another folder with --out"):
            standing(unit(folder, **changed))


def test_a_setting_that_came_later_had_its_default(tmp_path):
    folder = made(tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    del config["settings"]["accumulate"]
    (folder / "config.json").write_text(json.dumps(config))
    assert standing(unit(folder)) == FINISHED
    with pytest.raises(CheckpointError, match="accumulate was 1, is 2"):
        standing(unit(folder, accumulate=2))


def test_a_path_is_the_same_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = made(tmp_path / "a", settings=replace(SETTINGS, data=str(tmp_path / "images")))
    assert standing(unit(folder, data="a/../images")) == FINISHED
    with pytest.raises(CheckpointError, match="data was"):
        standing(unit(folder, data="others"))


def test_what_cannot_be_read_is_left_to_training(tmp_path):
    folder = made(tmp_path / "a")
    (folder / "config.json").write_text("{")
    assert standing(unit(folder)) == BEGUN
