"""The layers of modern networks in minigan and in PyTorch, in alternation, on one thread.

    python benches/layers.py                five minutes
    python benches/layers.py --repeats 2    a look

Printed are the median milliseconds of the processor, forward, and forward with the gradients of everything, in float32:
minigan's, PyTorch's in each of its memory formats, and the median ratio of neighbours, minigan / the faster format. "in
groups" is the way to write a modulated convolution with a weight for each sample.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from layer_cases import Case, cases, draw
from steps.machine import blas_in_use, kernels_in_use

import minigan as mg
from minigan.system.machine import processor
from minigan.tensor import Tensor

FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def last(x: np.ndarray) -> np.ndarray:
    """x channels-last in memory, if it is images."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if x.ndim == 4 else x


def runs_of(case: Case, gradients: bool) -> dict[str, Callable[[], Any]]:
    """By library and format: what is timed."""
    xs = [Tensor(last(a)) for a in case.arrays]
    y = case.ours(*xs)
    cotangent = draw(*y.shape)
    ours_g = Tensor(last(cotangent))
    found: dict[str, Callable[[], Any]] = {
        "minigan": (lambda: mg.grad(case.ours(*xs), xs, ours_g)) if gradients else (lambda: case.ours(*xs))
    }
    for name, order in FORMATS.items():
        ts = [torch.tensor(a) for a in case.arrays]
        ts = [(t.to(memory_format=order) if t.ndim == 4 else t).requires_grad_() for t in ts]
        g = torch.tensor(cotangent)
        g = g.to(memory_format=order) if g.ndim == 4 else g
        t = case.theirs(*ts)
        if not np.allclose(t.detach().numpy(), y.numpy(), rtol=1e-3, atol=1e-3 * float(abs(y.numpy()).max())):
            raise SystemExit(f"{case.title}: minigan and PyTorch ({name}) do not compute the same")
        if gradients:
            found[name] = lambda ts=ts, g=g: torch.autograd.grad(case.theirs(*ts), ts, g)
        else:
            found[name] = lambda ts=ts: case.theirs(*ts)
    return found


def seconds(fn: Callable[[], Any]) -> float:
    fn()
    start = time.process_time()
    fn()
    return time.process_time() - start


def timed(case: Case, gradients: bool, repeats: int) -> dict[str, float]:
    """Median milliseconds of each library and format, and of the ratio of neighbours to the faster format."""
    runs = runs_of(case, gradients)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run) * 1e3)
    medians = {name: statistics.median(found) for name, found in times.items()}
    best = min(FORMATS, key=medians.__getitem__)
    ratio = statistics.median(a / b for a, b in zip(times["minigan"], times[best], strict=True))
    return {**medians, "ratio": ratio}


def main() -> None:
    """Print a line for each case, forward and with gradients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=25, help="times that each is run, in alternation")
    parser.add_argument("--json", type=Path, help="where the figures go")
    args = parser.parse_args()
    torch.set_num_threads(1)
    mg.set_num_threads(1)
    machine = "; ".join([f"{processor()}, kernels {kernels_in_use()}", *blas_in_use(), f"PyTorch {torch.__version__}"])
    print(machine)
    print(f"{'':58} {'':9} {'minigan':>8} {'nchw':>8} {'nhwc':>8} {'ratio':>6}")
    rows = []
    for case in cases():
        for gradients in (False, True):
            what = "gradients" if gradients else "forward"
            found = timed(case, gradients, args.repeats)
            rows.append({"case": case.title, "what": what, **found})
            columns = " ".join(f"{found[name]:8.2f}" for name in ("minigan", *FORMATS))
            print(f"{case.title:58} {what:9} {columns} {found['ratio']:6.2f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "repeats": args.repeats, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
