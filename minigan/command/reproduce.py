"""`minigan reproduce`: a table of a paper, computed again."""

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import reproduce
from ..backend import DEVICES, array_module
from ..reproduce import files
from ..reproduce.results import Result, Results
from ..system import disk
from ..system.options import Options, nonempty
from ..system.signals import INTERRUPTED
from ..system.terminal import answer, say, warn
from ..system.workers import Workers, led, usual_processes
from ..training import positive
from ..training.report.tables import duration

WHAT = """Compute a table, or a figure, of a paper again, and write one page with the paper's figures beside ours.

Each method and seed is a cell. What is finished stays: the same command goes on where it was stopped, by Ctrl-C or by
--minutes, and more --seeds or --methods are added to what is there.

    mpiexec -n 5 minigan reproduce NAME         four cells at once, on the machines that mpiexec or srun was given
"""


def command(arguments: Sequence[str]) -> int:
    """Compute a table; the exit status."""
    return led(lambda workers: _led(arguments, workers))


def _led(arguments: Sequence[str], workers: Workers | None) -> int:
    """The same by these workers, which a launcher started, if there are some."""
    options = _options()
    chosen = options.parse_args(arguments)
    if chosen.list:
        answer(_list(chosen.json))
        return 0
    if chosen.name is None:
        options.error("which table? --list says what there is")
    table = reproduce.load(chosen.name)
    protocol = table.full if chosen.full and table.full is not None else table.short
    if chosen.full and protocol.deviations and table.full is None:
        options.error(f"the paper's own protocol of {table.name} is not there: without --full it is computed otherwise")
    if workers is not None and chosen.processes is not None:
        options.error(f"--processes changes nothing beside the {workers.count + 1} that were started together")
    array_module(chosen.device)  # fails before anything is written
    with ExitStack() as stack:
        kind = "full" if protocol is table.full else "short" if protocol.deviations else "the paper's"
        out = Path(chosen.out or f"runs/reproduce/{table.name}{'-full' if kind == 'full' else ''}")
        if chosen.dry_run:
            kind, protocol = "trial", replace(table.short, settings={**table.short.settings, **table.trial}, seeds=1)
            out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plan = reproduce.Plan(
            table,
            protocol,
            table.chosen(chosen.methods),
            chosen.seeds or protocol.seeds,
            out,
            minutes=chosen.minutes,
            processes=chosen.processes or usual_processes(chosen.threads, chosen.device),
            threads=chosen.threads,
            device=chosen.device,
        )
        with disk.naming(out, "made"):
            out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(disk.holding(out / ".lock"))
        return _computed(plan, workers, {"protocol": kind}, chosen.json, chosen.dry_run)


def _computed(
    plan: reproduce.Plan, workers: Workers | None, how: Mapping[str, Any], as_json: bool, dry_run: bool
) -> int:
    """Compute what is left, write and say what there is; the exit status."""
    tell = warn if as_json else say

    def finished(result: Result) -> None:
        told = result.failed or files.line(result.numbers, plan.table.columns)
        tell(f"{result.row}, seed {result.seed}: {told} ({duration(result.seconds)})")

    results, interrupted = reproduce.run(plan, finished, workers)
    page = files.write(results, plan.folder, how)
    if as_json:
        answer(json.dumps(files.summary(results, how), indent=2))
    else:
        say(f"\n{files.lines(results)}\n")
    _ends(results, page, tell, dry_run)
    return INTERRUPTED if interrupted else 0


def _ends(results: Results, page: Path, tell: Callable[[str], None], dry_run: bool) -> None:
    """How this differs from the paper, what is not finished, and where everything is."""
    for deviation in results.protocol.deviations:
        tell(f"Unlike the paper: {deviation}")
    if results.missing:
        tell(f"Not finished, by seed: {results.unfinished}. What was done is saved; the same command goes on.")
    if not dry_run:
        tell(f"{page} shows the table; {files.CSV} and {files.NUMBERS} are beside it")


def _list(as_json: bool) -> str:
    """What tables there are."""
    tables = [reproduce.load(name) for name in reproduce.TABLES]
    if as_json:
        return json.dumps({t.name: {"title": t.title, "source": t.source} for t in tables}, indent=2)
    told = []
    for t in tables:
        names = ", ".join(row.name if row.usual else f"({row.name})" for row in t.rows)
        takes = {"takes": t.short.takes, "takes with --full": t.full.takes if t.full is not None else ""}
        lines = [f"{t.name}: {t.title}", t.source, f"methods: {names}"]
        told.append("\n  ".join([*lines, *(f"{what}: {how_long}" for what, how_long in takes.items() if how_long)]))
    return "\n\n".join([*told, "Methods in brackets are computed if --methods asks for them."])


def _methods(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of minutes, got {text}")
    return value


def _options() -> Options:
    p = Options("minigan reproduce", WHAT)
    names = list(reproduce.TABLES)
    p.add_argument("name", choices=names, nargs="?", metavar="NAME", help=", ".join(names))
    p.add_argument("--list", action="store_true", help="say what tables there are, their methods, what they take")
    p.add_argument("--methods", type=_methods, default=[], metavar="A,B", help="rows, or all (default: the usual ones)")
    p.add_argument("--seeds", type=positive, metavar="N", help="how many (default: the protocol's)")
    p.add_argument("--full", action="store_true", help="the paper's own protocol, which may take days")
    p.add_argument(
        "--minutes", type=_minutes, metavar="M", help="stop after so many, and save (default: when all is done)"
    )
    shown = "cells computed at once: they change no number (default: as many as keep the cores at work)"
    p.add_argument("--processes", type=positive, metavar="P", help=shown)
    p.add_argument("--threads", type=positive, default=1, metavar="T", help="of each of them (default: 1)")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where to compute (default: cpu)")
    p.add_argument("--out", type=nonempty, metavar="DIR", help="where to write (default: runs/reproduce/NAME)")
    p.add_argument("--json", action="store_true", help="results.json on the terminal instead of the table")
    p.add_argument("--dry-run", action="store_true", help="tiny cells in a temporary folder, to see that all is well")
    return p
