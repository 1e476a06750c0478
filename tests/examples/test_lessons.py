"""The lessons: each runs, writes its figure, and tells a right answer to its exercise from a wrong one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan.training import studies

FOLDER = Path(__file__).parents[2] / "examples" / "lessons"
LESSONS = sorted(path.stem for path in FOLDER.glob("[0-9]*.py"))


def packed_samples(samples):
    return float(np.linalg.norm(samples - samples[:, None], axis=2).mean())


def leaky_by_hand(W, b, v, x):
    m = np.where(W @ x + b > 0, 1.0, 0.2)
    g = W.T @ (v * m)
    u = 2 * (np.sqrt(g @ g) - 1) * g / np.sqrt(g @ g)
    return np.outer(v * m, u), 0 * b, m * (W @ u)


SOLUTIONS = {  # by the number of the lesson
    "01": {"dexp/du": np.e, "du/dx": 2.0, "dz/dx": 2 * np.e},
    "02": lambda x: mg.tanh(x),
    "03": 2,
    "04": {"js": np.log(2) / 2, "wasserstein": 1.0},
    "05": 1.0,
    "06": lambda real, fake: float(np.linalg.norm(real.mean(0) - fake.mean(0))),
    "07": leaky_by_hand,
    "08": lambda x: mg.sum(mg.square(x - mg.mean(x, axis=0))),
    "09": packed_samples,
    "10": {"d_loss": 2 * np.log1p(np.exp(-3.0)), "g_loss": np.log1p(np.exp(3.0))},
}


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_and_its_exercise_can_be_solved(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "argv", [name, "--dry-run", "-f", "kernel-1234.json"])  # as a notebook's server calls it
    lesson = studies.script(FOLDER, name)
    assert "Exercise: not yet. " in capsys.readouterr().out
    lesson.lesson.exercise(lesson.check, SOLUTIONS[name[:2]])
    assert capsys.readouterr().out == "\nExercise: solved.\n"
    lesson.lesson.exercise(lesson.check, None)
    assert "Exercise: not yet. it raises" in capsys.readouterr().out


def test_there_are_ten_in_the_form_of_a_notebook():
    assert [name[:2] for name in LESSONS] == [f"{k:02d}" for k in range(1, 11)]
    for name in LESSONS:
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert text.startswith(f"# %% [markdown]\n# # {int(name[:2])}. ")
        assert text.count("# %%\n") >= 4
        assert "**Exercise.**" in text
        assert len(text.splitlines()) <= 120
        cells = re.split(r"^# %%.*$", text, flags=re.MULTILINE)
        assert all(
            not line or line.startswith("#")
            for cell, kind in zip(cells[1:], re.findall(r"^# %%(.*)$", text, re.MULTILINE), strict=True)
            if "markdown" in kind
            for line in cell.splitlines()
        )


def test_the_page_shows_every_lesson_and_its_figure():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\w+)\.py\)", page) == LESSONS
    shown = re.findall(r'src="figures/(\w+)\.png"', page)
    assert shown == LESSONS == sorted(path.stem for path in (FOLDER / "figures").iterdir())
    assert all((FOLDER / "figures" / f"{name}.png").stat().st_size < 100_000 for name in shown)


def test_help_and_foreign_arguments(tmp_path):
    run = lambda *options: subprocess.run(
        [sys.executable, FOLDER / f"{LESSONS[0]}.py", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "--dry-run" in run("--help").stdout
    assert "The figure is in figures/01_" in run("--out", "figures", "-f", "kernel.json").stdout
    assert [path.name for path in (tmp_path / "figures").iterdir()] == [f"{LESSONS[0]}.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with pipes")
def test_it_goes_on_when_nobody_reads_and_where_a_notebook_has_left_its_backend(tmp_path):
    script = f"'{sys.executable}' '{FOLDER / LESSONS[1]}.py' --out figures 2>errors | true; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "MPLBACKEND": "module://of_a_notebook"}
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (ended.stdout, (tmp_path / "errors").read_text()) == ("0\n", "")
    assert (tmp_path / "figures" / f"{LESSONS[1]}.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_in_full(name, tmp_path):
    command = [sys.executable, FOLDER / f"{name}.py", "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / f"{name}.png").stat().st_size > 5000
