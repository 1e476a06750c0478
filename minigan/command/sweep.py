"""`minigan sweep`: a run for every choice of settings from a grid."""

import argparse
import contextlib
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..backend import array_module
from ..errors import CheckpointError, MiniganError
from ..sweep import Crew, Outcome, Results, Unit, page, results, run
from ..sweep.runs import DONE, FAILED_SO, LOG, standing
from ..system import disk
from ..system.signals import INTERRUPTED
from ..system.terminal import answer, say, warn
from ..system.workers import Launched, led, usual_processes
from ..training.report.tables import duration
from ..training.settings import ALL_IS_WELL
from . import recipe, varied
from .varied import PROG


def train(words: Sequence[str]) -> int:
    """What `minigan train` does with these words."""
    return recipe.train(words, "minigan train")


def command(arguments: Sequence[str]) -> int:
    """Train a grid; the exit status."""
    return led(lambda workers: _led(arguments, workers))


def _led(arguments: Sequence[str], workers: Launched | None) -> int:
    """The same by these workers, which a launcher started, if there are some."""
    line = varied.parsed(arguments)
    own = line.own
    if workers is not None and own.workers is not None:
        line.options.error(f"--workers changes nothing beside the {workers.count + 1} that were started together")
    with contextlib.ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory()) if own.dry_run else line.out)
        units = varied.units(line, out)
        devices = {unit.settings.device for unit in units}
        for device in devices:
            array_module(device)  # fails before anything is written
        if (out / "config.json").exists():
            raise CheckpointError(f"{out} is the folder of a run: give another one with --out")
        left = [unit for unit in units if standing(unit) not in DONE]
        varied.check_built(left)
        if own.print:
            return _print(units, left, own.threads)
        threads = own.threads or 1
        crew = Crew(own.workers or usual_processes(threads, "cuda" if "cuda" in devices else "cpu"), threads, workers)
        with disk.naming(out, "made"):
            out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(disk.holding(out / ".lock"))
        return _computed(units, left, crew, _Table(units, out, arguments), own)


def _print(units: Sequence[Unit], left: Sequence[Unit], threads: int | None) -> int:
    """The command of each run that is not done, a line each."""
    if len(left) < len(units):
        warn(f"{len(units) - len(left)} of {len(units)} runs are finished and left out")
    prefix = f"OMP_NUM_THREADS={threads} " if threads else ""
    if left:
        answer("\n".join(f"{prefix}minigan train {shlex.join(unit.words())}" for unit in left))
    return 0


class _Table:
    """sweep.csv and sweep.html of the runs, and which of them have failed."""

    def __init__(self, units: Sequence[Unit], out: Path, arguments: Sequence[str]) -> None:
        self.units = units
        self.out = out
        self.line = f"{PROG} {shlex.join(arguments)}"
        self.failed: dict[str, str] = {}
        self.due = 0.0

    def write(self) -> Results:
        """Write both; what they say."""
        begun = time.monotonic()
        found = results.read(self.units, self.failed)
        results.write_csv(found, self.out)
        page.write(found, self.out, self.line)
        self.due = 20 * time.monotonic() - 19 * begun  # so that it takes little of the time
        return found

    def write_now_and_then(self) -> None:
        """Write both, unless that was just done; what cannot be written is no reason to stop the runs."""
        if time.monotonic() > self.due:
            with contextlib.suppress(MiniganError, OSError):
                self.write()


def _computed(units: Sequence[Unit], left: Sequence[Unit], crew: Crew, table: _Table, own: argparse.Namespace) -> int:
    """Train what is left, write and say what there is; the exit status."""
    tell = warn if own.json else say
    begun, done = sum(unit.begun for unit in left), len(units) - len(left)
    counts = [
        f"{len(units)} runs",
        *([f"{done} finished before"] if done else []),
        *([f"{begun} go on"] if begun else []),
    ]
    at_once = min(crew.workers.count if crew.workers else crew.processes, len(left))
    tell(f"{', '.join(counts)}; {f'{at_once} at once' if left else 'nothing to do'}")

    def finished(unit: Unit, outcome: Outcome) -> None:
        if outcome.status == FAILED_SO:
            table.failed[unit.name] = outcome.why
        tell(f"{unit.name}: {_told(results.row(unit, table.failed), outcome)}")
        if not own.dry_run:
            table.write_now_and_then()

    interrupted = run(left, train, crew, finished)
    if own.dry_run:
        if not table.failed and not interrupted:
            tell(ALL_IS_WELL)
    else:
        found = table.write()
        if own.json:
            answer(results.as_json(found, table.out))
        else:
            say(f"\n{results.lines(found)}\n")
        _ends(found, table.out, tell)
    return INTERRUPTED if interrupted else 1 if table.failed else 0


def _told(row: results.Row, outcome: Outcome) -> str:
    """How a run ended, in a line."""
    if outcome.why:
        return f"{outcome.status}: {outcome.why}"
    far = [f"{r.title} {results.told(row.distance(r))}" for r in results.RULERS if r.name in row.distances]
    took = [duration(row.seconds)] if row.seconds else []
    return ", ".join([outcome.status, *([row.verdict] if row.verdict else []), *far, *took])


def _ends(found: Results, out: Path, tell: Callable[[str], None]) -> None:
    """What failed, what is left, and where everything is."""
    for row in found.of(FAILED_SO):
        tell(f"Failed: {row.unit.name}: {row.why} ({row.unit.folder / LOG})")
    missing = len(found.rows) - len(found.of(*DONE, FAILED_SO))
    if missing:
        tell(f"Not finished: {missing} of {len(found.rows)}. What was done is saved; the same command goes on.")
    tell(f"{out / results.PAGE} compares the runs; {results.CSV} is beside it")
