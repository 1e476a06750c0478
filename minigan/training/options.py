"""The options that every training program has."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from ..data import DATASETS
from ..kernels import PRECISIONS
from ..processes.mpi import PATIENCE
from ..system.launcher import launched
from ..system.options import Options
from . import checkpoint
from .settings import EVALUATED, common_options, duration, positive
from .trackers import TRACKERS


def parser(name: str, description: str, *, epochs: int, batch_size: int, data: Sequence[str] = ()) -> Options:
    """The options that every example has; a script adds its own to it.

    `data` are the names that --data may give, if a script loads its samples itself; auto then means the first.
    """
    images = (
        f"images to learn from: {', '.join(DATASETS)}; a folder of pictures, an .npy or .npz array, an IDX file, a "
        "CIFAR-10 archive; auto (default) means mnist if it can be had, else digits, which are drawn from fonts"
    )
    p = common_options(name, description, batch_size=batch_size, data=data, images=images, noun="run")
    p.take_config()
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of products on cuda: tf32 rounds their operands to 11 bits, bf16 to 8, and is faster (default: fp32)",
    )
    p.add_argument(
        "--no-graph",
        dest="graph",
        action="store_false",
        help="play every turn as it is written, instead of replaying what its kernels did",
    )
    if not data:
        p.add_argument(
            "--images", type=positive, metavar="N", help="learn from so many of them, drawn by chance (default: all)"
        )
        p.add_argument(
            "--labels-from", choices=["folders"], help="each folder of pictures is a class, for a game of labels"
        )
        p.add_argument(
            "--stream", action="store_true", help="read a folder of pictures while training, if memory cannot hold it"
        )
        p.add_argument("--flip", action="store_true", help="mirror half of the real images, chosen at random")
        p.add_argument(
            "--crop", type=int, default=0, metavar="PIXELS", help="shift real images at random, by up to so many pixels"
        )
    p.add_argument("--epochs", type=positive, default=epochs, help=f"passes over the data (default: {epochs})")
    p.add_argument("--steps", type=positive, help="rounds of the game, instead of --epochs")
    p.add_argument(
        "--minutes",
        type=duration,
        metavar="M",
        help="train about so long, instead of --epochs: the speed of the first steps, or of the first after a warm-up, "
        "fixes how many there are",
    )
    p.add_argument("--checkpoint-every", type=positive, metavar="STEPS", help="save also every so many steps")
    p.add_argument(
        "--sample-every", type=positive, metavar="STEPS", help="draw samples so often (default: each epoch, and early)"
    )
    p.add_argument(
        "--evaluate-every",
        type=positive,
        metavar="STEPS",
        help="measure so often, and at the end, how far samples are from held-out images, and save: the best "
        "checkpoint is the nearest of those",
    )
    p.add_argument(
        "--evaluate-n",
        type=positive,
        default=EVALUATED,
        metavar="N",
        help=f"samples of each such measurement (default: {EVALUATED})",
    )
    p.add_argument(
        "--keep",
        type=positive,
        default=checkpoint.KEEP,
        metavar="N",
        help=f"how many of the newest checkpoints stay, beside the best (default: {checkpoint.KEEP})",
    )
    p.add_argument(
        "--log",
        type=_trackers,
        default=[],
        metavar="NAME,...",
        help=f"tell trackers of the run too: {', '.join(TRACKERS)}, into OUT/tensorboard",
    )
    switch: dict[str, Any] = {"action": argparse.BooleanOptionalAction, "default": False}
    p.add_argument("--early-stop", help="stop a run whose verdict is failing three times in a row", **switch)
    p.add_argument("--debug-nan", help="if a loss is NaN or infinite, play the step again and name the op", **switch)
    p.add_argument(
        "--accumulate",
        type=positive,
        default=1,
        metavar="K",
        help="compute each batch in K parts, whose gradients are added up, which takes less memory; the step is that "
        "of the whole batch, and what would make it another, batch norm say, is refused",
    )
    _add_processes(p)
    p.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    p.add_argument(
        "--allow-change",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help="settings that may differ from the saved run's when it is resumed, lr say",
    )
    p.idle_without("--device cuda", lambda o: o.device == "cuda" or o.precision == "fp32", "--precision")
    p.idle("--epochs", lambda o: "changes nothing beside --steps" if "steps" in p.given else "")
    p.idle_without("--evaluate-every", lambda o: o.evaluate_every, "--evaluate-n")
    for option in ("--epochs", "--steps"):
        p.idle(option, lambda o: "changes nothing beside --minutes" if "minutes" in p.given else "")
    p.idle_without("--resume", lambda o: o.resume, "--allow-change")
    return p


def _add_processes(p: Options) -> None:
    """The options of runs of several processes: mpiexec -n 4 minigan train ..."""
    group = p.add_argument_group("several processes, started by mpiexec or srun")
    group.add_argument(
        "--virtual-ranks",
        type=_power_of_two,
        default=0,
        metavar="V",
        help="split batches and sums over V ranks, a power of two, however many processes there are: then each number "
        "of the run is the same on 1, 2, ... V of them, to the last bit",
    )
    group.add_argument(
        "--no-sync-norm",
        dest="sync_norm",
        action="store_false",
        help="batch norm takes the statistics of a process's own samples, not of the batch: another game, with fewer "
        "messages",
    )
    group.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="S",
        help="seconds that a process waits for the others before it ends the run, 0 for as long as it takes "
        f"(default: {PATIENCE:g})",
    )
    p.idle(
        "--no-sync-norm", lambda o: "" if launched() > 1 or o.virtual_ranks > 1 else "changes nothing for one process"
    )
    p.idle("--patience", lambda o: "" if launched() > 1 else "changes nothing for one process")


def _trackers(text: str) -> list[str]:
    """Names of trackers, with commas between."""
    names = text.split(",")
    if unknown := [name for name in names if name not in TRACKERS]:
        raise argparse.ArgumentTypeError(f"there is no tracker {unknown[0]!r} (choose from {', '.join(TRACKERS)})")
    return names


def _power_of_two(text: str) -> int:
    """1, 2, 4, ...: what a tree of pairs adds up alike on 1, 2, 4, ... processes."""
    value = int(text)
    if value < 1 or value & (value - 1):
        raise argparse.ArgumentTypeError(f"expected a power of two, got {text}")
    return value


def _seconds(text: str) -> float:
    """A number of seconds, at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0, got {text}")
    return value
