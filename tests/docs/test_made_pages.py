"""Lessons and gallery as pages: nothing of them is lost, and a notebook stands alone."""

import json
import re
import subprocess
import sys

import gallery_pages
import lessons
import pytest

ALL = [path.stem for path in lessons.scripts()]


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("name", ALL)
def test_a_notebook_has_every_line_of_its_script(name):
    script = (lessons.FOLDER / f"{name}.py").read_text(encoding="utf-8")
    held = lessons.cells(script)
    code = [line for cell in held if not cell.is_text for line in cell.text.splitlines()]
    assert [line for line in script.splitlines() if line and not line.startswith("#") and line not in code] == []
    made = json.loads(lessons.notebook(held))
    assert made["nbformat"] == 4
    assert [source(c) for c in made["cells"] if c["cell_type"] == "markdown"] == [c.text for c in held if c.is_text]


def test_a_notebook_runs_where_nothing_else_is(tmp_path):
    script = (lessons.FOLDER / "01_a_tape_and_the_chain_rule.py").read_text(encoding="utf-8")
    made = json.loads(lessons.notebook(lessons.cells(script)))
    code = "\n".join(source(c) for c in made["cells"] if c["cell_type"] == "code")
    (tmp_path / "cells.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "cells.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "dy/dw: minigan 15, by hand 15" in done.stdout
    assert (tmp_path / "runs" / "lessons" / "01_a_tape_and_the_chain_rule.png").exists()


def test_every_lesson_is_listed_with_its_figure():
    pages = dict(lessons.pages())
    assert len(ALL) == 10
    for name in ALL:
        assert f"({name}.md)" in pages["lessons/index.md"]
        assert f"figures/{name}.png" in pages[f"lessons/{name}.md"]


def test_the_gallery_has_every_row_command_and_picture():
    text = "\n".join(text for _, text in gallery_pages.pages())
    readme = gallery_pages.SOURCE.read_text(encoding="utf-8")
    assert {name for name in re.findall(r"gallery/[\w.]+png", readme) if name not in text} == set()
    commands = re.findall(r"^\| [^|]+ \| `([^`|]+)` \|", readme, re.MULTILINE)
    assert len(commands) > 80
    assert [command for command in commands if command not in text] == []


def test_links_of_the_gallery_lead_to_pages_of_the_site():
    text = "\n".join(text for _, text in gallery_pages.pages())
    links = [link for link in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not link.endswith(".md")] == []
