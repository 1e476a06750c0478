"""What came out of cells: each one's numbers, and their mean and standard error over seeds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from .table import Column, Figure, Protocol, Row, Table, Value


@dataclass
class Result:
    """What came out of a cell."""

    row: str
    seed: int
    numbers: dict[str, Value]
    seconds: float
    failed: str = ""  # why there are no numbers
    threads: int = 1
    device: str = "cpu"
    folder: Path | None = field(default=None, compare=False)  # where its arrays are

    def plain(self) -> dict[str, Any]:
        """As JSON has it: a number that is not finite is a word."""
        numbers = {k: v if isinstance(v, str) or math.isfinite(v) else str(v) for k, v in self.numbers.items()}
        return {k: v for k, v in asdict(self).items() if k != "folder"} | {"numbers": numbers}

    @classmethod
    def of_plain(cls, held: Mapping[str, Any]) -> "Result":
        """What `plain` made; KeyError for what is missing."""
        result = cls(**{f.name: held[f.name] for f in fields(cls) if f.name != "folder"})
        result.numbers = {k: float(v) if v in ("inf", "-inf", "nan") else v for k, v in result.numbers.items()}
        return result

    def kept(self, name: str) -> dict[str, np.ndarray]:
        """The arrays that the cell kept under that name; empty if it kept none."""
        return {} if self.folder is None else kept(self.folder, name)


def kept(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays by name of NAME.npz in a cell's folder; empty if it is not there."""
    path = folder / f"{name}.npz"
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as held:
        return dict(held)


class Summary(NamedTuple):
    """A measure of a row over its seeds: the mean, its standard error, of how many.

    There is no error of one seed, of words, or where a number is not finite.
    """

    value: Value
    error: float | None
    n: int


class Results:
    """What there is of a table: of `rows` and `seeds`, which are asked for, and whatever else was computed before."""

    def __init__(
        self, table: Table, protocol: Protocol, rows: Sequence[Row], seeds: int, found: Sequence[Result]
    ) -> None:
        self.table = table
        self.protocol = protocol
        self.found = {(result.row, result.seed): result for result in found}
        self.missing = [(row, seed) for seed in range(seeds) for row in rows if (row.name, seed) not in self.found]
        shown = {row.name for row in rows} | {result.row for result in found}
        self.rows = [row for row in table.rows if row.name in shown]
        self.seeds = max([seeds, *(result.seed + 1 for result in found)])

    def of(self, row: Row | str) -> list[Result]:
        """The results of a row in the order of seeds; failed ones are left out."""
        name = row if isinstance(row, str) else row.name
        return [result for (of, _), result in sorted(self.found.items()) if of == name and not result.failed]

    @property
    def failed(self) -> list[Result]:
        """The results of cells whose training failed."""
        return [result for result in self.found.values() if result.failed]

    @property
    def unfinished(self) -> str:
        """The missing cells in words: each row with its seeds; nothing if none is missing."""
        seeds: dict[str, list[str]] = {}
        for row, seed in self.missing:
            seeds.setdefault(row.name, []).append(str(seed))
        return "; ".join(f"{name} ({', '.join(of)})" for name, of in seeds.items())

    def seconds(self, row: Row) -> float | None:
        """The time of one cell of the row, the mean over seeds; None if none is finished."""
        spent = [result.seconds for result in self.of(row)]
        return sum(spent) / len(spent) if spent else None

    def summary(self, row: Row, column: Column) -> Summary | None:
        """The row's mean in that column; None if no cell has it. Of words, each with its number if they differ."""
        values = [r.numbers[column.name] for r in self.of(row) if column.name in r.numbers]
        if not values:
            return None
        words = [v for v in values if isinstance(v, str)]
        if len(words) == len(values):
            counts = Counter(words).most_common()
            told = counts[0][0] if len(counts) == 1 else ", ".join(f"{word} ({n})" for word, n in counts)
            return Summary(told, None, len(values))
        if words:
            raise ShapeError(f"{self.table.name}: {column.name} of {row.name} is {words[0]!r} and a number")
        numbers = np.array(values, np.float64)
        several = len(numbers) > 1 and bool(np.isfinite(numbers).all())
        error = float(numbers.std(ddof=1) / math.sqrt(len(numbers))) if several else None
        return Summary(float(numbers.mean()), error, len(numbers))


def written(value: Summary | Figure | None, column: Column) -> str:
    """A number with its error as a person writes it, words as they are, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value.value, str):
        return value.value
    told = format(value.value, column.form)
    return told if value.error is None else f"{told} ± {format(value.error, column.form)}"
