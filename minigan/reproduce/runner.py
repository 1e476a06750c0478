"""Cells computed one after another or in several processes, until all are done, time is up or a signal stops them."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..kernels.threads import cores, set_num_threads
from ..system.signals import STOPPING, kept_from_children, stopped_by_signals
from ..system.terminal import progress
from .catalogue import load
from .cell import Cell, Stopped
from .results import Result, Results
from .table import Protocol, Row, Settings, Table

BAR = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
WATCH = 0.3  # seconds between looks at other processes


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


def usual_processes(threads: int, device: str) -> int:
    """How many processes of so many threads keep this machine's cores at work; a GPU is one process's."""
    return 1 if device == "cuda" else max(cores() // threads, 1)


def run(plan: Plan, finished: Callable[[Result], None] = lambda result: None) -> tuple[Results, bool]:
    """(what is there when all cells are done or time is up, was it a signal that ended it?).

    Cells that were finished before are read, asked for or not; those that were begun are gone on with. `finished` is
    told of each that is done. An error in a cell stops the others, which are saved, and is raised.
    """
    found, left = _others(plan), []
    for cell in plan.cells():
        result = cell.finished()
        if result is None:
            left.append(cell)
        else:
            found.append(result)

    deadline = None if plan.minutes is None else time.monotonic() + 60 * plan.minutes
    with stopped_by_signals() as signals, progress(total=len(left) or 1, bar_format=BAR) as bar:

        def stopped() -> bool:
            return bool(signals) or (deadline is not None and time.monotonic() > deadline)

        def collect(cell: Cell, result: Result) -> None:
            result.folder = cell.folder
            found.append(result)
            bar.clear()  # what is said of it begins a line
            finished(result)
            bar.refresh()

        if plan.processes == 1 or len(left) < 2:
            _here(plan, left, stopped, collect, bar)
        else:
            _elsewhere(plan, left, stopped, collect, bar)
    return Results(plan.table, plan.protocol, plan.rows, plan.seeds, found), bool(signals)


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


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Within the block n threads compute, in kernels and in the BLAS."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(n):
        set_num_threads(n)
        try:
            yield
        finally:
            set_num_threads(None)


def _here(
    plan: Plan, left: Sequence[Cell], stopped: Callable[[], bool], collect: Callable[[Cell, Result], None], bar: Any
) -> None:
    """The cells one after the other in this process."""
    with _threads(plan.threads):
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


def _elsewhere(
    plan: Plan, left: Sequence[Cell], stopped: Callable[[], bool], collect: Callable[[Cell, Result], None], bar: Any
) -> None:
    """The cells in processes of their own, which are started once each."""
    context = multiprocessing.get_context("spawn")  # a fork would take threads and locks along
    stop, shares = context.Event(), context.Array("d", len(left), lock=False)
    job = (plan.table.name, plan.protocol.settings, plan.folder, plan.threads, plan.device)
    workers = min(plan.processes, len(left))
    with ProcessPoolExecutor(workers, context, _start, (stop, shares, job)) as pool:
        try:
            with kept_from_children():  # Ctrl-C would kill a process that is just starting
                cell_of: dict[Future[Result | None], Cell] = {
                    pool.submit(_compute, k, cell.row.name, cell.seed): cell for k, cell in enumerate(left)
                }
            waiting = set(cell_of)
            while waiting:
                done, waiting = wait(waiting, WATCH, FIRST_COMPLETED)
                for future in done:
                    result = None if future.cancelled() else future.result()
                    if result is not None:
                        collect(cell_of[future], result)
                bar.update(sum(shares) - bar.n)
                if stopped():
                    stop.set()
                    for future in waiting:
                        future.cancel()
        except BrokenProcessPool as error:
            raise CheckpointError(
                f"{plan.folder}: a process that computed cells ended without a word (out of memory?); "
                "what was finished is there, and the same command goes on"
            ) from error
        finally:
            stop.set()  # after an error the others save what they have
            pool.shutdown(cancel_futures=True)


class _Worker:
    """What a process that computes cells knows."""

    def __init__(self, stop: Any, shares: Any, job: tuple[str, Settings, Path, int, str]) -> None:
        self.stop = stop
        self.shares = shares
        self.job = job
        self.parent, self.looked = os.getppid(), 0.0

    def stopped(self) -> bool:
        """Is the work to end? So it is if nobody waits for it any more. Asked often, it looks now and then."""
        if time.monotonic() - self.looked < WATCH:
            return False
        self.looked = time.monotonic()
        return bool(self.stop.is_set()) or os.getppid() != self.parent

    def compute(self, k: int, row: str, seed: int) -> Result | None:
        """The k-th cell's result; None if it was told to stop."""
        if self.stop.is_set():
            return None

        def done(share: float) -> None:
            self.shares[k] = share

        name, settings, folder, threads, device = self.job
        table = load(name)
        plan = Plan(table, Protocol(settings), [], 0, folder, threads=threads, device=device)
        with _threads(threads):
            try:
                return plan.cell(table.row(row), seed, stopped=self.stopped, done=done).result()
            except Stopped:
                return None


_worker: _Worker


def _start(*given: Any) -> None:
    """Begin: signals are the business of the process that started this one, which says when to stop."""
    global _worker
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    _worker = _Worker(*given)


def _compute(k: int, row: str, seed: int) -> Result | None:
    return _worker.compute(k, row, seed)
