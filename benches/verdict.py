"""How the yardstick's distance goes together with a judge's Frechet distance, over the checkpoints of short runs.

    python benches/verdict.py runs/verdict                     trains all of RUNS, reads them, prints the tables
    python benches/verdict.py runs/verdict --only mnist_r1     trains this one alone
    python benches/verdict.py runs/verdict --csv FILE --plot FILE.png     reads what there is, a row a checkpoint

The yardstick knows no data set and takes half a second: every look at a run has its distance, and the verdict is made
of it. A judge has seen labelled images. Where both measured the same generator it shows what a distance is worth:
which it takes for the best, and from which on samples are recognisable. A run that is done is not trained again.
"""

import argparse
import csv
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.command import cli
from minigan.metrics import spearman
from minigan.training import RunFolder

EVERY = 50  # steps between two looks
R1 = "--penalty r1 --penalty-weight 0.75"
NARROW = "--model dcgan28 --generator-width 32 --one-pass"
RUNS = {
    "mnist_r1": f"--data mnist --steps 500 --model dcgan28 {R1} --lr 0.001",
    "mnist_narrow": f"--data mnist --steps 600 {NARROW} {R1} --lr 0.001",
    "fashion_narrow": f"--data fashion_mnist --steps 300 {NARROW} {R1} --lr 0.001",
    "mnist_fast": f"--data mnist --steps 300 {NARROW} {R1} --lr 0.01",
    "mnist_mlp": "--data mnist --steps 300 --model mlp28",
    "mnist_mlp_r1": f"--data mnist --steps 700 --model mlp28 {R1} --lr 0.001",
}
"""Runs that end well, badly, and not at all."""
BANDS = (0.0, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 10.0)  # of the yardstick's distance


class Point(NamedTuple):
    """A generator that both have measured."""

    run: str
    step: int
    distance: float
    floor: float
    frechet: float
    frechet_floor: float


def train(out: Path, name: str) -> None:
    """The run of that name, unless it is done."""
    if (out / name / "samples.gif").exists():
        return
    line = f"train {RUNS[name]} --evaluate-every {EVERY} --sample-every {EVERY} --keep 1"
    resumed = ["--resume"] if (out / name / "config.json").exists() else []
    if status := cli.main([*line.split(), "--out", str(out / name), *resumed]):
        sys.exit(status)


def points(out: Path) -> list[Point]:
    """What was measured in the runs that are there, the untrained generators left out."""
    return [
        Point(name, look.step, *(look.numbers[field] for field in Point._fields[2:]))
        for name in RUNS
        for look in (RunFolder(out / name).looks() if (out / name).exists() else ())
        if "frechet" in look.numbers
    ]


def by_run(held: list[Point]) -> None:
    """Do both rank a run's checkpoints alike, and what does it cost to keep the one that the yardstick likes best?"""
    print("\nrun            spearman  best distance  at Frechet / floor  least Frechet / floor")
    for name in dict.fromkeys(point.run for point in held):
        mine = [point for point in held if point.run == name]
        ratio = [point.frechet / point.frechet_floor for point in mine]
        together = spearman(np.array([point.distance for point in mine]), np.array(ratio))
        chosen = min(range(len(mine)), key=lambda k: mine[k].distance)
        cells = f"{together:8.2f}  {mine[chosen].distance:13.2f}  {ratio[chosen]:18.1f}  {min(ratio):21.1f}"
        print(f"{name:14} {cells}")


def by_distance(held: list[Point]) -> None:
    """What Frechet distances a distance stands for."""
    print("\ndistance        checkpoints  Frechet / floor: lowest, median, highest")
    for low, high in itertools.pairwise(BANDS):
        within = [point.frechet / point.frechet_floor for point in held if low <= point.distance < high]
        if within:
            shown = "  ".join(f"{value:7.1f}" for value in np.percentile(within, [0, 50, 100]))
            print(f"{low:4.2f} to {high:5.2f}  {len(within):12}  {shown}")


def plot(held: list[Point], path: Path) -> None:
    """Every checkpoint as a point: the distance, and how many times that of real images the judge sees."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panel = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    names = list(dict.fromkeys(point.run for point in held))
    for colour, name in zip(plt.get_cmap("tab10").colors, names, strict=False):
        mine = [point for point in held if point.run == name]
        ratio = [point.frechet / point.frechet_floor for point in mine]
        panel.plot([p.distance for p in mine], ratio, ".-", color=colour, lw=0.7, ms=7, label=name.replace("_", " "))
    panel.set(yscale="log", xlabel="the yardstick's distance", ylabel="the judge's Fréchet distance / real images'")
    panel.grid(alpha=0.3, which="both", lw=0.4)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--only", choices=RUNS)
    p.add_argument("--csv", type=Path, help="write a row for each checkpoint, and train nothing")
    p.add_argument("--plot", type=Path, help="draw them")
    chosen = p.parse_args()
    if chosen.csv is None:
        for name in [chosen.only] if chosen.only else RUNS:
            train(chosen.out, name)
    held = points(chosen.out)
    if chosen.csv is not None:
        with chosen.csv.open("w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(Point._fields)
            writer.writerows([f"{x:.5g}" if isinstance(x, float) else x for x in point] for point in held)
    if chosen.plot is not None:
        plot(held, chosen.plot)
    if len(held) > 1:
        everything = np.array([[point.distance, point.frechet / point.frechet_floor] for point in held])
        print(f"\n{len(held)} checkpoints of {len({p.run for p in held})} runs: spearman {spearman(*everything.T):.2f}")
        by_run(held)
        by_distance(held)


if __name__ == "__main__":
    main()
