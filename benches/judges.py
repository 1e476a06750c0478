"""The judges that ship: how they are made, and whether another judge would rank runs as they do.

    python benches/judges.py make              all of them, into minigan/judge/weights: 15 minutes on two cores
    python benches/judges.py make digits       one

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

from minigan import data, judge
from minigan.judge import Form, Judge
from minigan.metrics import frechet_distance

SEED, FLOOR = 0, 10_000


class Recipe(NamedTuple):
    """What a judge is, what it learns from, and for how long."""

    form: Form
    most: dict[str, int | None]  # how many images of each of its data sets; None for all
    epochs: int
    augment: dict[str, int]  # as `data.Batches` takes them


RECIPES = {
    "digits": Recipe(judge.form28(features=64), {"mnist": None, "digits": 20_000}, 12, {"crop": 2}),
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


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make judges that ship")
    making.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)} (default: all)")
    making.add_argument("--out", type=Path, default=judge.shelf.WEIGHTS, help="where to (default: the package)")
    chosen = p.parse_args(arguments)
    for name in chosen.names or RECIPES:
        print(make(name, chosen.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
