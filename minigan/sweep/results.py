"""What came out of the runs of a sweep: a row for each, the best first, as a table, CSV and JSON."""

import contextlib
import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CheckpointError
from ..system import disk
from ..training import record
from ..training.record import Run, is_number
from ..training.report.tables import duration, wall_clock
from .runs import DONE, FAILED_SO, Unit, standing

CSV, PAGE = "sweep.csv", "sweep.html"
COLUMNS = ("status", "step", "took_minutes", "verdict", "distance", "frechet", "evaluated", "folder", "error")


class Ruler(NamedTuple):
    """How far samples are from the data: a column, what it is called, and what it is."""

    name: str
    title: str
    about: str


RULERS = (
    Ruler("evaluated", "evaluated", "the Fréchet distance that `minigan evaluate` measured"),
    Ruler("frechet", "Fréchet", "the Fréchet distance of the last look, as --evaluate-every measures it"),
    Ruler("distance", "distance", "the distance of samples to the data at the last look, as each run measures it"),
)
"""From the one that is believed most; runs are ordered by the first that has measured all that are done."""
NUMBERS = {"step", "time", *(ruler.title for ruler in RULERS)}  # columns of the table to be read from the right


@dataclass
class Row:
    """A run: how it stands, and what is known of it. A distance that nothing tells is NaN."""

    unit: Unit
    status: str
    why: str = ""
    run: Run | None = None
    step: int = 0
    seconds: float = 0.0
    verdict: str = ""
    distances: Mapping[str, float] = field(default_factory=dict)

    def distance(self, ruler: Ruler | None) -> float:
        """By that ruler, NaN if it is not known."""
        return math.nan if ruler is None else self.distances.get(ruler.name, math.nan)

    def plain(self) -> dict[str, Any]:
        """Everything but the values, as JSON and CSV have it: None for what is not known."""
        far = (self.distance(ruler) for ruler in RULERS[::-1])
        return dict(
            zip(
                COLUMNS,
                (
                    self.status,
                    self.step,
                    round(self.seconds / 60, 3),
                    self.verdict or None,
                    *(value if is_number(value) else None for value in far),
                    self.unit.folder.name,
                    self.why or None,
                ),
                strict=True,
            )
        )


class Results:
    """The rows of a sweep, the best first if their data are the same and a ruler has measured those that are done."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.names = list(rows[0].unit.values)
        self.comparable = len({_data(row.run) for row in rows if row.run is not None}) < 2
        self.ruler = _ruler(rows) if self.comparable else None
        self.rows = sorted(rows, key=self._rank) if self.ruler is not None else list(rows)

    def _rank(self, row: Row) -> tuple[bool, float]:
        far = row.distance(self.ruler)
        return row.status == FAILED_SO, math.inf if math.isnan(far) else far

    def of(self, *statuses: str) -> list[Row]:
        """The rows that stand so."""
        return [row for row in self.rows if row.status in statuses]

    def over_seeds(self) -> list[tuple[dict[str, str], list[float]]]:
        """(values, the distances of the runs that are done) for each choice of all but the seed, the best mean first.

        Nothing if that is no summary: without several seeds, or with nothing else that is varied.
        """
        held: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for row in self.of(*DONE):
            others = tuple((name, value) for name, value in row.unit.values.items() if name != "seed")
            if not math.isnan(far := row.distance(self.ruler)):
                held.setdefault(others, []).append(far)
        seeds = {row.unit.values.get("seed") for row in self.rows}
        if len(seeds) < 2 or len(self.names) < 2:
            return []
        return sorted(((dict(others), far) for others, far in held.items()), key=lambda one: statistics.fmean(one[1]))


def read(units: Sequence[Unit], failed: Mapping[str, str]) -> Results:
    """What the folders of the units say, and which of them have just `failed`, and why."""
    return Results([row(unit, failed) for unit in units])


def row(unit: Unit, failed: Mapping[str, str]) -> Row:
    """What the folder of a run says, unless it has just failed, by name."""
    status, why, run = FAILED_SO, failed.get(unit.name, ""), None
    if unit.name not in failed:
        status = standing(unit)
    if unit.begun:
        with contextlib.suppress(CheckpointError):  # nothing there can be read
            run = record.read(unit.folder)
    found = Row(unit, status, why, run)
    if run is not None:
        found.step = int(run.steps[-1])
        found.seconds = wall_clock(run)
        found.verdict = next((look.verdict for look in reversed(run.looks) if look.verdict), "")
        found.distances = _distances(run)
    return found


def _distances(run: Run) -> dict[str, float]:
    """By the names of RULERS: those that are known and finite."""
    found = {"distance": run.looks[-1].numbers.get("distance", math.nan)} if run.looks else {}
    if "frechet" in run.health:  # which is not measured at each look
        found["frechet"] = float(run.health["frechet"][1][-1])
    if run.evaluation is not None:
        found["evaluated"] = next((row.value for row in run.evaluation.rows if row.name == "frechet"), math.nan)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _data(run: Run | None) -> Any:
    """What tells the data of a run from others."""
    return None if run is None else run.config["images"].get("sha256")


def _ruler(rows: Sequence[Row]) -> Ruler | None:
    """The first one that all rows have that are done, or failing those all that are measured; None if none has."""
    known = [row for row in rows if row.distances]
    asked = [row for row in known if row.status in DONE] or known
    return next((ruler for ruler in RULERS if asked and all(ruler.name in row.distances for row in asked)), None)


# --- written ----------------------------------------------------------------------------------------------------


def write_csv(results: Results, folder: Path) -> None:
    """sweep.csv: a row for each run, in the order of the table; empty where nothing is known."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*results.names, *COLUMNS])
    for row in results.rows:
        rows.writerow([*row.unit.values.values(), *("" if v is None else v for v in row.plain().values())])
    disk.write(folder / CSV, out.getvalue().encode("utf-8", "surrogateescape"))


def as_json(results: Results, folder: Path) -> str:
    """The same for a program."""
    runs = [{"values": dict(row.unit.values), **row.plain()} for row in results.rows]
    by = None if results.ruler is None else results.ruler.name
    return json.dumps({"out": str(folder), "page": str(folder / PAGE), "best_by": by, "runs": runs}, indent=2)


def table(results: Results) -> tuple[list[str], list[list[str]]]:
    """(heads, rows) of the table as words: values, how far the samples are, how each run stands."""
    rulers = [ruler for ruler in RULERS if any(ruler.name in row.distances for row in results.rows)]
    heads = [*results.names, *(ruler.title for ruler in rulers), "verdict", "step", "time", "status"]
    return heads, [_words(row, rulers) for row in results.rows]


def _words(row: Row, rulers: Sequence[Ruler]) -> list[str]:
    total = row.run.config.get("total_steps") if row.run is not None else None
    step = f"{row.step} of {total}" if is_number(total) and row.status not in DONE else str(row.step)
    time = duration(row.seconds) if row.seconds else ""
    far = (told(row.distance(ruler)) for ruler in rulers)
    return [*row.unit.values.values(), *far, row.verdict, step if row.run else "", time, row.status]


def told(far: float) -> str:
    """A distance in three digits, zeros included, so that a column can be read down; "" for NaN."""
    if math.isnan(far):
        return ""
    return f"{far:#.3g}".rstrip(".") if far < 1000 else f"{far:.0f}"


def lines(results: Results) -> str:
    """The table for a terminal."""
    heads, rows = table(results)
    columns = list(zip(heads, *rows, strict=True))
    for k, (head, column) in enumerate(zip(heads, columns, strict=True)):
        width = max(map(len, column))
        put = str.rjust if head in NUMBERS else str.ljust
        columns[k] = tuple(put(cell, width) for cell in column)
    said = ["  ".join(cells) for cells in zip(*columns, strict=True)]
    return "\n".join(line.rstrip() for line in [said[0], "-" * len(said[0]), *said[1:]])
