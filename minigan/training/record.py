"""What a run writes down as it goes, and the one place where each of these files is read.

    config.json             the settings, what the data were, versions; sealed
    log.csv                 losses and scores of each step
    health.jsonl            a verdict a line
    timings.json            where the time went
    metrics.json            numbers of its system, measured at the end; and the newest evaluation of its generator
    samples/step_N.png      what the generator drew, PREFIX_step_N.png if it draws several

What is damaged is left out and counted: a report is wanted most of a run that went wrong. `checkpoint` and `export`
read theirs, which are whole or refused; where config.json is damaged, a checkpoint says what it said.
"""

import contextlib
import csv
import json
import math
import operator
import os
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard, TypeVar, get_origin, get_type_hints

import numpy as np

from ..errors import CheckpointError
from ..judge.evaluation import MEASURES, Row
from ..judge.verdict import VERDICTS, Finding, Look
from ..system import disk
from . import checkpoint
from .settings import Settings, flat, title

Series = tuple[np.ndarray, np.ndarray]  # steps, ascending; their values, which may be NaN or infinite
SHOWN = ("d_loss", "g_loss", "d_real", "d_fake")  # what most games log, as `viz.LINES` draws it
COLUMNS = ["step", *SHOWN, "images_per_s"]  # of log.csv, before what a game adds
START = ",".join(COLUMNS)  # of the first line of every log.csv
PLAYERS = {"d_": "discriminator", "g_": "generator"}  # whose a column is
TAIL = 8192  # bytes in which the last row of a log is
LARGEST = 2**53  # of a step: as far as JavaScript counts
EVALUATION = "evaluation"  # the name in metrics.json
PICTURE = re.compile(r"(?:(.+)_)?step_(\d{1,15})\.png")  # of a file of samples: its prefix, if it has one, and step
T = TypeVar("T")


@dataclass
class Evaluation:
    """A table of samples of a run's generator beside its data, and what it was made with."""

    step: int  # of the generator
    reader: str  # who made features of the samples; "" of points
    samples: int
    real: int  # that they were compared with
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    made_with: dict[str, Any] = field(
        default_factory=dict
    )  # all that decides a floor; {} if it is not to be used again

    @property
    def floors(self) -> dict[str, float]:
        """What real samples reach, by the names of the rows."""
        return {row.name: row.floor for row in self.rows if row.floor is not None}

    def as_json(self) -> dict[str, Any]:
        """As metrics.json holds it: rows by name, null for what is not finite or not known."""
        rows = {row.name: {k: v if is_number(v) else None for k, v in row._asdict().items()} for row in self.rows}
        for row in rows.values():
            del row["name"]
        return {**vars(self), "rows": rows}


@dataclass
class Run:
    """The folder of a run. What is missing is empty; what was damaged is left out and named in `problems`."""

    path: Path
    config: dict[str, Any]
    log: dict[str, Series] = field(default_factory=dict)
    health: dict[str, Series] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # by what they were spent on
    sessions: list[dict[str, Any]] = field(
        default_factory=list
    )  # started, ended (ISO 8601), first, last (steps), processes
    pictures: dict[str, dict[int, Path]] = field(default_factory=dict)  # by the file names' prefix, by step
    problems: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting; a script's own stand beside the rest."""
        return flat(self.config["settings"])

    @property
    def title(self) -> str:
        """What the run is called: `Settings.title`, or the folder's name."""
        return title(self.config["settings"]) or self.path.resolve().name

    @property
    def steps(self) -> np.ndarray:
        """Every step of which something is known, ascending."""
        logged = [steps for steps, _ in (*self.log.values(), *self.health.values())]
        seen = [list(pictures) for pictures in self.pictures.values()]
        return np.unique(np.concatenate([[0], *logged, *seen, [look.step for look in self.looks]]).astype(np.int64))


def read(path: Path) -> Run:
    """The run in the folder `path`; CheckpointError naming it if nothing there says of which run it is."""
    problems: list[str] = []
    run = Run(path, read_config(path, problems), problems=problems)
    with _noting("log.csv", problems):
        run.log = series(read_log(path, problems))
    with _noting("health.jsonl", problems):
        run.looks = read_looks(path, problems)
    run.health = series((look.step, look.numbers) for look in run.looks)
    run.metrics, run.evaluation = read_metrics(path, problems)
    run.seconds, run.sessions = read_timings(path, problems)
    run.pictures = read_pictures(path)
    return run


def read_pictures(path: Path, names: str = "*.png") -> dict[str, dict[int, Path]]:
    """The pictures of samples in the folder `path` whose names are of that pattern: by prefix, "" first, by step."""
    found: dict[str, dict[int, Path]] = {}
    for picture in sorted((path / "samples").glob(names)):
        if named := PICTURE.fullmatch(picture.name):
            found.setdefault(named[1] or "", {})[int(named[2])] = picture
    return dict(sorted(found.items()))


def read_config(path: Path, problems: list[str]) -> dict[str, Any]:
    """What config.json of the run in the folder `path` says, or failing that a checkpoint, or what is left of it.

    `settings`, `images` and `versions` by name, a list `blas`, and `total_steps` if it is known. CheckpointError
    naming the folder or the file if none of them says the settings.
    """
    try:
        config = _told(path, problems, lambda config: config)
    except CheckpointError as error:
        try:
            config = disk.parsed(disk.read(path / "config.json").decode("utf-8", "replace"))
        except (OSError, ValueError):
            raise error from None
        if not _has_settings(config):
            raise
        problems.append("config.json is damaged")
    named = {name: held if isinstance(held := config.get(name), dict) else {} for name in ("images", "versions")}
    blas = config.get("blas")
    return {**config, **named, "blas": blas if isinstance(blas, list) else []}


def read_settings(path: Path, problems: list[str]) -> Settings:
    """What the run in the folder `path` was started with, as config.json says, or failing that a checkpoint.

    CheckpointError naming the folder or the file if neither does.
    """
    return _told(path, problems, lambda config: _typed(config["settings"]))


def _told(path: Path, problems: list[str], accept: Callable[[dict[str, Any]], T]) -> T:
    """What `accept` makes of config.json, or of the newest whole checkpoint where that is missing or damaged."""
    file = path / "config.json"
    problem: CheckpointError | None
    try:
        content = disk.read(file)
        config = disk.parsed(content)
        if _has_settings(config) and "sha256" in config and not disk.is_whole(content, config["sha256"]):
            raise CheckpointError(f"{file}: is not as the run wrote it, by its checksum")
        return _accepted(file, accept, config)
    except (FileNotFoundError, NotADirectoryError):
        problem = None
    except CheckpointError as error:
        problem = error
    except (OSError, ValueError) as error:
        problem = CheckpointError(f"{file}: cannot be read ({error})")
    newest = checkpoint.newest(path / "checkpoints", [])
    if newest is None:
        raise problem or CheckpointError(f"{path}: {_why_no_run(path)}")
    told = _accepted(newest[0], accept, newest[2])
    problems.append(f"config.json is missing or damaged; the settings are those of {newest[0].name}")
    return told


def is_run(path: Path) -> bool:
    """Is there a run in the folder `path`, be it that only a checkpoint of it is left?"""
    return any((path / name).exists() for name in ("config.json", "checkpoints"))


def runs_in(path: Path) -> list[str]:
    """The names of those folders in the folder `path` that hold a run, sorted."""
    return sorted(folder.name for folder in path.glob("*") if is_run(folder))


def _why_no_run(path: Path) -> str:
    """What is said of `path` where no run is: that it is not there either, or which folders in it hold one."""
    if not path.exists():
        return "no run, there is no such folder"
    held = runs_in(path)
    named = f"; those that hold one are in it: {', '.join(held[:4])}{', ...' if held[4:] else ''}" if held else ""
    return f"no run is in this folder, it has no config.json{named}"


def _accepted(file: Path, accept: Callable[[dict[str, Any]], T], config: Any) -> T:
    """What `accept` makes of what the file says; CheckpointError if it says no settings, or `accept` refuses them."""
    if not _has_settings(config):
        raise CheckpointError(f"{file}: expected the settings of a run")
    try:
        return accept(config)
    except TypeError as error:
        raise CheckpointError(f"{file.parent}: holds no {file.name} of a training run ({error})") from error


def _has_settings(config: Any) -> bool:
    return isinstance(config, dict) and isinstance(config.get("settings"), dict)


def _typed(settings: dict[str, Any]) -> Settings:
    """Settings of these values; TypeError if one has another type, or there is no such setting."""
    for name, hint in get_type_hints(Settings).items():
        kind = hint if isinstance(hint, UnionType) else get_origin(hint) or hint
        if name in settings and not isinstance(settings[name], kind):
            raise TypeError(f"{name} is {settings[name]!r}")
    return Settings(**settings)


def read_object(path: Path, problems: list[str]) -> dict[str, Any]:
    """What a JSON file holds by name."""
    try:
        held = disk.parsed(disk.read(path).decode("utf-8", "replace"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict):
        problems.append(f"{path.name} is damaged and left out")
        return {}
    return held


def read_metrics(path: Path, problems: list[str]) -> tuple[dict[str, Any], Evaluation | None]:
    """(numbers by name, the evaluation if there was one) in metrics.json in the folder `path`."""
    held = read_object(path / "metrics.json", problems)
    told = held.pop(EVALUATION, None)
    try:
        return held, None if told is None else _evaluation(told)
    except (ValueError, KeyError, TypeError, AttributeError):
        problems.append("metrics.json: its evaluation is damaged and left out")
        return held, None


def _evaluation(held: dict[str, Any]) -> Evaluation:
    """What metrics.json says of one; ValueError, KeyError or TypeError if it makes no sense."""
    rows = {str(name): {k: v if is_number(v) else None for k, v in row.items()} for name, row in held["rows"].items()}
    return Evaluation(
        step=_step(held["step"]),
        reader=str(held["reader"]),
        samples=_step(held["samples"]),
        real=_step(held["real"]),
        rows=[_row(name, rows[name]) for name in MEASURES if name in rows],
        notes=[str(note) for note in held["notes"]],
        made_with=dict(held["made_with"]),
    )


def _row(name: str, held: dict[str, Any]) -> Row:
    value = held["value"]
    return Row(name, math.nan if value is None else value, *(held[end] for end in ("low", "high", "floor")))


def read_timings(path: Path, problems: list[str]) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """(seconds by what they were spent on, the sessions) in timings.json in the folder `path`."""
    held = read_object(path / "timings.json", problems)
    found = held.pop("sessions", [])
    seconds = {str(name): float(spent) for name, spent in held.items() if is_number(spent) and spent >= 0}
    sessions = [_session(session) for session in found if isinstance(session, dict)] if isinstance(found, list) else []
    if seconds != held or sessions != found:
        problems.append("timings.json: what is damaged is left out")
    return seconds, sessions


def _session(held: dict[str, Any]) -> dict[str, Any]:
    times = {name: held[name] for name in ("started", "ended") if isinstance(held.get(name), str)}
    return times | {name: held[name] for name in ("first", "last", "processes") if is_number(held.get(name))}


def is_number(x: Any) -> TypeGuard[float]:
    """True of a finite int or float."""
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) <= sys.float_info.max


def log_columns(path: Path) -> list[str]:
    """The columns of log.csv in the folder `path`: step and what follows, or none if there is no log."""
    return _columns(next(_lines(path / "log.csv"), ""), [])


def _columns(line: str, problems: list[str]) -> list[str]:
    if len(line) > len(START) and sum(map(operator.ne, line, START)) == 1:
        problems.append("log.csv: a letter of its header is damaged")
        line = START + line[len(START) :]
    try:
        header = next(csv.reader([line.strip()]), [])
    except csv.Error:  # a line that is no header at all
        header = [""]
    if header and header[0] != "step":
        problems.append("log.csv does not begin with a column step and is left out")
        return []
    return header


def read_log(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, the cells that are not empty) of each row of log.csv in the folder `path`, in its order.

    A last line that does not end is one that is being written, or was when the run was killed: it is no row yet.
    """
    lines = _lines(path / "log.csv")
    header = _columns(next(lines, ""), problems)
    damaged = 0
    for line in lines if header else ():
        if not line.endswith("\n"):
            break
        cells = line.strip().split(",")  # only numbers: a stray quote must not swallow the rows after it
        try:
            step = _step(int(cells[0]))
            row = {name: float(cell) for name, cell in zip(header[1:], cells[1:], strict=True) if cell}
        except ValueError:
            damaged += 1
            continue
        yield step, row
    _count("log.csv", damaged, problems)


def reached(path: Path) -> tuple[int, int | None]:
    """(the step of the log's last whole row, how many steps there are) of the run in the folder `path`.

    0 and None where that is not known, or not yet: little is read, for it is asked often while a run goes on.
    """
    step, total = 0, None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        total = disk.parsed(disk.read(path / "config.json")).get("total_steps")
    with contextlib.suppress(OSError, ValueError), (path / "log.csv").open("rb") as log:
        log.seek(-min(log.seek(0, os.SEEK_END), TAIL), os.SEEK_END)
        row = log.read().decode("utf-8", "replace").split("\n")[-2:-1]  # what follows the last line's end is no row yet
        step = _step(int(row[0].split(",")[0])) if row else 0
    return step, total if isinstance(total, int) else None


def read_looks(path: Path, problems: list[str]) -> list[Look]:
    """The looks in health.jsonl in the folder `path`, by ascending step; of two at a step the later counts."""
    looks: dict[int, Look] = {}
    damaged = 0
    for line in _lines(path / "health.jsonl"):
        try:
            look = _look(disk.parsed(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            damaged += line.endswith("\n")  # else it is being written
            continue
        looks[look.step] = look
    _count("health.jsonl", damaged, problems)
    return [looks[step] for step in sorted(looks)]


def look_line(look: Look) -> str:
    """A look as a line of health.jsonl."""
    findings = [finding._asdict() for finding in look.findings]
    return json.dumps({**look._asdict(), "numbers": plain(look.numbers), "findings": findings}) + "\n"


def plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers as JSON can hold them: what is not finite is None."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _look(held: dict[str, Any]) -> Look:
    """What a line of health.jsonl says; ValueError, KeyError or TypeError if it makes no sense."""
    if type(held["step"]) is not int or held.get("verdict", "") not in ("", *VERDICTS):
        raise ValueError
    numbers = {str(k): math.nan if v is None else float(v) for k, v in held.get("numbers", {}).items()}
    findings = [_finding(finding) for finding in held.get("findings", [])]
    return Look(_step(held["step"]), numbers, held.get("verdict", ""), findings)


def _finding(held: dict[str, Any]) -> Finding:
    level = held.get("level")
    words = (str(held.get(key) or "") for key in ("title", "explanation"))
    return Finding(level if level in ("watch", "failing") else "info", *words)


def _step(step: int) -> int:
    if not 0 <= step < LARGEST:
        raise ValueError
    return step


def _lines(path: Path) -> Iterator[str]:
    """The lines that are not empty; none if there is no file."""
    if path.exists():
        disk.check_regular(path)
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield from (line for line in lines if line.strip())


@contextlib.contextmanager
def _noting(name: str, problems: list[str]) -> Iterator[None]:
    """Within the block, a file that the system does not let us read is a problem of that file."""
    try:
        yield
    except OSError as error:
        problems.append(f"{name} cannot be read ({error.strerror})")


def _count(name: str, damaged: int, problems: list[str]) -> None:
    if damaged:
        rows = "1 damaged row is" if damaged == 1 else f"{damaged} damaged rows are"
        problems.append(f"{name}: {rows} left out")


def series(rows: Iterable[tuple[int, Mapping[str, float]]]) -> dict[str, Series]:
    """The columns of rows, each without the steps that have no number in it; eight bytes a number as they are read.

    By ascending step; of one that a resumed run wrote again, the later counts.
    """
    columns: dict[str, tuple[array, array]] = {}
    for step, row in rows:
        for name, value in row.items():
            steps, values = columns.setdefault(name, (array("q"), array("d")))
            steps.append(step)
            values.append(value)
    return {name: _ordered(np.array(steps), np.array(values)) for name, (steps, values) in columns.items()}


def _ordered(steps: np.ndarray, values: np.ndarray) -> Series:
    order = np.argsort(steps, kind="stable")
    last = np.append(np.diff(steps[order]) > 0, True)
    return steps[order][last], values[order][last]
