"""The runs of a sweep computed in several processes, until all are done or a signal stops them."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from ..system.signals import stopped_by_signals
from ..system.terminal import BY_SHARE, progress
from ..system.workers import Processes, Workers, spread
from .runs import FAILED_SO, Job, Outcome, Train, Unit, compute

LOST = "its process ended without a word (out of memory?)"


@dataclass(frozen=True)
class Crew:
    """Who computes: so many processes of so many threads each; those of a launcher, if there are `workers`."""

    processes: int
    threads: int
    workers: Workers | None = None


def run(units: Sequence[Unit], train: Train, crew: Crew, finished: Callable[[Unit, Outcome], None]) -> bool:
    """Was it a signal that ended it? Else all the units are trained.

    `train(words)` is what `minigan train` does with them, a function of a module; each run is begun or gone on with.
    `finished` is told of each that ended, one that failed too; the others go on.
    """
    if not units:
        return False
    with stopped_by_signals() as signals, progress(total=len(units), bar_format=BY_SHARE) as bar:
        ended = failed = 0

        def show() -> None:
            errors = f", {failed} failed" if failed else ""
            bar.set_postfix_str(f"{ended} of {len(units)} runs{errors}")

        def collect(k: int, outcome: Outcome) -> None:
            nonlocal ended, failed
            ended += 1
            failed += outcome.status == FAILED_SO
            bar.clear()  # what is said of it begins a line
            finished(units[k], outcome)
            show()

        def lost(k: int, error: BrokenProcessPool) -> Outcome:
            return Outcome(FAILED_SO, LOST)

        show()
        signalled = spread(
            crew.workers or Processes(crew.processes, len(units)),
            compute,
            [Job(train, unit.words(), unit.folder, crew.threads) for unit in units],
            collect=collect,
            lost=lost,
            stopped=lambda: bool(signals),
            look=lambda done: bar.update(done - bar.n),
        )
    return signalled or bool(signals)
