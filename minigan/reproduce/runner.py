"""Cells computed one after another or in several processes, until all are done, time is up or a signal stops them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..kernels.threads import limited
from ..system.signals import stopped_by_signals
from ..system.terminal import BY_SHARE, progress
from ..system.workers import Asked, Done, Processes, Workers, spread
from .catalogue import load
from .cell import Cell, Stopped
from .results import Result, Results
from .table import Protocol, Row, Settings, Table


@dataclass(frozen=True)
class Plan:
    """What is to be computed of a table, and how: by so many processes of so many threads each.

    A cell's numbers depend on its settings, its seed, the device and, by rounding, on `threads`; never on `processes`.
    """

    table: Table
    protocol: Protocol
    rows: Sequence[Row]
    seeds: int
    folder: Path
    minutes: float | None = None
    processes: int = 1
    threads: int = 1
    device: str = "cpu"

    def cells(self) -> list[Cell]:
        """Every cell, the first seed of each row before any second one."""
        return [self.cell(row, seed) for seed in range(self.seeds) for row in self.rows]

    def cell(self, row: Row, seed: int, **calls: Any) -> Cell:
        """One of them; `calls` are what it asks and tells."""
        where = self.folder / "cells" / f"{_named(row)}-{seed}"
        settings = self.protocol.settings
        return Cell(self.table, row, seed, where, settings, device=self.device, threads=self.threads, **calls)


def _named(row: Row) -> str:
    """A row's name as one of a folder."""
    return row.name.replace(" ", "_").replace("/", "-")


def run(
    plan: Plan, finished: Callable[[Result], None] = lambda result: None, workers: Workers | None = None
) -> tuple[Results, bool]:
    """(what is there when all cells are done or time is up, was it a signal that ended it?).

    Cells that were finished before are read, asked for or not; those that were begun are gone on with. `finished` is
    told of each that is done. An error in a cell stops the others, which are saved, and is raised. `workers` compute
    them, by default so many processes of this machine as the plan says, or this one.
    """
    found, left = _others(plan), []
    for cell in plan.cells():
        result = cell.finished()
        if result is None:
            left.append(cell)
        else:
            found.append(result)

    deadline = None if plan.minutes is None else time.monotonic() + 60 * plan.minutes
    with stopped_by_signals() as signals, progress(total=len(left) or 1, bar_format=BY_SHARE) as bar:

        def stopped() -> bool:
            return bool(signals) or (deadline is not None and time.monotonic() > deadline)

        def collect(cell: Cell, result: Result) -> None:
            result.folder = cell.folder
            found.append(result)
            bar.clear()  # what is said of it begins a line
            finished(result)
            bar.refresh()

        ended = False
        if workers is None and (plan.processes == 1 or len(left) < 2):
            _here(plan, left, stopped, collect, bar)
        else:
            workers = workers or Processes(plan.processes, len(left))
            ended = _elsewhere(plan, left, workers, stopped, collect, bar)
    return Results(plan.table, plan.protocol, plan.rows, plan.seeds, found), ended or bool(signals)


def _others(plan: Plan) -> list[Result]:
    """What is in the folder of cells that are not asked for: of other rows, of more seeds."""
    rows = {_named(row): row for row in plan.table.rows}
    asked = {cell.folder for cell in plan.cells()}
    found = []
    for folder in sorted((plan.folder / "cells").glob("*")):
        name, _, seed = folder.name.rpartition("-")
        if name in rows and seed.isdecimal() and folder not in asked:
            result = plan.cell(rows[name], int(seed)).finished()
            if result is not None:
                found.append(result)
    return found


def _here(plan: Plan, left: Sequence[Cell], stopped: Asked, collect: Callable[[Cell, Result], None], bar: Any) -> None:
    """The cells one after the other in this process."""
    with limited(plan.threads):
        for k, cell in enumerate(left):

            def told(share: float, before: int = k) -> None:
                bar.update(before + share - bar.n)

            bar.set_postfix_str(_called(cell))
            cell = plan.cell(cell.row, cell.seed, stopped=stopped, done=told)
            if stopped():
                return
            try:
                collect(cell, cell.result())
            except Stopped:
                return


def _called(cell: Cell) -> str:
    return f"{cell.row.name}, seed {cell.seed}"


# --- several processes ------------------------------------------------------------------------------------------

Job = tuple[str, Settings, Path, int, str, str, int]  # what a process is told of a cell, which finds the table by name


def _elsewhere(
    plan: Plan,
    left: Sequence[Cell],
    workers: Workers,
    stopped: Asked,
    collect: Callable[[Cell, Result], None],
    bar: Any,
) -> bool:
    """The cells in processes of their own; True if one of them got a signal, and all stopped."""

    def lost(k: int, error: BrokenProcessPool) -> Result:
        raise CheckpointError(
            f"{left[k].folder}: the process that computed it ended without a word (out of memory?); "
            "what was finished is there, and the same command goes on"
        ) from error

    about = (plan.table.name, plan.protocol.settings, plan.folder, plan.threads, plan.device)
    jobs = [(*about, cell.row.name, cell.seed) for cell in left]
    return spread(
        workers,
        _compute,
        jobs,
        collect=lambda k, result: collect(left[k], result),
        lost=lost,
        stopped=stopped,
        look=lambda done: bar.update(done - bar.n),
    )


def _compute(job: Job, stopped: Asked, done: Done) -> Result | None:
    """What a process does of it: a cell's result, None if it was told to stop."""
    name, settings, folder, threads, device, row, seed = job
    table = load(name)
    plan = Plan(table, Protocol(settings), [], 0, folder, threads=threads, device=device)
    with limited(threads):
        try:
            return plan.cell(table.row(row), seed, stopped=stopped, done=done).result()
        except Stopped:
            return None
