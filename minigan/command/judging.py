"""`minigan judge`: a judge of anybody's pictures, trained by one line, and what a judge says of itself."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from .. import judge as judges
from ..backend import DEVICES
from ..data import DATASETS, load_images
from ..judge import SHIPPED
from ..system import disk
from ..system.options import Options, nonempty
from ..system.terminal import answer, say, shown
from ..training import positive

ABOUT = """Train a judge of pictures, or say what one is.

    minigan judge train FOLDER                      features of unlabelled pictures, learnt by turning them
    minigan judge train FOLDER --labels folders     a classifier, each folder in FOLDER a class
    minigan judge train fashion_mnist               a classifier of a data set
    minigan judge about NAME|FILE                   where a judge comes from

A judge is what samples are measured with: `minigan evaluate RUN --judge FILE`.
"""


def judge(arguments: Sequence[str]) -> int:
    """A judge that is trained, or shown."""
    p = Options("minigan judge", ABOUT)
    p.add_argument("command", choices=COMMANDS, metavar="train|about", help="what to do")
    return COMMANDS[p.parse_args(arguments[:1]).command](arguments[1:])


def train(arguments: Sequence[str]) -> int:
    """A judge of a folder, a file or a data set."""
    p = Options("minigan judge train", "Train a judge of pictures: a classifier if they have labels, else of features.")
    p.add_argument("source", type=nonempty, metavar="FOLDER|FILE|NAME", help="a folder, a file, or a data set's name")
    p.add_argument("--side", type=positive, default=48, help="pixels a side, that pictures are fitted to (default: 48)")
    p.add_argument("--channels", type=int, choices=[1, 3], default=3, help="1 for grey, 3 for colour (default: 3)")
    p.add_argument("--labels", choices=["folders"], help="the folders in FOLDER are the classes of their pictures")
    p.add_argument("--flip", action="store_true", help="a mirrored picture is of the same class")
    seen = "how often each picture is seen (default: 10 with labels, 5 without)"
    p.add_argument("--epochs", type=positive, help=seen)
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same judge (default: 0)")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where to compute (default: cpu)")
    p.add_argument("--out", type=nonempty, default="judge.safetensors", metavar="FILE", help="(default: %(default)s)")
    p.add_argument("--json", action="store_true", help="say what was done as JSON, for a program to read")
    p.idle_without("pictures", lambda o: o.source not in DATASETS, "--side", "--channels", "--labels")
    chosen = p.parse_args(arguments)
    known = DATASETS.get(chosen.source)
    shape = known.shape if known else (chosen.channels, chosen.side, chosen.side)
    samples = load_images(chosen.source, shape=shape, labels=chosen.labels)
    out = Path(chosen.out)
    with disk.naming(out):  # before minutes of learning, not after them
        disk.check_regular(out)
        out.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()

    def told(epoch: int) -> None:
        if not chosen.json:
            say(f"epoch {epoch}, {time.monotonic() - start:.0f} s")

    how = {"seed": chosen.seed, "epochs": chosen.epochs, "device": chosen.device, "told": told}
    made = judges.learn(samples, flip=chosen.flip, **how)
    made.name = out.stem
    made.save(out)
    return _said(made, chosen.json, chosen.out)


def about(arguments: Sequence[str]) -> int:
    """What a judge says of itself."""
    p = Options("minigan judge about", "Say what a judge is, and where it comes from.")
    p.add_argument("judge", type=nonempty, metavar="NAME|FILE", help=f"one of {', '.join(SHIPPED)}, or a judge's file")
    p.add_argument("--json", action="store_true", help="as JSON, for a program to read")
    chosen = p.parse_args(arguments)
    return _said(judges.load(chosen.judge), chosen.json, chosen.judge)


def _said(made: judges.Judge, as_json: bool, where: str) -> int:
    """Say what a judge is: for a program all that is known, for a person a line for each thing."""
    known = {"shape": list(made.shape), "features": made.width, "classes": made.classes}
    if as_json:
        answer(json.dumps({"judge": where, "name": made.name, **known, **made.about}, indent=2))
        return 0
    about = dict(made.about)
    sets = about.pop("sets", {about.pop("data", "its data"): about})
    read = f"reads {made.classes} classes of" if made.classes else "knows features of"
    lines = [f"{shown(where)}: {read} images {'x'.join(map(str, made.shape))} by {known['features']} features"]
    for name, of in sets.items():
        if "accuracy" not in of:  # nobody measured it
            continue
        tested = f"{of['tested']} unseen images"
        right = f"{tested} read right" if made.classes else f"the turns of {tested} told"
        lines.append(f"  {shown(name)}: {of['accuracy']:.2%} of {right}")
        lines.append(f"  {' ' * len(shown(name))}  floor {of['floor']:.4g}, of training images to those")
    lines.append("  " + ", ".join(f"{name} {shown(about[name])}" for name in ORIGIN if name in about))
    answer("\n".join(lines))
    return 0


ORIGIN = ("taught", "images", "epochs", "seed", "parameters", "date")
COMMANDS = {"train": train, "about": about}
