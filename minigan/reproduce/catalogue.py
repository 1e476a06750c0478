"""The tables that there are, by name."""

from importlib import import_module

from ..errors import ShapeError
from .table import Table

TABLES = {
    "dirac": "dirac",
    "ring": "ring",
    "grid": "grid",
    "unrolled": "unrolled",
    "stacked-mnist": "stacked",
    "stacked-r3gan": "stacked_r3gan",
    "semi": "semi",
    "parzen": "parzen",
    "losses": "losses",
    "wasserstein": "wasserstein",
}
"""The module of this room that ends in each table."""


def load(name: str) -> Table:
    """The table of that name; ShapeError if there is none."""
    if name not in TABLES:
        raise ShapeError(f"reproduce: there is no table {name!r}, but {', '.join(TABLES)}")
    table: Table = import_module(f".{TABLES[name]}", __package__).TABLE
    return table
