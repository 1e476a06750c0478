"""Which recipe draws best in so many minutes: each is trained that long and judged, on data of your choice.

    python benches/quality.py parts --minutes 1 --data mnist             every part of `best`, and others, on MNIST
    python benches/quality.py clusters hinge --data cifar10 --seeds 3    some of them, three times each
    python benches/quality.py parts --data FOLDER --side 48              on a folder of pictures
    python benches/quality.py little --images 1000 --minutes 5           what helps where data are few
    python benches/quality.py networks --data FOLDER --side 32           one loss on several networks
    python benches/quality.py --list                                     the recipes, as options of `minigan train`

A recipe is a line of options of `minigan train`; `recipes.py` has them in groups. Where it names no networks, they are
those that fit the data: CS231n's for 28x28 pixels, a DCGAN for others. `minigan evaluate` measures the samples of each
run, by a judge that ships if one knows the data. Minutes are those of a whole run, with what it draws and finds out on
the way, but not of its evaluation. Runs and figures stay in --out, and what is there is not done again: stopped, the
same command goes on. Nothing else should run meanwhile.
"""

import argparse
import json
import shlex
import statistics
from pathlib import Path
from typing import Any

from recipes import FEW_OF, GROUPS, NARROW, PLAIN, RECIPES, group_of
from runs import MINIGAN, figures
from steps.machine import kernels_in_use

from minigan.command.recipe import build
from minigan.command.recipe import options as train_options
from minigan.data import DATASETS
from minigan.system.machine import processor
from minigan.training import Settings


def words(recipe: str, data: str, args: argparse.Namespace) -> list[str]:
    """The options of `minigan train` that make the recipe on these data."""
    size = "small" if data in DATASETS and DATASETS[data].shape == (1, 28, 28) else "large"
    narrow = NARROW[size]
    few = {name: lines[size].format(narrow=narrow) for name, lines in FEW_OF.items()}
    line = RECIPES[recipe].format(narrow=narrow, **few)
    own = line.startswith(("best", "--model"))
    found = shlex.split(line if own else f"{PLAIN[size]} {line}")
    if data not in DATASETS and "--side" not in found:
        found += ["--side", str(args.side)]
    return [*found, "--data", data, *(["--images", str(args.images)] if args.images else [])]


def parameters(given: list[str]) -> int:
    """How many numbers the players of `minigan train` with these options have."""
    game = build(Settings.parsed(train_options(given), given, "train"))
    return sum(player.num_parameters() for player in game.players.values())


def measured(recipe: str, data: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one run, which is trained as far as it is not."""
    name = f"{Path(data).name}_{args.images}" if args.images else Path(data).name
    folder = args.out / name / f"{recipe}_{args.minutes:g}min_{seed}"  # rates fall over just so many minutes
    given = words(recipe, data, args)
    trained = [*MINIGAN, "train", *given, "--minutes", str(args.minutes), "--seed", str(seed)]
    found = figures(folder, trained, args.n, args.judge)
    size = json.loads((folder / "config.json").read_text())["settings"]["batch_size"]
    seconds = found.pop("seconds")
    speed = {"ms": seconds / found["steps"] * 1e3, "images_per_s": round(found["steps"] * size / seconds)}
    return {**speed, "parameters": parameters(given), **found}


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
    for about in dict.fromkeys(map(compared, held)):
        ours = [row for row in held if about == compared(row)]
        group, data, images, minutes, samples, reader = about
        took = "1 minute" if minutes == 1 else f"{minutes:g} minutes"
        some = f" ({images} images)" if images else ""
        lines += ["", f"{data}{some}, {took}, {samples} samples read by {reader}: value / of real images", ""]
        shown = GROUPS[group].shown
        lines.append("| recipe | " + " | ".join(shown.values()) + " | steps | ms a step | parameters |")
        lines.append("|---|" + "---:|" * (len(shown) + 3))
        named = {row["recipe"]: [other for other in ours if other["recipe"] == row["recipe"]] for row in ours}
        nearest = sorted(named, key=lambda name: statistics.mean(row["rows"]["frechet"][0] for row in named[name]))
        for name in nearest:
            rows = named[name]
            counts = [f"{statistics.mean(row[key] for row in rows):.0f}" for key in ("steps", "ms", "parameters")]
            lines.append("| " + " | ".join([name, *(of_seeds(rows, key) for key in shown), *counts]) + " |")
    return "\n".join(lines)


def compared(row: dict[str, Any]) -> tuple[Any, ...]:
    """What rows of one table have in common."""
    return group_of(row["recipe"]), *(row[key] for key in ("data", "images", "minutes", "samples", "reader"))


def options() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shown = f"some of those that --list names, or a group of them: {', '.join(GROUPS)} (default: parts)"
    p.add_argument("recipes", nargs="*", metavar="RECIPE", help=shown)
    p.add_argument("--list", action="store_true", help="name the recipes and exit")
    p.add_argument("--data", nargs="+", default=["mnist"], metavar="NAME|FOLDER", help="data sets (default: mnist)")
    p.add_argument("--side", type=int, default=48, help="of pictures of a folder (default: 48)")
    p.add_argument("--images", type=int, help="that are learnt from (default: all)")
    p.add_argument("--minutes", type=float, default=1.0, help="of training each (default: 1)")
    p.add_argument("--seeds", type=int, default=1, help="runs of each recipe (default: 1)")
    p.add_argument("--n", type=int, default=10_000, help="samples that are judged (default: 10000)")
    p.add_argument("--judge", metavar="NAME|FILE", help="who reads them (default: who knows the data)")
    p.add_argument("--out", type=Path, default=Path("runs/quality"), help="the folder of the runs")
    p.add_argument("--json", type=Path, help="where the figures go (default: figures.json in --out)")
    return p


def main() -> None:
    """Train and judge what is not done yet, and print the table of all that is."""
    parser = options()
    args = parser.parse_args()
    if unknown := set(args.recipes) - {*RECIPES, *GROUPS}:
        parser.error(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join([*GROUPS, *RECIPES])}")
    named = args.recipes or ["parts"]
    chosen = [recipe for name in named for recipe in (GROUPS[name].recipes if name in GROUPS else [name])]
    if args.list:
        print("\n".join(f"{name:16} {shlex.join(words(name, args.data[0], args))}" for name in RECIPES))
        return
    file = args.json or args.out / "figures.json"
    held = json.loads(file.read_text()) if file.exists() else {"figures": []}
    machine = f"{processor()}, kernels {kernels_in_use()}"
    print(machine, flush=True)
    for data in args.data:
        for seed in range(args.seeds):
            for recipe in chosen:
                about = {"recipe": recipe, "data": data, "images": args.images, "seed": seed}
                about |= {"minutes": args.minutes, "n": args.n} | ({"judge": args.judge} if args.judge else {})
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
