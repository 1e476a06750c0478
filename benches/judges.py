"""The judges that ship: how they are made, and whether another judge would rank runs as they do.

    python benches/judges.py make              all of them, into minigan/judge/weights: 5 minutes on two cores
    python benches/judges.py make digits       one
    python benches/judges.py rank              ten short runs on MNIST, ranked by two judges: 6 minutes
    python benches/judges.py rank RUN ...      likewise runs that there are

The same seed gives the same weights on the same machine. Each judge is measured as it is read from its file: the share
of the test set that it reads right, and the floor, the Frechet distance of 10 000 training images to the test set,
which is what no generator needs to beat.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan import data, export, judge
from minigan.command import cli
from minigan.judge import Form, Judge
from minigan.metrics import frechet_distance, spearman

SEED, FLOOR = 0, 10_000
ALIKE = 0.9  # Spearman's correlation of two judges that mean the same
LIKE = "--model dcgan --channels 1 --width 12 --lr 0.001"
RUNS = {  # alike in kind, of different quality: from spots to digits
    **{f"nonsaturating-{n}": f"{LIKE} --steps {n}" for n in (150, 300, 600, 800)},
    **{f"lsgan-{n}": f"{LIKE} --loss lsgan --steps {n}" for n in (300, 600, 800)},
    **{f"hinge-{n}": f"{LIKE} --loss hinge --steps {n}" for n in (300, 600, 800)},
}


class Recipe(NamedTuple):
    """What a judge is, what it learns from, and for how long."""

    form: Form
    most: dict[str, int | None]  # how many images of each of its data sets; None for all
    epochs: int
    augment: dict[str, int]  # as `data.Batches` takes them


RECIPES = {
    "digits": Recipe(judge.form28(features=64), {"mnist": None, "digits": 20_000}, 12, {"crop": 2}),
    "fashion": Recipe(judge.form_of((1, 28, 28), 10, maps=48), {"fashion_mnist": None}, 6, {"flip": True, "crop": 2}),
    "cifar10": Recipe(judge.form_of((3, 32, 32), 10), {"cifar10": None}, 13, {"flip": True, "crop": 4}),
}


def make(name: str, folder: Path) -> Path:
    """The file of that judge, written into a folder."""
    recipe = RECIPES[name]
    parts = [data.load_images(each, shape=recipe.form.shape) for each in recipe.most]
    mine = list(zip(parts, recipe.most.values(), strict=True))
    images = np.concatenate([part.values[:most] for part, most in mine])
    labels = np.concatenate([part.labels[:most] for part, most in mine])
    start = time.perf_counter()

    def told(epoch: int) -> None:
        print(f"{name}: epoch {epoch} of {recipe.epochs}, {time.perf_counter() - start:.0f} s", flush=True)

    made = judge.fit(recipe.form, images, labels, seed=SEED, epochs=recipe.epochs, told=told, **recipe.augment)
    made.name = name
    print(f"{name}: {made.accuracy(*data.held_out(parts[0])):.2%} before its weights are rounded to float16")
    path = made.save(folder / f"{name}.safetensors", half=True)
    return measured(judge.load(path), parts).save(path, half=True)


def measured(made: Judge, parts: list[data.Samples]) -> Judge:
    """The judge, with its accuracy and floor on each of the data sets in its `about`."""
    made.about["sets"] = {}
    for part in parts:
        images, labels = data.held_out(part)
        accuracy = made.accuracy(images, labels)
        floor = frechet_distance(made.features(part.values[:FLOOR]), made.features(images))
        print(f"{made.name} on {part.name}: {accuracy:.2%} of {len(images)}, floor {floor:.3f}", flush=True)
        made.about["sets"][part.name] = {"accuracy": accuracy, "tested": len(images), "floor": round(floor, 4)}
    made.about["accuracy"] = made.about["sets"][parts[0].name]["accuracy"]
    return made


def short_runs(folder: Path) -> list[Path]:
    """The folders of RUNS, each trained on MNIST if it is not there yet."""
    for name, options in RUNS.items():
        out = folder / name
        if not (out / "generator.safetensors").exists():
            start = time.perf_counter()
            resumed = ["--resume"] if (out / "checkpoints").exists() else []
            if status := cli.main(["train", *options.split(), "--data", "mnist", "--out", str(out), *resumed]):
                raise SystemExit(status)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return [folder / name for name in RUNS]


def another_judge(samples: data.Samples) -> Judge:
    """One that shares nothing with the judge of digits but MNIST: another network, another seed, no other digits."""
    form = judge.form_of((1, 28, 28), 10, maps=32)
    other = judge.fit(form, samples.values, samples.labels, seed=SEED + 1)
    other.name = "another"
    return other


def rank(runs: list[Path], n: int) -> float:
    """Spearman's correlation of what two judges say of n samples of each run, by their distance to the test set."""
    samples = data.load_images("mnist")
    real, labels = data.held_out(samples)
    readers = [judge.load("digits"), another_judge(samples)]
    for reader in readers:
        print(f"{reader.name}: {reader.accuracy(real, labels):.2%} of the test set, seed {reader.about['seed']}")
    known = [reader.features(real) for reader in readers]
    rows = [[frechet_distance(r.features(samples.values[:n]), k) for r, k in zip(readers, known, strict=True)]]
    for run in runs:
        drawn = export.load_generator(run / "generator.safetensors").sample(n, seed=SEED).numpy()
        rows.append([frechet_distance(r.features(drawn), k) for r, k in zip(readers, known, strict=True)])
    print(f"{'':20} {readers[0].name:>10} {readers[1].name:>10}")
    for name, row in zip(["training images", *(run.name for run in runs)], rows, strict=True):
        print(f"{name:20} {row[0]:10.2f} {row[1]:10.2f}")
    found = spearman(*np.array(rows[1:]).T)
    print(f"Spearman of {len(runs)} runs: {found:.3f}")
    return found


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make judges that ship")
    making.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)} (default: all)")
    making.add_argument("--out", type=Path, default=judge.shelf.WEIGHTS, help="where to (default: the package)")
    ranking = commands.add_parser("rank", help="do two judges rank runs alike?")
    ranking.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="runs on MNIST (default: ten short ones)")
    ranking.add_argument("--out", type=Path, default=Path("runs/judges"), help="where the short runs go (runs/judges)")
    ranking.add_argument("--n", type=int, default=FLOOR, help="samples of each (default: 10000)")
    chosen = p.parse_args(arguments)
    if chosen.command == "make":
        for name in chosen.names or RECIPES:
            print(make(name, chosen.out))
        return 0
    return int(rank(chosen.runs or short_runs(chosen.out), chosen.n) < ALIKE)


if __name__ == "__main__":
    sys.exit(main())
