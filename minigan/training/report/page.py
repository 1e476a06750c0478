"""The page of a run: one file, nothing is loaded, a browser shows it."""

import json
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...system import disk
from ..record import Run, read
from . import curves, frames, tables

SOURCES = {"style": "page.css", "charts": "charts.js", "script": "page.js"}
FILTER = '<input type="search" id="filter" placeholder="filter" aria-label="filter the settings">'


def write(run: str | Path | Run, path: str | Path | None = None) -> Path:
    """The path of the page written of the run in the folder `run`, or as it was read: `path`, or RUN/report.html.

    What the run has not (yet) is left out, damaged rows and pictures are skipped and counted on the page. A folder
    without a run, or one that cannot be written to, is a CheckpointError that names it.
    """
    held = run if isinstance(run, Run) else read(Path(run))
    path = held.path / "report.html" if path is None else Path(path)
    # a lone surrogate, which JSON can hold, is not UTF-8
    disk.write(path, page(held).encode("utf-8", "replace"))
    return path


def page(run: Run) -> str:
    """The page as HTML."""
    packed, damaged = frames.pack(run.pictures)
    if damaged:
        run.problems.append(f"{damaged} of the pictures cannot be read")
    content = {
        "first": int(run.steps[0]),
        "last": int(run.steps[-1]),
        "charts": curves.charts(run),
        "looks": [
            {"step": look.step, "verdict": look.verdict, "titles": [finding.title for finding in look.findings]}
            for look in run.looks
        ],
        "frames": packed,
        "taken": {name: len(paths) for name, paths in run.pictures.items()},
    }
    template, parts = _source("page.html"), {name: _source(file) for name, file in SOURCES.items()}
    parts |= {
        "title": escape(run.title),
        "folder": escape(str(run.path)),
        "badge": tables.badge(run),
        "findings": tables.findings(run),
        "facts": tables.facts(run),
        "problems": tables.problems(run),
        "evaluation": tables.card("How good the samples are", tables.evaluation(run), "evaluated"),
        "metrics": tables.card("Numbers", tables.metrics(run)),
        "timings": tables.card("Where the time went", tables.timings(run)),
        "settings": tables.card("Settings", tables.settings(run), "settings", FILTER),
        "versions": tables.card("Versions", tables.versions(run)),
        "data": _embedded(content),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _embedded(content: dict[str, Any]) -> str:
    """JSON that no text in it can end."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
