"""Proof on a GPU: is minigan right there, and how fast is it beside PyTorch?

    python benches/gpu.py                             all stages, under ten minutes; figures in results/gpu.json
    python benches/gpu.py --stages tests,soak         some of them
    python benches/gpu.py --rehearse                  the same on a machine without a GPU; measures nothing

Stages: machine (ceilings, cost of a launch), tests (pytest -m gpu), gradcheck, soak (2 000 captured rounds of a DCGAN
against the same ones played launch by launch), steps (training steps in minigan and PyTorch), layers (single kernels).
Each runs in processes of its own, within its share of the time. The JSON is written anew after each one and replaces
what was there; an error is recorded in it and the next stage goes on. The exit status is 0 if every stage ran without.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCHES.parent)]  # this checkout's minigan, installed or not

from gpu_steps import report, runner, stages, targets, timed_steps  # noqa: E402  found through the line above
from gpu_steps.plan import GPU, REHEARSAL, WORKLOADS  # noqa: E402

from minigan import backend  # noqa: E402

STAGES: dict[str, tuple[float, runner.Stage]] = {  # (share of the time, function)
    "machine": (30, stages.machine),
    "tests": (110, stages.tests),
    "gradcheck": (50, stages.gradcheck),
    "soak": (70, stages.soak),
    "steps": (200, timed_steps.steps),
    "layers": (110, stages.layers),
}


def chosen_from(known: Any) -> Any:
    """A type for argparse: names from `known`, separated by commas, in its order."""

    def parse(text: str) -> list[str]:
        unknown = sorted(set(text.split(",")) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seconds", type=float, default=560, help="altogether (default: 560)")
    parser.add_argument("--stages", type=chosen_from(STAGES), default=list(STAGES), metavar="A,B", help="only these")
    parser.add_argument(
        "--workloads", type=chosen_from(WORKLOADS), default=list(WORKLOADS), metavar="A,B", help=", ".join(WORKLOADS)
    )
    parser.add_argument("--json", type=Path, default=BENCHES / "results" / "gpu.json", metavar="PATH")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on stand-ins, nothing kept")
    return parser.parse_args()


def run(args: argparse.Namespace, path: Path) -> tuple[dict[str, Any], bool]:
    """(the record, also in `path`; whether every stage ran to its end)."""
    start = time.monotonic()
    record = report.begin(args.rehearse, args.stages, args.workloads)

    def write(record: dict[str, Any]) -> None:
        record["seconds"] = time.monotonic() - start
        record["targets"] = targets.evaluate(record["stages"].get("steps", {}).get("result", {}))
        report.write(path, record)

    plan = REHEARSAL if args.rehearse else GPU
    session = runner.Session(plan, args.rehearse, args.workloads, record, write)
    session.save()
    try:
        everything = runner.run(
            {name: STAGES[name] for name in args.stages}, session, args.seconds - (time.monotonic() - start)
        )
    finally:
        session.close()
    return record, everything


def rehearse(args: argparse.Namespace) -> int:
    """Run everything on stand-ins; the exit status."""
    print("rehearsal on stand-ins: nothing is measured")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpu.json"
        record, everything = run(args, path)
        lines = list(report.table(record))
        lacking = report.check(json.loads(path.read_text()))
    if not everything:
        print(*(f"{name}: {error}" for name, s in record["stages"].items() for error in s["errors"]), sep="\n")
    print(*(f"the record lacks {what}" for what in lacking), sep="\n", end="\n" if lacking else "")
    print(
        f"rehearsed {len(args.stages)} stages and {len(lines)} lines of summary; nothing was measured, nothing is kept"
    )
    return 0 if everything and not lacking else 1


def main() -> int:
    """The exit status."""
    args = arguments()
    if args.rehearse:
        return rehearse(args)
    problem = backend.cuda_problem()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    record, everything = run(args, args.json)
    print(*report.table(record), sep="\n")
    print(f"{args.json}: {record['seconds']:.0f} s, {'every stage ran' if everything else 'NOT every stage ran'}")
    return 0 if everything else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    sys.exit(main())
