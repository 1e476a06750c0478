"""What a judge that nobody gave a label sees: pictures that are damaged by and by, told from pictures that are not.

    python benches/judge_cases.py FOLDER [--side 48] [--epochs 5] [--seed 0]     1 minute on two cores
    python benches/judge_cases.py cifar10 --side 32                              2 minutes

Four readers are compared: the features that `minigan judge train FOLDER` learns; the last layer of that network alone;
the features of such a network before it has learnt anything, whitened alike (its batch norm settled on the same
pictures); and the random features by which a run is measured that has no judge. The Frechet distance of damaged
pictures to others is given in units of the floor: how many of its deviations it lies above its mean, the floor being
the distances of as many whole pictures, drawn twenty times. What lies above three is seen. None of these pictures is
among those that were learnt from; the order is Spearman's correlation with the size of the damage.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

import minigan as mg
from minigan import data, judge
from minigan.judge import Judge
from minigan.judge.yardstick import RandomFeatures
from minigan.metrics import frechet_distance, spearman
from minigan.random import Stream

DRAWS, SEEN = 20, 3.0
Features = Callable[[np.ndarray], np.ndarray]


def blurred(x: np.ndarray, radius: float) -> np.ndarray:
    kernel = ImageFilter.GaussianBlur(radius)
    return np.stack([np.asarray(Image.fromarray(p.transpose(1, 2, 0)).filter(kernel)) for p in x]).transpose(0, 3, 1, 2)


def noisy(x: np.ndarray, deviation: float) -> np.ndarray:
    return (x + deviation * Stream(0, "noise").normal(x.shape)).clip(0, 255).astype(np.uint8)


def shifted(x: np.ndarray, pixels: int) -> np.ndarray:
    """Each picture moved to the right, what comes in at its left edge reflected."""
    return np.pad(x, ((0, 0), (0, 0), (0, 0), (pixels, 0)), "reflect")[..., :-pixels]


def tinted(x: np.ndarray, share: float) -> np.ndarray:
    """More red and less blue."""
    return (x * np.array([1 + share, 1, 1 - share]).reshape(3, 1, 1)).clip(0, 255).astype(np.uint8)


def repeated(x: np.ndarray, share: float) -> np.ndarray:
    """As many pictures, of which only a share are different ones."""
    return np.resize(x[: max(int(share * len(x)), 1)], x.shape)


CASES: dict[str, tuple[Callable, tuple]] = {
    "blur, radius": (blurred, (0.4, 0.6, 0.8, 1.2)),
    "noise, grey levels": (noisy, (4, 8, 16, 32)),
    "shift, pixels": (shifted, (1, 2, 3, 5)),
    "tint, share": (tinted, (0.03, 0.06, 0.12, 0.24)),
    "different, share": (repeated, (0.5, 0.25, 0.1, 0.05)),
}


def untaught(form: judge.Form, pictures: np.ndarray) -> Judge:
    """A network of the same form before it has learnt anything, whitened by these pictures."""
    classifier = form.build(Stream(0, "untaught"))
    x = mg.tensor(data.scaled(pictures[:256]))
    with mg.no_grad():
        for _ in range(30):
            classifier.body(x)
    reader = Judge(classifier, form)
    reader.whiten(pictures)
    return reader


def table(name: str, features: Features, whole: np.ndarray, others: np.ndarray, damaged: np.ndarray) -> None:
    """Print a row for each kind of damage, and how many of the cases are seen."""
    known = features(others)
    spare, rng = features(whole), np.random.default_rng(0)
    floor = [frechet_distance(spare[rng.permutation(len(spare))[: len(damaged)]], known) for _ in range(DRAWS)]
    mean, deviation = float(np.mean(floor)), float(np.std(floor))
    print(f"{name}: floor {mean:.3g} +- {deviation:.2g}")
    seen = 0
    for kind, (damage, levels) in CASES.items():
        found = [(frechet_distance(features(damage(damaged, n)), known) - mean) / deviation for n in levels]
        order = spearman(np.array(found), np.arange(len(levels)))
        seen += sum(value > SEEN for value in found)
        columns = "  ".join(f"{level:>5}: {value:7.1f}" for level, value in zip(levels, found, strict=True))
        print(f"  {kind:20} {columns}   order {order:.2f}")
    print(f"  {seen} of {sum(len(levels) for _, levels in CASES.values())} seen", flush=True)


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", metavar="FOLDER|NAME", help="a folder of pictures, or a data set of colour pictures")
    p.add_argument("--side", type=int, default=48, help="pixels a side (default: 48)")
    p.add_argument("--epochs", type=int, default=5, help="how often each picture is seen (default: 5)")
    p.add_argument("--seed", type=int, default=0, help="the judge's (default: 0)")
    chosen = p.parse_args(arguments)
    pictures = data.load_images(chosen.folder, shape=(3, chosen.side, chosen.side)).values
    pictures = pictures[Stream(0, "cases").permutation(len(pictures))]
    n = len(pictures) // 10
    unseen, learnt = np.split(pictures, [3 * n])
    damaged, others, whole = np.split(unseen, 3)
    taught = judge.fit_turned(learnt, seed=chosen.seed, epochs=chosen.epochs, crop=chosen.side // 14)
    ways, turns = judge.turned(unseen)
    print(f"{len(learnt)} pictures; {(taught.logits(ways).argmax(1) == turns).mean():.1%} of unseen turns told")
    whole = np.concatenate([whole, damaged])
    readers = {
        "taught": taught,
        "its last layer": Judge(taught.classifier, taught.form),
        "untaught": untaught(taught.form, learnt),
        "random features": RandomFeatures(learnt),
    }
    for name, reader in readers.items():
        table(name, reader.features, whole, others, damaged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
