"""Tables of papers, computed again: each by one command, with the paper's figures beside ours.

`minigan reproduce NAME` is the command. A new table is a module of this room that ends in `TABLE = Table(...)` and a
line of TABLES in catalogue.py; `table.py` says what a table is, `cell.py` what its function is given.
"""

from .catalogue import TABLES, load
from .cell import Cell
from .results import Result, Results, Summary
from .runner import Plan, run
from .table import Column, Figure, Picture, Protocol, Row, Table, Value
