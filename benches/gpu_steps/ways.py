"""The table of ways: which way to compute a convolution was faster, as `minigan/kernels/cuda_ways.json` holds it."""

from pathlib import Path
from typing import Any

from minigan.kernels import cuda_ways

from .plan import PRECISIONS

FILE = cuda_ways.PATH.name
REHEARSED = "rehearsal"  # in the place of a compute capability, where nothing was measured


def measured(record: dict[str, Any]) -> cuda_ways.Table:
    """Milliseconds of every way that the stage `layers` has timed; empty if it has not run."""
    gpu = REHEARSED if record["rehearsal"] else record["machine"]["compute_capability"]
    found: dict[str, dict[str, cuda_ways.Times]] = {}
    for row in record["stages"].get("layers", {}).get("result", {}).get("layers", []):
        ours = row["times"]["minigan"]
        for face, key in (ours["keys"] if ours else {}).items():
            for precision in PRECISIONS:
                found.setdefault(precision, {})[key] = ours[precision][face]
    return {gpu: found} if found else {}


def write(record: dict[str, Any], out: Path) -> None:
    """Put what was measured into a file in `out`; none if nothing was."""
    if table := measured(record):
        cuda_ways.save(table, out / FILE)


def keep(path: Path, into: Path = cuda_ways.PATH) -> str:
    """Take the table in this file over into minigan's own; what was done, in words. ValueError if it was rehearsed."""
    table = cuda_ways.load(path)
    if REHEARSED in table:
        raise ValueError(f"{path} comes from a rehearsal: nothing was measured")
    cuda_ways.save(cuda_ways.merged([cuda_ways.load(into), table]), into)
    rows = sum(len(rows) for precisions in table.values() for rows in precisions.values())
    return f"{rows} measurements for compute capability {', '.join(sorted(table))} are in {into}"
