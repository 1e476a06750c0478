"""The lessons of examples/lessons as pages and as notebooks, made of the scripts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "lessons"
SHARED = "from lesson import Lesson\n"  # what a notebook, which stands alone, has the code of


class Cell(NamedTuple):
    """A piece of a lesson: Markdown, or code."""

    is_text: bool
    text: str


def scripts() -> list[Path]:
    """The files of the lessons, in their order."""
    return sorted(FOLDER.glob("[0-9]*.py"))


def cells(script: str) -> list[Cell]:
    """The cells of a script in the percent format."""
    found = []
    for part in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        kind, _, body = part.partition("\n")
        is_text = "[markdown]" in kind
        text = re.sub(r"^# ?", "", body, flags=re.MULTILINE) if is_text else body
        found.append(Cell(is_text, text.strip("\n")))
    return found


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of the lessons' pages and notebooks."""
    yield "lessons/index.md", _index()
    for path in scripts():
        held = cells(path.read_text(encoding="utf-8"))
        yield f"lessons/{path.stem}.md", _page(path, held)
        yield f"lessons/{path.stem}.ipynb", notebook(held)


def notebook(held: list[Cell]) -> str:
    """The cells as a notebook, behind one that defines what lessons share."""
    made = []
    for cell in held:
        if SHARED in cell.text:
            made.append(_cell(Cell(False, (FOLDER / "lesson.py").read_text(encoding="utf-8").strip())))
            cell = Cell(False, cell.text.replace(SHARED, ""))
        made.append(_cell(cell))
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def _cell(cell: Cell) -> dict[str, Any]:
    lines = cell.text.strip("\n").splitlines(keepends=True)
    if cell.is_text:
        return {"cell_type": "markdown", "metadata": {}, "source": lines}
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": lines}


def _index() -> str:
    """README.md of the lessons with links to their pages."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    text = re.sub(
        r'<img src="figures/([^"]+)" width="\d+" alt="([^"]*)">', r"![\2](../../examples/lessons/figures/\1)", text
    )
    text = re.sub(r"\((\d\d_\w+)\.py\)", r"(\1.md)", text)
    tree = ["```{toctree}", ":hidden:", "", *(path.stem for path in scripts()), "```", ""]
    head, _, rest = text.partition("\n")
    return "\n".join([head, "", *tree, rest])


def _page(path: Path, held: list[Cell]) -> str:
    alt = f"the figure of lesson {int(path.stem[:2])}"
    figure = f"![{alt}](../../examples/lessons/figures/{path.stem}.png)"
    name = path.stem
    downloads = f"[The notebook]({name}.ipynb), [the script](../../examples/lessons/{name}.py)"
    run = f"or `python examples/lessons/{path.name}` in a checkout."
    lines = []
    for cell in held:
        lines += [cell.text if cell.is_text else f"```python\n{cell.text}\n```", ""]
        if "lesson.figure(" in cell.text and not cell.is_text:
            lines += [figure, ""]
    title, _, rest = "\n".join(lines).partition("\n")
    return f"{title}\n\n{downloads}, {run}\n{rest}"
