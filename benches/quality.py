"""Which recipe draws best in so many minutes: each is trained that long and judged, on data of your choice.

    python benches/quality.py --minutes 1 --data mnist                   every recipe on MNIST
    python benches/quality.py clusters hinge --data cifar10 --seeds 3    some of them, three times each
    python benches/quality.py --data FOLDER --side 48                    on a folder of pictures
    python benches/quality.py --list                                     the recipes, as options of `minigan train`

A recipe is a line of options of `minigan train`, on the networks that fit the data: CS231n's for 28x28 pixels, a DCGAN
for others. `minigan evaluate` measures the samples of each run, by a judge that ships if one knows the data. Minutes
are those of a whole run, with what it draws and finds out on the way, but not of its evaluation. Runs and figures stay
in --out, and what is there is not done again: stopped, the same command goes on. Nothing else should run meanwhile.
"""

import argparse
import json
import shlex
import statistics
from pathlib import Path
from typing import Any

from runs import MINIGAN, figures
from steps.machine import kernels_in_use

from minigan.data import DATASETS
from minigan.system.machine import processor

SHOWN = {"frechet": "Fréchet", "score": "score", "smallest_class": "smallest class", "memorised": "memorised"}
PLAIN = {"small": "--model dcgan28 --batch-size 128 --lr 1e-3", "large": "--model dcgan --batch-size 64 --lr 2e-4"}
NARROW = {"small": "--generator-width 32", "large": "--width 16"}
R1 = "--penalty r1 --penalty-weight 1"
ONE_PASS = f"{R1} --penalty-every 8 --one-pass"
FALLING = "{narrow} --lr-schedule linear"
AVERAGED = f"{FALLING} --ema 0.995 --ema-ramp 0.05"
FAST = f"{ONE_PASS} {AVERAGED} --lr 2e-3 --penalty-weight 0.2"
CLUSTERS = f"{FAST} --clusters 300"
RECIPES = {
    "plain": "",
    "r1": R1,
    "r1_every_8th": f"{R1} --penalty-every 8",
    "one_pass": ONE_PASS,
    "narrow": f"{ONE_PASS} {{narrow}}",
    "falling": f"{ONE_PASS} {FALLING}",
    "averaged": f"{ONE_PASS} {AVERAGED}",
    "fast": FAST,
    "clusters": CLUSTERS,
    "labels": f"{FAST} --labels",
    "best": "best",
    # one thing of `clusters` is another; of an option that is given twice the later counts
    "clusters_30": f"{CLUSTERS} --clusters 30",
    "clusters_100": f"{CLUSTERS} --clusters 100",
    "clusters_1000": f"{CLUSTERS} --clusters 1000",
    "gamma_0.2": f"{CLUSTERS} --penalty-weight 0.1",
    "gamma_1.5": f"{CLUSTERS} --penalty-weight 0.75",
    "r1_r2": f"{CLUSTERS} --penalty r1_r2",
    "batch_64": f"{CLUSTERS} --batch-size 64",
    "batch_256": f"{CLUSTERS} --batch-size 256",
    "half_rate": f"{CLUSTERS} --lr 1e-3",
    "hinge": f"{CLUSTERS} --loss hinge",
    "lsgan": f"{CLUSTERS} --loss lsgan",
    "relativistic": f"{CLUSTERS} --loss relativistic",
    "spectral_norm": f"--one-pass {AVERAGED} --clusters 300 --loss hinge --spectral-norm",
    "normal_noise": f"{CLUSTERS} --latent normal",
    "mirrored": f"{CLUSTERS} --flip",
}


def words(recipe: str, data: str, args: argparse.Namespace) -> list[str]:
    """The options of `minigan train` that make the recipe on these data."""
    size = "small" if data in DATASETS and DATASETS[data].shape == (1, 28, 28) else "large"
    line = RECIPES[recipe].format(narrow=NARROW[size])
    found = shlex.split(line if recipe == "best" else f"{PLAIN[size]} {line}")
    return [*found, "--data", data, *([] if data in DATASETS else ["--side", str(args.side)])]


def measured(recipe: str, data: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one run, which is trained as far as it is not."""
    folder = args.out / Path(data).name / f"{recipe}_{args.minutes:g}min_{seed}"  # rates fall over just so many minutes
    given = words(recipe, data, args)
    trained = [*MINIGAN, "train", *given, "--minutes", str(args.minutes), "--seed", str(seed)]
    found = figures(folder, trained, args.n)
    size = json.loads((folder / "config.json").read_text())["settings"]["batch_size"]
    return {
        **{"images_per_s": round(found["steps"] * size / found.pop("seconds")), **found},
    }


def of_seeds(rows: list[dict[str, Any]], name: str) -> str:
    """A measure's value beside the floor, the mean over seeds and how far it goes."""
    held = [row["rows"][name] for row in rows if name in row["rows"] and row["rows"][name][0] is not None]
    if not held:
        return ""
    values, floor = [value for value, _ in held], held[0][1]
    spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3g}{spread}" + ("" if floor is None else f" / {floor:.3g}")


def table(held: list[dict[str, Any]]) -> str:
    """The recipes of each data set and length, the nearest to the data first: values / what real images reach."""
    lines = []
    for about in dict.fromkeys((row["data"], row["minutes"], row["samples"], row["reader"]) for row in held):
        ours = [row for row in held if about == (row["data"], row["minutes"], row["samples"], row["reader"])]
        data, minutes, samples, reader = about
        took = "1 minute" if minutes == 1 else f"{minutes:g} minutes"
        lines += ["", f"{data}, {took}, {samples} samples read by {reader}: value / of real images", ""]
        lines.append("| recipe | " + " | ".join(SHOWN.values()) + " | steps | images/s |")
        lines.append("|---|" + "---:|" * (len(SHOWN) + 2))
        groups = {row["recipe"]: [other for other in ours if other["recipe"] == row["recipe"]] for row in ours}
        nearest = sorted(groups, key=lambda name: statistics.mean(row["rows"]["frechet"][0] for row in groups[name]))
        for name in nearest:
            rows = groups[name]
            counts = [round(statistics.mean(row[key] for row in rows)) for key in ("steps", "images_per_s")]
            lines.append(
                f"| {name} | " + " | ".join([*(of_seeds(rows, key) for key in SHOWN), *map(str, counts)]) + " |"
            )
    return "\n".join(lines)


def options() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("recipes", nargs="*", metavar="RECIPE", help="some of those that --list names (default: all)")
    p.add_argument("--list", action="store_true", help="name the recipes and exit")
    p.add_argument("--data", nargs="+", default=["mnist"], metavar="NAME|FOLDER", help="data sets (default: mnist)")
    p.add_argument("--side", type=int, default=48, help="of pictures of a folder (default: 48)")
    p.add_argument("--minutes", type=float, default=1.0, help="of training each (default: 1)")
    p.add_argument("--seeds", type=int, default=1, help="runs of each recipe (default: 1)")
    p.add_argument("--n", type=int, default=10_000, help="samples that are judged (default: 10000)")
    p.add_argument("--out", type=Path, default=Path("runs/quality"), help="the folder of the runs")
    p.add_argument("--json", type=Path, help="where the figures go (default: figures.json in --out)")
    return p


def main() -> None:
    """Train and judge what is not done yet, and print the table of all that is."""
    parser = options()
    args = parser.parse_args()
    if unknown := set(args.recipes) - set(RECIPES):
        parser.error(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    if args.list:
        print("\n".join(f"{name:14} {shlex.join(words(name, args.data[0], args))}" for name in RECIPES))
        return
    file = args.json or args.out / "figures.json"
    held = json.loads(file.read_text()) if file.exists() else {"figures": []}
    machine = f"{processor()}, kernels {kernels_in_use()}"
    print(machine, flush=True)
    for data in args.data:
        for seed in range(args.seeds):
            for recipe in args.recipes or RECIPES:
                about = {"recipe": recipe, "data": data, "seed": seed, "minutes": args.minutes, "n": args.n}
                about["options"] = shlex.join(words(recipe, data, args))
                if any(about.items() <= row.items() for row in held["figures"]):
                    continue
                row = about | measured(recipe, data, seed, args)
                print(f"{data} {recipe} {seed}: Fréchet {of_seeds([row], 'frechet')}", flush=True)
                held = {"machine": machine, "figures": [*held["figures"], row]}
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(held, indent=1))
    print(table(held["figures"]))


if __name__ == "__main__":
    main()
