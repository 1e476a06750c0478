"""How the cost of a DCGAN step grows with the batch, the image and the width, in minigan and in PyTorch.

python benches/growth.py                      a table, about ten minutes
python benches/growth.py --plot growth.png --json growth.json
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from steps.disguise import AS_ON_INTEL, library
from steps.machine import kernels_in_use, probe
from steps.worker import Worker

from minigan.system.machine import processor

BASE = {"side": 32, "width": 32, "batch": 32}
SIZES = {"batch": (8, 32, 128, 512), "side": (16, 32, 64, 128), "width": (16, 32, 64, 128)}
FORMATS = ("nchw", "channels_last")
ROUNDS = 4


def libraries() -> list[tuple[str, str]]:
    """(library, variant) of every process: PyTorch on an AMD CPU also as on an Intel one (steps/disguise.py)."""
    disguised = [name + AS_ON_INTEL for name in FORMATS] if library() else []
    return [("minigan", "default"), ("minigan", "numpy"), *(("torch", name) for name in (*FORMATS, *disguised))]


def measure(sizes: dict[str, int], seconds: float, threads: int) -> dict[str, float]:
    """Median ms of a step in each library, which take turns."""
    name = "dcgan:{side}:{width}:{batch}".format(**sizes)
    workers = [Worker(library, variant, name, threads, pinned=False) for library, variant in libraries()]
    times: dict[str, list[float]] = {w.name: [] for w in workers}
    for worker in workers:
        worker("losses", 2)
    for _ in range(ROUNDS):
        for worker in workers:
            times[worker.name] += worker("milliseconds", seconds / ROUNDS / len(workers))
    for worker in workers:
        worker.close()
    return {name: statistics.median(found) for name, found in times.items()}


def plot(results: list[dict[str, Any]], path: Path, subtitle: str) -> None:
    """One panel for each thing that grows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(SIZES), figsize=(10.5, 3.6), sharey=True, layout="constrained")
    styles = {
        "minigan": ("#c2410c", "o", 2.2),
        "minigan numpy": ("#c2410c", ".", 1.0),
        "torch nchw": ("#64748b", "s", 1.2),
        "torch channels_last": ("#0f766e", "^", 1.2),
    }
    for panel, grows in zip(panels, SIZES, strict=True):
        found = [r for r in results if r["grows"] == grows]
        for name, (colour, marker, width) in styles.items():
            xs, ys = [r[grows] for r in found], [r["milliseconds"][name] for r in found]
            panel.plot(xs, ys, color=colour, marker=marker, linewidth=width, markersize=5, label=name)
        fixed = ", ".join(f"{k} {v}" for k, v in BASE.items() if k != grows)
        panel.set(xscale="log", yscale="log", xlabel=f"{grows}  ({fixed})")
        panel.set_xticks(SIZES[grows], [str(n) for n in SIZES[grows]])
        panel.minorticks_off()
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ms per training step")
    panels[0].legend(frameon=False)
    figure.suptitle(f"DCGAN step, D and G\n{subtitle}", fontsize=10)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--seconds", type=float, default=15, help="of timing for each size")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of each library")
    args = parser.parse_args()
    machine = {"processor": processor(), "threads": args.threads, "minigan": kernels_in_use()}
    machine |= probe(args.threads, pinned=False)
    subtitle = (
        f"{machine['processor']}, {args.threads} threads, minigan {machine['minigan']}, NumPy on {machine['kernel']}"
    )
    print(subtitle)
    print(
        "ms; ratios are to the faster torch, that of NumPy's kernels and, on AMD, to the fastest torch as on Intel too"
    )
    print(" grows  side  width  batch   minigan  of NumPy     torch  channels_last  ratio  NumPy's  as on Intel")
    results: list[dict[str, Any]] = []
    for grows, values in SIZES.items():
        for value in values:
            sizes = BASE | {grows: value}
            known = [r["milliseconds"] for r in results if all(r[k] == v for k, v in sizes.items())]
            ms = known[0] if known else measure(sizes, args.seconds, args.threads)
            plain = [ms[f"torch {name}"] for name in FORMATS]
            intel = f"{ms['minigan'] / min(v for name, v in ms.items() if 'torch' in name):12.2f}" if library() else ""
            row = " ".join(f"{v:{w}}" for v, w in zip(sizes.values(), (5, 6, 6), strict=True))
            print(
                f"{grows:>6} {row} {ms['minigan']:9.1f} {ms['minigan numpy']:9.1f} {plain[0]:9.1f} {plain[1]:14.1f} "
                f"{ms['minigan'] / min(plain):6.2f} {ms['minigan numpy'] / min(plain):8.2f} {intel}",
                flush=True,
            )
            results.append({"grows": grows, **sizes, "milliseconds": ms})
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    if args.plot:
        plot(results, args.plot, subtitle)


if __name__ == "__main__":
    main()
