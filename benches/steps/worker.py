"""A child process that holds one workload in one library and times it when asked, and the parent's handle to it.

python -m steps.worker LIBRARY VARIANT WORKLOAD        (run in benches/, requests as lines of JSON)
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .disguise import AS_ON_INTEL, library

PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # set on some machines, where they slow NumPy's products down


def environment(threads: int, pinned: bool, variant: str = "default") -> dict[str, str]:
    """The variables of a child: this many threads for every library, and a BLAS that picks its own kernel."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    special = {"MINIGAN_KERNELS": "numpy" if variant == "numpy" else "auto"}
    if variant.endswith(AS_ON_INTEL):
        special["LD_PRELOAD"] = library() or ""
    return {k: v for k, v in os.environ.items() if pinned or k not in PINS} | limits | special


class Worker:
    """The parent's end: `worker("milliseconds", 0.5)` asks the child for that and waits for the answer."""

    def __init__(self, library: str, variant: str, workload: str, threads: int, pinned: bool) -> None:
        self.name = library if variant == "default" else f"{library} {variant}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "steps.worker", library, variant, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=environment(threads, pinned, variant),
        )

    def __call__(self, request: str, *args: Any) -> Any:
        requests, answers = self.process.stdin, self.process.stdout
        assert requests is not None
        assert answers is not None
        print(json.dumps([request, *args]), file=requests, flush=True)
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"{self.name} stopped with exit code {self.process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def losses(bench: Any, steps: int) -> list[list[float]]:
    """The losses of the first steps."""
    return [[float(loss) for loss in bench.step(i)] for i in range(steps)]


def milliseconds(bench: Any, seconds: float) -> list[float]:
    """The time of each of the steps that fit into `seconds`, at least one."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        bench.step(len(times))
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main() -> None:
    library, variant, name = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    from .workloads import workload

    bench = importlib.import_module(f".in_{library}", __package__).Bench(workload(name), variant)
    requests = {
        "losses": lambda steps: losses(bench, steps),
        "milliseconds": lambda seconds: milliseconds(bench, seconds),
        "flops": lambda: bench.flops(),
        "peak_mib": lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for line in sys.stdin:
        request, *args = json.loads(line)
        print(json.dumps(requests[request](*args)), file=answers, flush=True)


if __name__ == "__main__":
    main()
