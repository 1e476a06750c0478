"""Proof on a GPU: is minigan right there, and how fast is it beside PyTorch?

    python benches/gpu.py --smoke --out DIR           checks that only a device can make, then the tests: three minutes
    python benches/gpu.py --out DIR                   what is measured: seven and a half minutes
    python benches/gpu.py --out DIR --stages steps    some of the stages
    python benches/gpu.py [--smoke] --rehearse        the same on a machine without a GPU; measures nothing
    python benches/gpu.py --show FILE                 what a gpu.json or smoke.json says, to read
    python benches/gpu.py --keep-ways FILE            takes over the ways that were faster from DIR/cuda_ways.json

Stages: machine (ceilings, cost of a launch), soak (2 000 captured rounds of a DCGAN against the same ones played launch
by launch), steps (training steps in minigan and PyTorch), layers (single kernels), processes (sums over GPUs, and the
DCGAN with a process on each, if there are several); by name also tests (pytest -m gpu) and gradcheck. Each runs in
processes of its own, within its share of the time.

DIR is made if it is not there, and holds a few files afterwards: smoke.json, smoke.log and tests.log, or gpu.json,
gpu.log and cuda_ways.json; and kernels.tgz, the kernels that were compiled, with which the next run begins. The JSON is
written anew after each check and each stage; an error is recorded in it, and the next one goes on. The exit status is 0
if all went well.
"""

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCHES.parent)]  # this checkout's minigan, installed or not

from gpu_steps import outputs, report, runner, several, smoke, stages, summary, targets, timed_steps, ways  # noqa: E402  found by the line above
from gpu_steps.plan import GPU, REHEARSAL, WORKLOADS  # noqa: E402  likewise

from minigan import backend  # noqa: E402  likewise

STAGES: dict[str, tuple[float, runner.Stage]] = {  # (share of the time, function), what tells most first
    "machine": (20, stages.machine),
    "soak": (100, stages.soak),
    "steps": (200, timed_steps.steps),
    "layers": (110, stages.layers),
    "processes": (25, several.processes),
    "tests": (90, stages.tests),
    "gradcheck": (50, stages.gradcheck),
}
USUAL = ["machine", "soak", "steps", "layers", "processes"]
SECONDS, SMOKE_SECONDS = 455, 170  # altogether


def chosen_from(known: Any) -> Any:
    """A type for argparse: names from `known`, separated by commas, in its order."""

    def parse(text: str) -> list[str]:
        unknown = sorted(set(text.split(",")) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return parse


def duration(text: str) -> float:
    """A type for argparse: a number of seconds above zero."""
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time that something could take")
    return seconds


def arguments() -> argparse.Namespace:
    """What the command line asks for; it ends with exit status 2 and a message where that cannot be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--smoke", action="store_true", help="the checks and the tests, and no stages")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for everything that is kept")
    parser.add_argument(
        "--kernels", type=Path, metavar="FILE", help="compiled before (default: DIR/kernels.tgz if any)"
    )
    parser.add_argument(
        "--seconds", type=duration, help=f"altogether (default: {SECONDS}; with --smoke {SMOKE_SECONDS})"
    )
    parser.add_argument("--stages", type=chosen_from(STAGES), metavar="A,B", help=f"default: {','.join(USUAL)}")
    parser.add_argument(
        "--workloads", type=chosen_from(WORKLOADS), metavar="A,B", help=f"default: {','.join(WORKLOADS)}"
    )
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on stand-ins; --out is not needed")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print a record and do nothing else")
    parser.add_argument("--keep-ways", type=Path, metavar="FILE", help="take a cuda_ways.json over, and nothing else")
    args = parser.parse_args()
    reads_only = args.show is not None or args.keep_ways is not None
    if args.out is None and not args.rehearse and not reads_only:
        parser.error("--out: which folder is everything to go into?")
    if args.out is not None and not (there := next(p for p in (args.out, *args.out.parents) if p.exists())).is_dir():
        parser.error(f"--out: {there} is no folder")
    if args.smoke and (args.stages or args.workloads):
        parser.error("--smoke: has no stages and no workloads to choose from")
    for option in ("kernels", "show", "keep_ways"):
        path = getattr(args, option)
        if path is not None and not path.is_file():
            parser.error(f"--{option.replace('_', '-')}: there is no file {path}")
    args.seconds = args.seconds or (SMOKE_SECONDS if args.smoke else SECONDS)
    args.stages, args.workloads = args.stages or USUAL, args.workloads or list(WORKLOADS)
    return args


def measure(args: argparse.Namespace, out: Path) -> bool:
    """Run the stages; True if every one ran to its end and the record is whole."""
    start = time.monotonic()
    path = out / "gpu.json"
    record = report.begin(args.rehearse, args.stages, args.workloads)

    def write(record: dict[str, Any]) -> None:
        record["seconds"] = time.monotonic() - start
        record["targets"] = targets.evaluate(record["stages"].get("steps", {}).get("result", {}))
        report.write(path, record)
        ways.write(record, out)

    plan = REHEARSAL if args.rehearse else GPU
    session = runner.Session(plan, args.rehearse, args.workloads, record, write)
    session.save()
    try:
        everything = runner.run(
            {name: STAGES[name] for name in args.stages}, session, args.seconds - (time.monotonic() - start)
        )
    finally:
        session.close()
    lines = list(summary.table(record))
    print(*(lines if not args.rehearse else ["nothing was measured, and so no figures are shown"]), sep="\n")
    lacking = report.check(json.loads(path.read_text()))
    print(*(f"the record lacks {what}" for what in lacking), sep="\n", end="\n" if lacking else "")
    print(f"{record['seconds']:.0f} s, {'every stage ran' if everything else 'NOT every stage ran'}")
    return everything and not lacking


def read(args: argparse.Namespace) -> str:
    """What --show or --keep-ways comes to, in words; ValueError for a file of anything else."""
    if args.keep_ways is not None:
        return ways.keep(args.keep_ways)
    record = report.read(args.show)
    return "\n".join(smoke.table(record) if "checks" in record else summary.table(record))


@contextlib.contextmanager
def folder(args: argparse.Namespace) -> Iterator[Path]:
    """Where everything goes: --out, or in a rehearsal without it a folder that is gone afterwards."""
    if args.out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        yield args.out


def main() -> int:
    """The exit status."""
    args = arguments()
    if args.show is not None or args.keep_ways is not None:
        try:
            print(read(args))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    problem = None if args.rehearse else backend.cuda_problem()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    with folder(args) as out, outputs.also_in(out / ("smoke.log" if args.smoke else "gpu.log")):
        if args.rehearse:
            print("rehearsal on stand-ins: nothing is measured")
        with outputs.compiled_kernels(out, args.kernels):
            good = smoke.Smoke(out, args.rehearse, args.seconds).run() if args.smoke else measure(args, out)
        if args.out is not None:
            print(f"everything is in {out}")
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended and what there is is kept
    sys.exit(main())
