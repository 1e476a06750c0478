"""The page of a run: one file, nothing is loaded, a browser shows it."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from ...system import templates
from ...system.templates import embedded, filled, text_of
from ..record import Run, read
from . import curves, frames, tables

SOURCES = {"style": "page.css", "elements": "elements.js", "charts": "charts.js", "script": "page.js"}
CHANGING: dict[str, Callable[[Run], str]] = {  # parts of the page that change while a run goes on
    "badge": tables.badge,
    "findings": tables.findings,
    "facts": tables.facts,
    "problems": tables.problems,
    "evaluation": lambda run: tables.card("How good the samples are", tables.evaluation(run), "evaluated"),
    "metrics": lambda run: tables.card("Numbers", tables.metrics(run)),
    "timings": lambda run: tables.card("Where the time went", tables.timings(run)),
}
Encode = Callable[[Path], bytes | None]
FILTER = '<input type="search" id="filter" placeholder="filter" aria-label="filter the settings">'


def write(run: str | Path | Run, path: str | Path | None = None) -> Path:
    """The path of the page written of the run in the folder `run`, or as it was read: `path`, or RUN/report.html.

    What the run has not (yet) is left out, damaged rows and pictures are skipped and counted on the page. A folder
    without a run, or one that cannot be written to, is a CheckpointError that names it.
    """
    held = run if isinstance(run, Run) else read(Path(run))
    path = held.path / "report.html" if path is None else Path(path)
    templates.write(path, page(held))
    return path


def page(run: Run) -> str:
    """The page as HTML."""
    drawn = drawings(run)
    return assembled(run, drawn, {name: part(run) for name, part in CHANGING.items()})


def drawings(run: Run, encoded_by: Encode | None = None) -> dict[str, Any]:
    """What the page's script draws: curves, looks, and pictures, of which those that are damaged become a problem."""
    packed, damaged = frames.pack(run.pictures, encoded_by)
    if damaged:
        run.problems.append(f"{damaged} of the pictures cannot be read")
    return {
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


def assembled(
    run: Run, drawn: dict[str, Any], changing: Mapping[str, str], *, source: str = "", script: str = ""
) -> str:
    """The page as HTML, of `drawings` and of the parts that CHANGING names.

    It may fetch from `source`, in the words of a content security policy, and runs a further script.
    """
    parts = {name: source_of(file) for name, file in SOURCES.items()}
    parts |= {
        "title": escape(run.title),
        "folder": escape(str(run.path)),
        "settings": tables.card("Settings", tables.settings(run), "settings", FILTER),
        "versions": tables.card("Versions", tables.versions(run)),
        "data": embedded(drawn),
        "source": source,
        "state": "",
        **changing,
    }
    parts["script"] += script
    return filled(source_of("page.html"), parts)


def source_of(name: str) -> str:
    """A file of this package, as text."""
    return text_of(__package__, name)
