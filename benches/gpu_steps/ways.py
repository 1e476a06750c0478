"""The table of ways: which way to compute a convolution was faster, as `minigan/kernels/cuda_ways.json` holds it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minigan.kernels import cuda_ways

from .plan import PRECISIONS

FILE = cuda_ways.PATH.name
REHEARSED = "rehearsal"  # in the place of a compute capability, where nothing was measured


def measured(record: dict[str, Any]) -> cuda_ways.Table:
    """Milliseconds of every way that the stage `layers` has timed; empty if it has not, or on who knows which GPU."""
    gpu = REHEARSED if record["rehearsal"] else record["machine"].get("compute_capability")
    found: dict[str, dict[str, cuda_ways.Times]] = {}
    for row in record["stages"].get("layers", {}).get("result", {}).get("layers", []):
        ours = row["times"]["minigan"]
        for face, key in (ours["keys"] if ours else {}).items():
            for precision in PRECISIONS:
                found.setdefault(precision, {})[key] = ours[precision][face]
    return {gpu: found} if found and gpu else {}


def write(record: dict[str, Any], out: Path) -> None:
    """Put what was measured into a file in `out`; none if nothing was."""
    if table := measured(record):
        cuda_ways.save(table, out / FILE)


def checked(table: Any) -> cuda_ways.Table:
    """The table, as JSON has it; ValueError if it is none, or holds nothing that was measured."""
    if table == {}:
        raise ValueError("it is empty")
    for gpu, precisions in entries(table):
        if gpu == REHEARSED:
            raise ValueError("it comes from a rehearsal, where nothing was measured")
        if not gpu.isdigit():
            raise ValueError(f"{gpu!r} is no compute capability, as 90 is for 9.0")
        for precision, rows in entries(precisions):
            if precision not in PRECISIONS:
                raise ValueError(f"{precision!r} is no precision")
            for key, times in entries(rows):
                for way, ms in entries(times):
                    if way not in cuda_ways.WAYS or type(ms) is not float or not 0 < ms < float("inf"):
                        raise ValueError(f"{key}: {way} {ms!r} is no way with its milliseconds")
    return table


def entries(value: Any) -> Iterable[tuple[str, Any]]:
    """The entries of an object of JSON; ValueError for anything else."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} has no entries")
    return value.items()


def keep(path: Path, into: Path = cuda_ways.PATH) -> str:
    """Take the table in this file over into minigan's own; what was done, in words. ValueError if it is none."""
    try:
        table = checked(cuda_ways.load(path))
    except ValueError as error:
        raise ValueError(f"{path} is no table of ways: {error}") from None
    cuda_ways.save(cuda_ways.merged([cuda_ways.load(into), table]), into)
    rows = sum(len(rows) for precisions in table.values() for rows in precisions.values())
    return f"{rows} measurements for compute capability {', '.join(sorted(table))} are in {into}"
