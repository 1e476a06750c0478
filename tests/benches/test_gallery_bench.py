"""The bench of the gallery: whose rows it means, what it asks for, and what it writes on the page."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import viz

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import gallery  # noqa: E402  found through the line above

PAGE = """# Title

| system | command | source | minutes | Fréchet | number | picture |
|---|---|---|---:|---:|---|---|
| R1 | `python examples/train.py r1 --epochs 1` | a paper | 2* |  | sharp | <img src="gallery/r1.png"> |
| faces | `python examples/train.py faces --data FOLDER` | a paper | 4 | 9 (1) |  | <img src="gallery/faces.png"> |
| a ring | `python examples/modes.py` | a paper | 4 |  |  | <img src="gallery/modes.png"> |
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of three rows in a folder of its own, whose runs are made without training: their commands."""
    asked = []

    def made(folder, command, n):
        asked.append(command)
        (folder / "samples").mkdir(parents=True)
        for step in (1, 20):
            viz.save_png(np.full((4, 4, 3), step, np.uint8), folder / f"samples/step_{step:08}.png")
        return {"steps": 20, "seconds": 130.0, "reader": "digits", "samples": n, "rows": {"frechet": [12.34, 2.019]}}

    (tmp_path / "examples/gallery").mkdir(parents=True)
    (tmp_path / "examples/README.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(gallery, "PAGE", tmp_path / "examples/README.md")
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    monkeypatch.setattr(gallery, "figures", made)
    return asked


def bench(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gallery.py", *map(str, words)])
    gallery.main()


def test_rows_whose_runs_make_images_are_meant(page, tmp_path, monkeypatch, capsys):
    bench(monkeypatch, "--list")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["r1", "faces"]
    with pytest.raises(SystemExit):
        bench(monkeypatch, "modes")
    assert "no run modes; there are r1, faces" in capsys.readouterr().err


def test_figures_and_pictures_go_to_the_page_once(page, tmp_path, monkeypatch):
    words = ["--out", tmp_path / "runs", "--folder", "/pictures", "--n", 50]
    (tmp_path / "runs").mkdir()
    bench(monkeypatch, *words)
    assert (tmp_path / "examples/README.md").read_text(encoding="utf-8") == PAGE
    bench(monkeypatch, "r1", *words, "--write")
    assert len(page) == 2
    assert page[1][1:] == ["faces", "--data", "/pictures"]
    lines = (tmp_path / "examples/README.md").read_text(encoding="utf-8").split("\n")
    assert " | a paper | 2 | 12.3 (2) | sharp | " in lines[4]
    assert " | 9 (1) | " in lines[5]
    assert [f.name for f in (tmp_path / "examples/gallery").iterdir()] == ["r1.png"]
    drawn = viz.read_png(tmp_path / "examples/gallery/r1.png")
    assert drawn.getpixel((0, 0)) == (20, 20, 20)
    assert set(json.loads((tmp_path / "runs/figures.json").read_text())) == {"r1", "faces"}


def test_a_row_whose_command_is_another_now_is_not_written(page):
    held = {"r1": {"command": "train.py r1 --epochs 2", "seconds": 60, "rows": {"frechet": [1, 1]}}}
    assert gallery.written(PAGE, held) == PAGE
