"""What a run's folder holds, as far as it can be read: a report is wanted most of a run that went wrong."""

import csv
import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError

Series = tuple[np.ndarray, np.ndarray]  # steps, ascending; their values, which may be NaN or infinite
LARGEST = 2**53  # of a step: as far as JavaScript counts
VERDICTS = ("early", "healthy", "watch", "failing")
PICTURE = re.compile(r"(?:(.+)_)?step_(\d{1,15})\.png")


@dataclass
class Look:
    """One line of health.jsonl: what was found at a step."""

    step: int
    verdict: str
    findings: list[dict[str, str]]  # level, title, explanation


@dataclass
class Run:
    """The folder of a run. What is missing is empty; what was damaged is left out and named in `problems`."""

    path: Path
    config: dict[str, Any]
    log: dict[str, Series] = field(default_factory=dict)
    health: dict[str, Series] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, dict[int, Path]] = field(default_factory=dict)  # by the file names' prefix, by step
    problems: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting; a script's own stand beside the rest."""
        named = dict(self.config["settings"])
        extra = named.pop("extra", None)
        return {**named, **extra} if isinstance(extra, dict) else named

    @property
    def title(self) -> str:
        """What the run is called, as in `runs.Settings.title`."""
        named = self.settings
        return str(named.get("preset") or named.get("name") or self.path.resolve().name)

    @property
    def steps(self) -> np.ndarray:
        """Every step of which something is known, ascending."""
        logged = [steps for steps, _ in (*self.log.values(), *self.health.values())]
        seen = [list(pictures) for pictures in self.pictures.values()]
        return np.unique(np.concatenate([[0], *logged, *seen, [look.step for look in self.looks]]).astype(np.int64))


def read(path: Path) -> Run:
    """The run in the folder `path`; CheckpointError naming it if its config.json is missing or not a run's."""
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no run is in this folder, it has no config.json") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("settings"), dict):
        raise CheckpointError(f"{file}: expected the settings of a run")
    run = Run(path, config)
    _read_log(run)
    _read_health(run)
    run.metrics = _read_object(run, "metrics.json")
    run.timings = _read_object(run, "timings.json")
    for picture in sorted((path / "samples").glob("*.png")):
        if named := PICTURE.fullmatch(picture.name):
            run.pictures.setdefault(named[1] or "", {})[int(named[2])] = picture
    run.pictures = dict(sorted(run.pictures.items()))  # those without a prefix first
    return run


class _Column:
    """Numbers by step as they are read, eight bytes each: a log may have a million rows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = array("q")
        self.values = array("d")

    def add(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value)

    def series(self) -> Series:
        """By ascending step; of one that a resumed run wrote again, the later counts."""
        steps, values = np.array(self.steps), np.array(self.values)
        order = np.argsort(steps, kind="stable")
        last = np.append(np.diff(steps[order]) > 0, True)
        return steps[order][last], values[order][last]


def _read_object(run: Run, name: str) -> dict[str, Any]:
    try:
        held = json.loads((run.path / name).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        run.problems.append(f"{name} is damaged and left out")
        return {}
    return held


def _lines(run: Run, name: str) -> Iterator[str]:
    try:
        with (run.path / name).open(encoding="utf-8", errors="replace") as lines:
            yield from (line for line in lines if line.strip())
    except FileNotFoundError:
        return
    except OSError as error:
        run.problems.append(f"{name} cannot be read ({error.strerror})")


def _count(run: Run, name: str, damaged: int) -> None:
    if damaged:
        rows = "1 damaged row is" if damaged == 1 else f"{damaged} damaged rows are"
        run.problems.append(f"{name}: {rows} left out")


def _read_log(run: Run) -> None:
    lines = _lines(run, "log.csv")
    header = next(csv.reader([next(lines, "").strip()]), [])
    if header and header[0] != "step":
        run.problems.append("log.csv does not begin with a column step and is left out")
        return
    columns = [_Column(name) for name in header[1:]]
    damaged = 0
    for line in lines:
        cells = line.strip().split(",")  # only numbers: a stray quote must not swallow the rows after it
        try:
            step, numbers = int(cells[0]), [float(cell) if cell else None for cell in cells[1:]]
            if not 0 <= step < LARGEST or len(cells) != len(header):
                raise ValueError
        except ValueError:
            damaged += 1
            continue
        for column, number in zip(columns, numbers, strict=True):
            if number is not None:
                column.add(step, number)
    _count(run, "log.csv", damaged)
    run.log = {column.name: column.series() for column in columns if column.steps}


def _read_health(run: Run) -> None:
    columns: dict[str, _Column] = {}
    looks: dict[int, Look] = {}
    damaged = 0
    for line in _lines(run, "health.jsonl"):
        try:
            held = json.loads(line)
            step, numbers = held["step"], held.get("numbers", {})
            look = Look(step, held.get("verdict", ""), [_finding(f) for f in held.get("findings", [])])
            if type(step) is not int or not 0 <= step < LARGEST or look.verdict not in ("", *VERDICTS):
                raise ValueError
            measured = {str(k): float("nan" if v is None else v) for k, v in numbers.items()}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            damaged += 1
            continue
        looks[step] = look  # of a step that was taken twice, the later counts
        for name, number in measured.items():
            columns.setdefault(name, _Column(name)).add(step, number)
    _count(run, "health.jsonl", damaged)
    run.looks = [looks[step] for step in sorted(looks)]
    run.health = {name: column.series() for name, column in columns.items()}


def _finding(held: dict[str, Any]) -> dict[str, str]:
    level = held.get("level")
    words = {key: str(held.get(key) or "") for key in ("title", "explanation")}
    return {"level": level if level in ("watch", "failing") else "info", **words}
