"""Tables of papers, computed again: each by one command, with the paper's figures beside ours.

`minigan reproduce NAME` is the command, `TABLES` what it knows. A new table is a module of this room that ends in
`TABLE = Table(...)` and a line in TABLES; `table.py` says what a table is, `cell.py` what computes one.
"""

from importlib import import_module

from ..errors import ShapeError
from .cell import Cell
from .results import Result, Results, Summary
from .runner import Plan, run, usual_processes
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

TABLES = {
    "dirac": "dirac",
}
"""The module of each table."""


def load(name: str) -> Table:
    """The table of that name; ShapeError if there is none."""
    if name not in TABLES:
        raise ShapeError(f"reproduce: there is no table {name!r}, but {', '.join(TABLES)}")
    table: Table = import_module(f".{TABLES[name]}", __package__).TABLE
    return table
