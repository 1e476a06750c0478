"""What a table of a paper is: rows to compare, columns to measure, the paper's figures, and how a cell is computed.

A table is a module of this room that ends in `TABLE = Table(...)`, and a row of TABLES in `minigan/reproduce`. A cell
is one row and one seed: `Table.cell` computes its numbers, by column name. Everything else (several processes, going on
after a stop, means over seeds, the page) is done for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ShapeError

Value = float | str  # a column is of numbers, or of words
Settings = Mapping[str, Any]  # of plain values, as JSON has them: they decide a cell's numbers


class Figure(NamedTuple):
    """What a paper says of a row in a column."""

    value: Value
    error: float | None = None  # standard error, where the paper has one
    sure: str = (
        "read"  # in the paper, or "remembered", "derived" (a closed form), "elsewhere" (another paper, in notes)
    )


class Column(NamedTuple):
    """A measure: its name among a cell's numbers, what it is called, and how a number of it is written."""

    name: str
    title: str
    form: str = ".2f"  # a format of Python's, for numbers
    better: str = ""  # "high" or "low", if one of them is
    measured: bool = True  # or is it the paper's alone, as context?


@dataclass(frozen=True)
class Row:
    """A method, or a setting, that is compared with others. What it sets comes on top of the protocol's settings."""

    name: str
    settings: Settings = field(default_factory=dict)
    published: Mapping[str, Figure] = field(default_factory=dict)  # by column name
    about: str = ""
    usual: bool = True  # is it computed where --methods does not say which?


@dataclass(frozen=True)
class Protocol:
    """How each cell is computed: settings, over how many seeds, and in words how that differs from the paper."""

    settings: Settings
    seeds: int = 3
    deviations: Sequence[str] = ()
    takes: str = ""  # about how long, on what


class Picture(NamedTuple):
    """A picture that a table drew: a PNG, and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Table:
    """A table, or a figure, of a paper. `short` is what a machine without a GPU does in minutes, `full` the paper's.

    `trial` are settings on top of the short protocol's that make every cell one of a second or less: the same code, to
    see that all is well. `pictures(results, folder)` draws what is to be seen into the folder.
    """

    name: str
    title: str
    source: str  # paper, where in it, arXiv number
    about: str  # what is compared, and what there is to learn from it
    columns: Sequence[Column]
    rows: Sequence[Row]
    short: Protocol
    full: Protocol | None  # None: there is the short one alone, which may be the paper's
    trial: Settings
    cell: Callable[[Any], Mapping[str, Value]]  # of a `Cell`
    pictures: Callable[[Any, Path], list[Picture]] | None = None  # of `Results`
    notes: Sequence[str] = ()  # what else there is to know of the figures, a paragraph each

    def row(self, name: str) -> Row:
        """The row of that name; ShapeError if there is none."""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            raise ShapeError(f"{self.name}: there is no method {name!r}, but {', '.join(r.name for r in self.rows)}")
        return found

    def chosen(self, names: Sequence[str] = ()) -> list[Row]:
        """The rows of these names in the table's order; "all" is every one, none the usual ones."""
        if not names:
            return [row for row in self.rows if row.usual]
        wanted = {row.name for row in self.rows} if "all" in names else {self.row(name).name for name in names}
        return [row for row in self.rows if row.name in wanted]
