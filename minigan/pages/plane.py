"""The page of games in the plane: films to watch frame by frame, in one file that loads nothing."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..export.js import Bytes, source
from ..system import templates
from ..system.templates import embedded, filled, text_of
from ..training.report.curves import PLAYERS, thin
from ..training.report.page import source_of as shared
from .film import COUNTED, KEPT, SAMPLES, Film, Frame, Scene

POINTS = 500  # drawn of a curve of losses at most
REAL = 500  # real samples that are shown


def write(path: str | Path, films: Sequence[Film], scene: Scene, title: str) -> Path:
    """Write the page of these films of one scene to `path`; ShapeError if there is none, or one has no two frames."""
    templates.write(Path(path), page(content(films, scene), title))
    return Path(path)


def page(held: dict[str, Any], title: str) -> str:
    """The page as HTML, of its `content`."""
    parts = {
        "title": escape(title),
        "samples": str(SAMPLES),
        "kept": str(KEPT),
        "style": shared("page.css") + text_of(__package__, "plane.css"),
        "script": source("arrays.js") + shared("elements.js") + shared("charts.js") + text_of(__package__, "plane.js"),
        "data": embedded(held),
    }
    return filled(text_of(__package__, "plane.html"), parts)


def content(films: Sequence[Film], scene: Scene) -> dict[str, Any]:
    """All that the page's script needs, as JSON can hold it."""
    if not films or any(len(film.frames) < 2 for film in films):
        raise ShapeError(f"a page shows films of two frames or more, got {[len(film.frames) for film in films]}")
    bytes_ = Bytes("float16")
    arrays = {"real": bytes_.add(scene.real[:REAL].astype(np.float32))}
    for k, film in enumerate(films):
        arrays |= {f"{name} {k}": about for name, about in _arrays(film, bytes_).items()}
    return {
        "reach": scene.reach,
        "counted": COUNTED,
        "films": [_told(film) for film in films],
        "arrays": arrays,
        "bytes": bytes_.text,
    }


def _arrays(film: Film, bytes_: Bytes) -> dict[str, dict[str, Any]]:
    """What is drawn of each frame."""
    values = np.zeros((len(film.frames), KEPT), np.complex64)  # no eigenvalue is drawn at 0
    for row, frame in zip(values, film.frames, strict=True):
        row[: len(frame.eigenvalues)] = frame.eigenvalues
    return {
        "surface": bytes_.add(np.stack([frame.surface for frame in film.frames]), "int8"),
        "samples": bytes_.add(np.stack([frame.samples for frame in film.frames])),
        "pushes": bytes_.add(np.stack([frame.pushes for frame in film.frames]), "float32"),
        "eigenvalues": bytes_.add(np.stack([values.real, values.imag], -1), "float32"),
    }


def _told(film: Film) -> dict[str, Any]:
    """What is said of a film, and its curves."""
    steps = np.arange(1, 1 + max(len(values) for values in film.losses.values()))
    losses = [
        {"name": name, "tone": tone, **thin(steps[: len(values)], values, POINTS)}
        for prefix, (name, tone) in PLAYERS.items()
        if (values := film.losses.get(f"{prefix}loss")) is not None
    ]
    return {
        "title": film.title,
        "about": film.about,
        "parameters": film.parameters,
        "steps": [frame.step for frame in film.frames],
        "modes": [frame.modes for frame in film.frames],
        "charts": {"loss": {"title": "loss", "curves": losses}, **_measured(film.frames)},
    }


def _measured(frames: Sequence[Frame]) -> dict[str, dict[str, Any]]:
    """Curves of what each frame says."""

    def curve(name: str, tone: int, values: list[float]) -> dict[str, Any]:
        return {"name": name, "tone": tone, **thin(steps, np.array(values, np.float64), POINTS)}

    steps = np.array([frame.step for frame in frames])
    most = [float(frame.eigenvalues.real.max()) for frame in frames]
    turns = [float(frame.eigenvalues.imag.max()) for frame in frames]
    found = {
        "eigenvalues": {
            "title": "largest eigenvalues",
            "curves": [curve("drives away", 4, most), curve("turns", 2, turns)],
        }
    }
    if all(frame.good is not None for frame in frames):
        good = [frame.good or 0.0 for frame in frames]
        found["good"] = {"title": "samples at a mode", "curves": [curve("share", 3, good)]}
    return found
