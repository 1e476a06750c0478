"""The page of a run that may go on: what it is now, and what of it has changed."""

import functools
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from ...system import disk
from .. import record
from . import frames, page

SOURCE = "; connect-src 'self'"
WAIT, LONGEST = 2.0, 10.0  # seconds between two looks at a run that goes on, and at one that does not
SHARE = 20  # of the time that is not spent on it, one part may be
REMEMBERED = 1024  # pictures
WATCHED = ("config.json", "log.csv", "health.jsonl", "timings.json", "metrics.json")
BLOCKS = {"badge": "span", "state": "p"}  # what holds a part of the page, if that is no div


class Part(NamedTuple):
    """A part of the page, and a tag that is another when the part is."""

    tag: str
    content: Any


class Live:
    """The page of the run in the folder `path`, which is read anew when a file of it has changed, by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._encoded = functools.lru_cache(REMEMBERED)(lambda path, changed: frames.encode(path))
        self._seen: Any = None
        self._run: record.Run
        self._parts: dict[str, Part] = {}
        self._spent = 0.0  # seconds that reading took

    def page(self) -> str:
        """The page as HTML, which asks for `changes` by itself. CheckpointError if there is no run."""
        with self._lock:
            run, parts = self._now()
        known = page.embedded({name: part.tag for name, part in parts.items()})
        changing = {name: _held(name, part.content) for name, part in parts.items() if isinstance(part.content, str)}
        changing["state"] += f'<script type="application/json" id="known">{known}</script>'
        drawn = parts["curves"].content | parts["pictures"].content
        return page.assembled(run, drawn, changing, source=SOURCE, script=page.source_of("live.js"))

    def changes(self, known: Mapping[str, str]) -> dict[str, Any]:
        """`changed`: tag and content of each part, by name, whose tag is not the known one; `wait`: seconds until then.

        CheckpointError if the run is gone.
        """
        with self._lock:
            _, parts = self._now()
            wait = max(WAIT if goes_on(self.path) else LONGEST, SHARE * self._spent)
        changed = {name: part._asdict() for name, part in parts.items() if known.get(name) != part.tag}
        return {"changed": changed, "wait": round(wait, 1)}

    def _now(self) -> tuple[record.Run, dict[str, Part]]:
        """(the run, its parts by name) as its files are now."""
        seen = self._files()
        if seen != self._seen:
            begun = time.perf_counter()
            self._run = record.read(self.path)
            drawn = page.drawings(self._run, lambda path: self._encoded(path, path.stat().st_mtime_ns))
            pictures = {name: drawn.pop(name) for name in ("frames", "taken")}
            contents: dict[str, Any] = {"curves": drawn, "pictures": pictures}
            contents |= {name: part(self._run) for name, part in page.CHANGING.items()}
            self._parts = {name: Part(_tag(content), content) for name, content in contents.items()}
            self._seen, self._spent = seen, time.perf_counter() - begun
        told = escape(state(self.path))
        return self._run, {**self._parts, "state": Part(_tag(told), told)}

    def _files(self) -> list[tuple[str, int, int]]:
        """What tells whether anything was written: name, size and time of each file that the page shows."""
        files = [self.path / name for name in WATCHED] + sorted((self.path / "samples").glob("*.png"))
        found = [(file.name, file.stat()) for file in files if file.is_file()]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def goes_on(path: Path) -> bool:
    """Does a process train in the folder now?"""
    return disk.is_held(path / ".lock")


def state(path: Path) -> str:
    """How far the run in the folder is, and whether it goes on, in a sentence."""
    step, total = record.reached(path)
    if goes_on(path):
        return "The run goes on, and this page with it."
    if total is not None and step >= total:
        return f"The run has ended: all of its {total} steps are done."
    return f"The run has stopped at step {step}{f' of {total}' if total else ''}."


def _held(name: str, content: str) -> str:
    block = BLOCKS.get(name, "div")
    return f'<{block} data-part="{name}"{" role=status" if name == "state" else ""}>{content}</{block}>'


def _tag(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
