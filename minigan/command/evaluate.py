"""`minigan evaluate RUN`: how good a run's generator is, as one table."""

import json
from collections.abc import Sequence
from pathlib import Path

from .. import judge
from ..backend import DEVICES
from ..judge.evaluation import MEASURES, Row
from ..system.options import Options, nonempty
from ..system.terminal import answer, progress
from ..training import positive, report
from ..training.evaluation import SAMPLES, evaluate
from ..training.record import Evaluation
from ..training.report.tables import BETTER, measured

DESCRIPTION = f"""Measure samples of a run's generator: a table, which metrics.json and report.html of the run keep.

Samples are compared with held-out images of the data, by the features and classes of a judge that knows them. Each
row has its value, the interval in which it lies with 95 %, and what as many real images reach in place of the samples:
the floor, which nothing that was learnt can be expected to pass. Compare values of as many samples only.

Features of another tool, Inception's say, are rows of numbers in an .npy, .npz or .safetensors file. There are two
files or three: of samples (`minigan sample RUN --n {SAMPLES} --out samples/` draws them), of real images, and of other
real images, for the floor.
"""


def options() -> Options:
    """What the command may be told."""
    p = Options("minigan evaluate", DESCRIPTION)
    p.add_argument("run", type=nonempty, metavar="RUN", help="the run's folder")
    p.add_argument(
        "--n", type=positive, default=SAMPLES, help=f"samples, as far as there are data (default: {SAMPLES})"
    )
    p.add_argument("--json", action="store_true", help="say what was measured as JSON, for a program to read")
    p.add_argument(
        "--judge",
        type=nonempty,
        metavar="NAME|FILE",
        help="who reads the images: a judge that ships, or a file of `minigan judge train` (default: who knows them)",
    )
    p.add_argument(
        "--features", type=nonempty, nargs="+", metavar="FILE", help="features that another tool made, in its place"
    )
    p.add_argument("--seed", type=int, default=0, help="the same seed draws the same samples (default: 0)")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where samples are drawn (default: cpu)")
    p.idle("--judge", lambda o: "changes nothing beside --features" if o.features else "")
    p.idle("--features", lambda o: "" if len(o.features) in (2, 3) else "expects two files or three")
    return p


def main(arguments: Sequence[str]) -> int:
    """Evaluate what the command line says; 0 when it is done."""
    chosen = options().parse_args(arguments)
    features = None if chosen.features is None else [judge.read_features(file) for file in chosen.features]
    reader = None if chosen.judge is None else judge.load(chosen.judge)
    with progress(bar_format="{desc} [{elapsed}]", delay=1, mininterval=0) as bar:

        def stage(name: str) -> None:
            bar.set_description_str(name, refresh=False)
            bar.update()

        how = {"reader": reader, "features": features, "seed": chosen.seed, "device": chosen.device}
        found = evaluate(Path(chosen.run), chosen.n, stage=stage, **how)
    page = report.write(Path(chosen.run))
    if chosen.json:
        told = {"run": chosen.run, "report": str(page), **found.as_json()}
        answer(json.dumps(told, indent=2))
    else:
        answer("\n".join(lines(chosen.run, found)))
    return 0


def lines(run: str, found: Evaluation) -> list[str]:
    """An evaluation as a table for the terminal."""
    by = f", read by {found.reader}" if found.reader else ""
    heading = f"{run}, step {found.step}: {found.samples} samples beside {found.real} real ones{by}"
    table = [("", "value", "95 %", "real", "better"), *map(_cells, found.rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    rows = ["  ".join([row[0].ljust(widths[0]), *(_right(row, widths))]).rstrip() for row in table]
    return [heading, "", *rows, *(f"note: {note}" for note in found.notes)]


def _right(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [row[1].rjust(widths[1]), row[2].ljust(widths[2]), row[3].rjust(widths[3]), row[4]]


def _cells(row: Row) -> tuple[str, ...]:
    title, better = MEASURES[row.name]
    interval = "" if row.low is None or row.high is None else f"{measured(row.low)} to {measured(row.high)}"
    return title, measured(row.value), interval, "" if row.floor is None else measured(row.floor), BETTER[better]
