"""The training loop, once: batches in, a folder of logs, samples, curves and checkpoints out.

A run is decided by its settings. Whatever stops it, the same command with --resume continues where the last
checkpoint stands, and arrives at the same weights as a run that was never stopped.
"""

import argparse
import csv
import io
import json
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import atomic, backend, checkpoint, data, viz
from .backend import versions
from .data.sources import Shape, fingerprint, load_images
from .errors import CheckpointError, MiniganError, NonFiniteLoss
from .gan import ScoreGame
from .kernels import PRECISIONS, set_precision
from .tensor import Tensor

COLUMNS = ["step", "d_loss", "g_loss", "d_real", "d_fake", "images_per_s"]
READ_BACK = 20  # steps between two looks at the losses: between them nothing waits for the device
FREE_TO_CHANGE = {"graph", "epochs", "steps", "out", "resume", "checkpoint_every", "dry_run"}  # when a run is resumed
INTERRUPTED = 130  # the exit status of a program stopped by Ctrl-C


@dataclass
class Settings:
    """Everything that decides a run; a script's own options go into `extra`."""

    name: str
    device: str = "cpu"
    precision: str = "fp32"
    graph: bool = True
    data: str = "auto"
    epochs: int = 5
    steps: int | None = None
    batch_size: int = 128
    seed: int = 0
    out: str = ""
    checkpoint_every: int | None = None
    resume: bool = False
    dry_run: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def parser(name: str, description: str, *, epochs: int, batch_size: int) -> argparse.ArgumentParser:
    """The options that every example has; a script adds its own to it."""
    p = argparse.ArgumentParser(prog=f"{name}.py", description=description)
    p.add_argument("--device", choices=backend.DEVICES, default="cpu", help="where to compute (default: cpu)")
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of products on cuda: tf32 rounds their operands to 11 bits and is faster (default: fp32)",
    )
    p.add_argument(
        "--no-graph", dest="graph", action="store_false", help="on cuda, launch every kernel instead of a CUDA graph"
    )
    p.add_argument(
        "--data",
        default="auto",
        metavar="auto|mnist|digits|cifar10|PATH",
        help="images to learn from: mnist; digits, drawn from fonts, no download; cifar10; a folder of pictures; "
        "auto (default) means mnist if it can be had, else digits",
    )
    p.add_argument("--epochs", type=_positive, default=epochs, help=f"passes over the data (default: {epochs})")
    p.add_argument("--steps", type=_positive, help="rounds of the game, instead of --epochs")
    p.add_argument("--batch-size", type=_positive, default=batch_size, help=f"images a step (default: {batch_size})")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same run (default: 0)")
    p.add_argument("--out", default=f"runs/{name}", metavar="DIR", help=f"where to write (default: runs/{name})")
    p.add_argument("--checkpoint-every", type=_positive, metavar="STEPS", help="save also every so many steps")
    p.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    p.add_argument("--dry-run", action="store_true", help="two steps of everything, in a temporary folder")
    return p


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def main(
    build: Callable[[Settings], ScoreGame],
    options: argparse.ArgumentParser,
    shape: Callable[[Settings], Shape] = lambda settings: (1, 28, 28),
) -> int:
    """Parse the command line, train what `build(settings)` makes; the exit status of the program.

    `shape(settings)` is that of one image, (channels, height, width).
    """
    parsed = vars(options.parse_args())
    known = {k: parsed.pop(k) for k in list(parsed) if k in Settings.__dataclass_fields__}
    settings = Settings(name=options.prog.removesuffix(".py"), extra=parsed, **known)
    try:
        if not settings.dry_run:
            return run(build, settings, shape(settings))
        with tempfile.TemporaryDirectory() as folder:
            settings.out, settings.steps, settings.batch_size = folder, 2, min(settings.batch_size, 16)
            return run(build, settings, shape(settings))
    except (MiniganError, OSError) as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return 1


def run(build: Callable[[Settings], ScoreGame], settings: Settings, shape: Shape = (1, 28, 28)) -> int:
    """Train the game that `build(settings)` makes, into the folder settings.out; the exit status, 0 when done."""
    backend.array_module(settings.device)  # fails before anything is written
    backend.keep_freed_memory()
    folder = RunFolder(Path(settings.out))
    resumed = folder.open(settings)
    images, settings.data = load_images(settings.data, 256 if settings.dry_run else None, shape)
    about_images = fingerprint(images)
    if resumed:
        folder.check_unchanged(settings, about_images)
    batches = data.shuffled_batches(images, settings.batch_size, seed=settings.seed, device=settings.device)
    set_precision(settings.precision)
    game = build(settings)
    game.graphs = settings.graph
    if resumed:
        game.load_state(folder.load_newest())
    per_epoch = max(batches.per_epoch // game.batches_per_step, 1)
    last = settings.steps if settings.steps is not None else settings.epochs * per_epoch
    folder.write_config(settings, last, about_images)
    loop = Loop(game, batches, settings, folder, per_epoch, last)
    return loop.run()


class RunFolder:
    """The files of one run: config.json, log.csv, samples/, losses.png, samples.gif, checkpoints/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.log = path / "log.csv"

    def open(self, settings: Settings) -> bool:
        """Make the folders; True if a run is to be continued. CheckpointError if --out and --resume do not fit."""
        held = checkpoint.find(self.checkpoints)
        if held and not settings.resume:
            raise CheckpointError(
                f"{self.path} holds a run (its last checkpoint is {held[-1].name}): "
                "continue it with --resume, or give another folder with --out"
            )
        if settings.resume and not held:
            raise CheckpointError(f"{self.path} holds no checkpoint to resume from")
        try:
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot write there ({error.strerror})") from error
        return bool(held)

    def check_unchanged(self, settings: Settings, images: dict[str, Any]) -> None:
        """CheckpointError naming every setting of the saved run, and the data, that differ and may not."""
        path = self.path / "config.json"
        try:
            config = json.loads(path.read_text())
            # a setting that came later had its default then
            before = {**asdict(Settings(name="")), **config["settings"], **config["images"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error!r}), so the run cannot be resumed") from error
        now = json.loads(json.dumps({**asdict(settings), **images}))
        differing = [k for k in now if k not in FREE_TO_CHANGE and now[k] != before.get(k)]
        if differing:
            named = ", ".join(f"{k} was {before.get(k)!r}, is {now[k]!r}" for k in differing)
            raise CheckpointError(f"{self.path}: cannot resume with other settings: {named}")

    def write_config(self, settings: Settings, steps: int, images: dict[str, Any]) -> None:
        """config.json: every setting, the data set that is really used, versions."""
        about = {
            "settings": asdict(settings),
            "total_steps": steps,
            "images": images,
            "versions": versions(),
            "blas": backend.blas_info(),
        }
        atomic.write(self.path / "config.json", json.dumps(about, indent=2).encode())

    def load_newest(self) -> dict[str, np.ndarray]:
        """The arrays of the newest checkpoint that is whole; those that are not are named on the terminal."""
        problems = []
        for path in reversed(checkpoint.find(self.checkpoints)):
            try:
                arrays, _ = checkpoint.load(path)
            except CheckpointError as error:
                problems.append(str(error))
                print(f"{error}; trying the one before")
            else:
                return arrays
        raise CheckpointError(f"{self.path}: no checkpoint can be read: {'; '.join(problems)}")

    def read_log(self) -> dict[str, list[float]]:
        """The columns of log.csv."""
        with self.log.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else COLUMNS)}

    def cut_log(self, step: int) -> None:
        """Drop the rows after `step`: a resumed run writes them again."""
        if not self.log.exists():
            return
        header, *rows = self.log.read_text().splitlines() or [",".join(COLUMNS)]
        kept = [row for row in rows if row.split(",", 1)[0].isdigit() and int(row.split(",", 1)[0]) <= step]
        atomic.write(self.log, ("\n".join([header, *kept]) + "\n").encode())

    def append_log(self, rows: list[dict[str, float]]) -> None:
        """Write rows to log.csv, the header first."""
        text = io.StringIO()
        extra = [name for name in rows[0] if name not in COLUMNS]
        writer = csv.DictWriter(text, COLUMNS + extra, lineterminator="\n")
        if not self.log.exists():
            writer.writeheader()
        writer.writerows(rows)
        with atomic.naming(self.log), self.log.open("a") as out:
            out.write(text.getvalue())


class Loop:
    """Rounds of the game until the last step, with what is written on the way."""

    def __init__(
        self,
        game: ScoreGame,
        batches: data.Batches | data.StreamedBatches,
        settings: Settings,
        folder: RunFolder,
        per_epoch: int,
        last: int,
    ) -> None:
        self.game = game
        self.source = batches if isinstance(batches, data.Batches) else lambda k: Tensor(batches.at(k))
        self.settings = settings
        self.folder = folder
        self.per_epoch = per_epoch
        self.last = last
        self.step = int(game.step.item())
        self.waiting: list[dict[str, Tensor]] = []  # losses not yet read back
        self.clock = time.perf_counter()
        self.shown: dict[str, float] = {}

    def run(self) -> int:
        """0 when the last step is done, INTERRUPTED when a signal stopped it; what it did is saved either way."""
        from tqdm import tqdm

        if self.step >= self.last:
            print(f"{self.folder.path}: finished, {self.step} steps; nothing to do (a larger --epochs continues it)")
            if not all((self.folder.path / name).exists() for name in ("losses.png", "samples.gif")):
                self.finish()
            return 0
        if self.step == 0:
            self.draw_samples()
            self.folder.log.unlink(missing_ok=True)
        self.folder.cut_log(self.step)
        print(
            f"{self.settings.data}: {self.last} steps of {self.settings.batch_size} images, {self.per_epoch} an epoch"
        )
        with stopped_by_signals() as stop, tqdm(total=self.last, initial=self.step, unit="step", disable=None) as bar:
            while self.step < self.last and not stop:
                self.waiting.append(self.game.play(self.source))
                self.step += 1
                bar.update()
                if self.step % READ_BACK == 0:
                    self.read_back()
                    bar.set_postfix_str(self.summary())
                self.after_step(quiet=not bar.disable)
        if self.step < self.last:
            self.save()
            print(
                f"\nStopped at step {self.step} of {self.last}; everything is saved. To continue: "
                f"the same command with --resume"
            )
            return INTERRUPTED
        self.finish()
        return 0

    def after_step(self, quiet: bool) -> None:
        """Samples and checkpoints where they are due."""
        end_of_epoch = self.step % self.per_epoch == 0
        every = self.settings.checkpoint_every
        if end_of_epoch or self.step == self.last or self.step in self.early_looks():
            self.draw_samples()
        if end_of_epoch or self.step == self.last or (every is not None and self.step % every == 0):
            self.save()
        if end_of_epoch and not quiet:
            print(f"epoch {self.step // self.per_epoch}, step {self.step}: {self.summary()}", flush=True)

    def early_looks(self) -> set[int]:
        """Steps of the first epoch at which samples are drawn too: most of what there is to see happens then."""
        return {self.per_epoch // n for n in (16, 8, 4, 2)} - {0}

    def read_back(self) -> None:
        """Fetch the losses since last time, check them, log them."""
        if not self.waiting:
            return
        values = iter(backend.to_numbers([value.data for losses in self.waiting for value in losses.values()]))
        rows = [{name: next(values) for name in losses} for losses in self.waiting]
        seconds = time.perf_counter() - self.clock
        rate = len(rows) * self.game.batches_per_step * self.settings.batch_size / seconds
        first = self.step - len(rows) + 1
        self.waiting.clear()
        self.clock = time.perf_counter()
        for step, row in enumerate(rows, first):
            for name, value in row.items():
                if not math.isfinite(value):
                    player = "generator" if name.startswith("g_") else "discriminator"
                    raise NonFiniteLoss(
                        f"step {step}: {name} of the {player} is {value}; training stopped, "
                        f"the last good checkpoint is kept in {self.folder.checkpoints}"
                    )
        numbered = [{"step": s, **row, "images_per_s": round(rate, 1)} for s, row in enumerate(rows, first)]
        self.folder.append_log(numbered)
        self.shown = numbered[-1]

    def summary(self) -> str:
        """The newest losses and the speed, for the terminal."""
        if not self.shown:
            return ""
        return "D {d_loss:.3f}  G {g_loss:.3f}  {images_per_s:.0f} images/s".format(**self.shown)

    def draw_samples(self) -> None:
        """samples/step_NNNNNNNN.png: 64 images for the same noise each time."""
        before = time.perf_counter()
        images = viz.to_uint8(self.game.sample(64).numpy())
        path = self.folder.samples / f"step_{self.step:08d}.png"
        with atomic.naming(path):
            viz.save_png(viz.grid(images, 8), path)
        self.clock += time.perf_counter() - before  # pictures are not counted as training

    def save(self) -> None:
        """A checkpoint, once every loss so far is known to be finite."""
        self.read_back()
        before = time.perf_counter()
        meta = {"settings": asdict(self.settings)}
        checkpoint.save(self.folder.checkpoints, self.game.state, meta, self.step)
        self.clock += time.perf_counter() - before

    def finish(self) -> None:
        """losses.png and samples.gif, and a line that says where everything is."""
        with atomic.naming(self.folder.path):
            viz.loss_curves(self.folder.read_log(), self.folder.path / "losses.png", self.settings.name)
            viz.save_gif(sorted(self.folder.samples.glob("step_*.png")), self.folder.path / "samples.gif")
        if not self.settings.dry_run:
            print(f"Done: {self.summary()}. Samples, curves and checkpoints are in {self.folder.path}")


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """A list that fills when Ctrl-C or SIGTERM arrives, so that a step is finished first; a second one kills."""
    received: list[int] = []

    def handler(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are somebody else's business
        yield received
        return
    try:
        yield received
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
