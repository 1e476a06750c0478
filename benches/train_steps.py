"""Training steps in minigan and in PyTorch, in alternation: which is faster, by how much, in how much memory.

minigan runs with its compiled kernels and with NumPy's. On an AMD CPU PyTorch runs as it is, and again as it does on
an Intel one (steps/disguise.py).

    python benches/train_steps.py                     all workloads, some twelve minutes
    python benches/train_steps.py dcgan28 toy2d       some of them
    python benches/train_steps.py --json FILE         the figures also as JSON
    python benches/train_steps.py --full              also torch.compile, a frozen D in G's turn, and JAX if installed

Each library runs in a process of its own, from the same weights on the same batches; before anything is timed the
losses of the first steps are compared. The processes take turns, and the ratio is taken turn by turn, so that a
machine that slows down slows both. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are unset in the children, as on most
machines; --pinned leaves them as they are.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from steps.disguise import AS_ON_INTEL, library
from steps.machine import kernels_in_use, probe
from steps.worker import PINS, Worker
from steps.workloads import WORKLOADS, Workload

from minigan.system.machine import processor

LOSS_TOLERANCES = (1e-4, 2e-2, 2e-2)  # of each step's losses, relative: Adam's first steps amplify rounding
FLOOR_NOTE = "floor: the time of the step's floating-point operations at the rate of a large matrix product"


def rivals(work: Workload, full: bool) -> list[tuple[str, str]]:
    """(library, variant) of every process that minigan is measured against."""
    formats = ["nchw", "channels_last"] if len(work.sample) == 3 else ["nchw"]
    chosen = [("torch", name) for name in formats]
    if library() is not None:
        chosen += [("torch", name + AS_ON_INTEL) for name in formats]
    if full:
        chosen += [("torch", "frozen")] if work.kind == "gan" else []
        chosen += [("torch", "compile")] if work.kind in ("gan", "sample") else []  # it refuses double backward
        chosen += [("jax", "jit")] if importlib.util.find_spec("jax") else []
    return chosen


def check_losses(found: dict[str, list[list[float]]]) -> None:
    """Exit unless every library has computed the losses that minigan has."""
    ours = found["minigan"]
    for name, theirs in found.items():
        for step, (a, b, tolerance) in enumerate(zip(ours, theirs, LOSS_TOLERANCES, strict=True)):
            scale = max(map(abs, a))
            if not all(abs(x - y) <= tolerance * scale for x, y in zip(a, b, strict=True)):
                sys.exit(f"minigan and {name} do not compute the same losses in step {step}: {a}, {b}")


def measure(work: Workload, args: argparse.Namespace) -> dict[str, Any]:
    """All figures of one workload."""
    chosen = [("minigan", "default"), ("minigan", "numpy"), *rivals(work, args.full)]
    workers = [Worker(library, variant, work.name, args.threads, args.pinned) for library, variant in chosen]
    check_losses({w.name: w("losses", len(LOSS_TOLERANCES)) for w in workers})
    times: dict[str, list[float]] = {w.name: [] for w in workers}
    steps: dict[str, list[float]] = {w.name: [] for w in workers}
    rates = []
    seconds = args.seconds / (args.rounds * len(workers))
    for turn in range(args.rounds):
        rates.append(probe(args.threads, args.pinned)["gflops"])
        for worker in workers[turn % len(workers) :] + workers[: turn % len(workers)]:
            found = worker("milliseconds", seconds)
            steps[worker.name] += found
            times[worker.name].append(statistics.median(found))
    medians = {name: statistics.median(found) for name, found in steps.items()}
    flops, rate = workers[0]("flops"), statistics.median(rates)
    theirs = [w.name for w in workers[2:]]
    plain = [name for name in theirs if not name.endswith(AS_ON_INTEL)]
    result = {
        "title": work.title,
        "milliseconds": medians,
        "best_rival": min(plain, key=medians.__getitem__),
        "ratio": compared("minigan", plain, times),
        "ratio_of_numpy": compared("minigan numpy", plain, times),
        "ratio_as_on_intel": compared("minigan", theirs, times) if len(plain) < len(theirs) else None,
        "gflop": flops / 1e9,
        "gflops_of_a_large_product": rate,
        "fraction_of_floor": flops / rate / 1e6 / medians["minigan"],
        "peak_mib": {w.name: w("peak_mib") for w in workers},
    }
    for worker in workers:
        worker.close()
    return result


def compared(ours: str, theirs: list[str], times: dict[str, list[float]]) -> dict[str, float]:
    """Ratios, turn by turn, to the one of `theirs` that is fastest over all turns."""
    best = min(theirs, key=lambda name: statistics.median(times[name]))
    ratios = [a / b for a, b in zip(times[ours], times[best], strict=True)]
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}


HEAD = (
    f"{'ms':10} {'minigan':>9} {'of NumPy':>9} {'rival':>9} {'the fastest rival':20} ratio (min-max)   NumPy's "
    "as on Intel  of floor   peak MiB"
)


def line(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    ms, ratio, best = found["milliseconds"], found["ratio"], found["best_rival"]
    intel = f"{found['ratio_as_on_intel']['median']:.2f}" if found["ratio_as_on_intel"] else "-"
    return (
        f"{name:10} {ms['minigan']:9.2f} {ms['minigan numpy']:9.2f} {ms[best]:9.2f} {best:20} "
        f"{ratio['median']:5.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})   {found['ratio_of_numpy']['median']:7.2f} "
        f"{intel:>11}  {found['fraction_of_floor']:8.0%}   "
        f"{found['peak_mib']['minigan']:6.0f} {found['peak_mib'][best]:6.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--full", action="store_true", help="more rivals")
    parser.add_argument("--pinned", action="store_true", help=f"leave {' and '.join(PINS)} as they are")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of each library")
    parser.add_argument("--seconds", type=float, default=60, help="of timing for each workload")
    parser.add_argument("--rounds", type=int, default=9, help="in which the processes take turns")
    args = parser.parse_args()
    unknown = set(args.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"unknown workloads {sorted(unknown)}; known are {', '.join(WORKLOADS)}")
    if args.json and not args.json.parent.is_dir():
        parser.error(f"--json: there is no folder {args.json.parent}")
    start = time.time()
    machine = {"processor": processor(), "threads": args.threads, "pinned": args.pinned, "minigan": kernels_in_use()}
    machine |= probe(args.threads, args.pinned)
    print(f"{machine['processor']}; NumPy {machine['numpy']}, {machine['blas']} {machine['version']}, ", end="")
    print(f"kernel {machine['kernel']}; {args.threads} threads; minigan's kernels: {machine['minigan']}")
    print(FLOOR_NOTE)
    print(HEAD)
    results = {}
    for name in args.workloads or WORKLOADS:
        results[name] = measure(WORKLOADS[name], args)
        print(line(name, results[name]), flush=True)
        if args.full:
            print(f"{'':10} " + ", ".join(f"{k} {v:.1f}" for k, v in results[name]["milliseconds"].items()), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"machine": machine, "workloads": results}, indent=1) + "\n")
    for ratio in ("ratio", "ratio_of_numpy", "ratio_as_on_intel"):
        found = [math.log(r[ratio]["median"]) for r in results.values() if r[ratio]]
        if found:
            print(f"geometric mean, {ratio.replace('_', ' ')}: {math.exp(statistics.mean(found)):.2f}")
    print(f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
