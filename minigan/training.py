"""The training loop, once: batches in, a folder of logs, samples, curves and checkpoints out.

A run is decided by its settings. Whatever stops it, the same command with --resume continues where the last
checkpoint stands, and arrives at the same weights as a run that was never stopped.
"""

import argparse
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import atomic, backend, checkpoint, data, viz
from .data.sources import Samples, Shape, fingerprint, load_images
from .errors import DataError, MiniganError, NonFiniteLoss
from .gan import Game
from .judge import in_chunks
from .kernels import PRECISIONS, set_precision
from .runs import COLUMNS, RunFolder, Settings, positive
from .tensor import Tensor

READ_BACK = 20  # steps between two looks at the losses: between them nothing waits for the device
INTERRUPTED = 130  # the exit status of a program stopped by Ctrl-C

Build = Callable[[Settings], Game]
Load = Callable[[Settings, int | None], Samples]
Picture = Callable[[Game, Samples, Path], None]
Measure = Callable[[Game, Samples, Settings], Mapping[str, float]]
FEW = 256  # samples of a dry run
PLAYERS = {"g_": " of the generator", "d_": " of the discriminator"}  # whose a column of the log is


def parser(
    name: str, description: str, *, epochs: int, batch_size: int, data: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """The options that every example has; a script adds its own to it.

    `data` are the names that --data may give, if a script loads its samples itself; auto then means the first.
    """
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
    if data:
        shown = f"what to learn from (default: {data[0]})"
        p.add_argument("--data", choices=["auto", *data], default="auto", help=shown)
    else:
        p.add_argument(
            "--data",
            default="auto",
            metavar="auto|mnist|digits|cifar10|PATH",
            help="images to learn from: mnist; digits, drawn from fonts, no download; cifar10; a folder of pictures; "
            "auto (default) means mnist if it can be had, else digits",
        )
    p.add_argument("--epochs", type=positive, default=epochs, help=f"passes over the data (default: {epochs})")
    p.add_argument("--steps", type=positive, help="rounds of the game, instead of --epochs")
    p.add_argument("--batch-size", type=positive, default=batch_size, help=f"samples a step (default: {batch_size})")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same run (default: 0)")
    p.add_argument("--out", default=f"runs/{name}", metavar="DIR", help=f"where to write (default: runs/{name})")
    p.add_argument("--checkpoint-every", type=positive, metavar="STEPS", help="save also every so many steps")
    p.add_argument(
        "--sample-every", type=positive, metavar="STEPS", help="draw samples so often (default: each epoch, and early)"
    )
    p.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    p.add_argument("--dry-run", action="store_true", help="two steps of everything, in a temporary folder")
    return p


def sample_grid(game: Game, samples: Samples, path: Path) -> None:
    """Write 64 images of the game to `path`, for the same noise each time."""
    viz.save_png(viz.grid(viz.to_uint8(game.sample(64).numpy()), 8), path)


def reconstruction_grid(game: Any, samples: Samples, path: Path) -> None:
    """Write 64 images of the game beside 32 of the samples, each over what `game.reconstruct` makes of it."""
    real = samples.values[:32]
    again = in_chunks(game.reconstruct, real, game.step.device)
    pairs = viz.grid(viz.in_pairs(real, viz.to_uint8(again)), 8)
    viz.save_png(viz.beside(viz.grid(viz.to_uint8(game.sample(64).numpy()), 8), pairs), path)


def main(
    build: Build,
    options: argparse.ArgumentParser,
    shape: Callable[[Settings], Shape] = lambda settings: (1, 28, 28),
    *,
    load: Load | None = None,
    picture: Picture = sample_grid,
    measure: Measure | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, train what `build(settings)` makes; the exit status of the program.

    `shape(settings)` is that of one image, (channels, height, width). The rest is for systems that are not shown by a
    grid of images: see `run`.
    """
    parsed = vars(options.parse_args(arguments))
    known = {k: parsed.pop(k) for k in list(parsed) if k in Settings.__dataclass_fields__}
    settings = Settings(name=options.prog.removesuffix(".py"), extra=parsed, **known)
    try:
        parts: dict[str, Any] = {"load": load, "picture": picture, "measure": measure}
        if not settings.dry_run:
            return run(build, settings, shape(settings), **parts)
        with tempfile.TemporaryDirectory() as folder:
            settings.out, settings.steps, settings.batch_size = folder, 2, min(settings.batch_size, 16)
            return run(build, settings, shape(settings), **parts)
    except (MiniganError, OSError) as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return 1


def run(
    build: Build,
    settings: Settings,
    shape: Shape = (1, 28, 28),
    *,
    load: Load | None = None,
    picture: Picture = sample_grid,
    measure: Measure | None = None,
) -> int:
    """Train the game that `build(settings)` makes, into the folder settings.out; the exit status, 0 when done.

    `load(settings, limit)` gives the samples, at least as few as `limit` if there is one: by default the images that
    settings.data names. `picture(game, samples, path)` writes a PNG of what the generator makes. At the end
    `measure(game, samples, settings)` gives numbers by name, which go to the terminal and into metrics.json; it may
    write more into settings.out.
    """
    backend.array_module(settings.device)  # fails before anything is written
    backend.keep_freed_memory()
    folder = RunFolder(Path(settings.out))
    resumed = folder.open(settings)
    limit = FEW if settings.dry_run else None
    samples = load_images(settings.data, limit, shape) if load is None else load(settings, limit)
    settings.data = samples.name
    about_samples = fingerprint(samples.values)
    if resumed:
        folder.check_unchanged(settings, about_samples)
    set_precision(settings.precision)
    game = build(settings)
    game.graphs = settings.graph
    if game.labelled and samples.labels is None:
        raise DataError(f"{samples.name}: these samples have no labels, and {type(game).__name__} learns from labels")
    labels = samples.labels if game.labelled else None
    batches = data.shuffled_batches(
        samples.values, settings.batch_size, labels=labels, seed=settings.seed, device=settings.device
    )
    if resumed:
        game.load_state(folder.load_newest())
    per_epoch = max(batches.per_epoch // game.batches_per_step, 1)
    last = settings.steps if settings.steps is not None else settings.epochs * per_epoch
    folder.write_config(settings, last, about_samples)
    loop = Loop(
        game, batches, settings, folder, per_epoch, last, samples.noun, lambda path: picture(game, samples, path)
    )
    status = loop.run()
    if status == 0 and measure is not None:
        folder.write_metrics(measure(game, samples, settings))
    return status


class Loop:
    """Rounds of the game until the last step, with what is written on the way."""

    def __init__(
        self,
        game: Game,
        batches: data.Batches | data.StreamedBatches,
        settings: Settings,
        folder: RunFolder,
        per_epoch: int,
        last: int,
        noun: str,
        draw: Callable[[Path], None],
    ) -> None:
        self.game = game
        self.source = batches if isinstance(batches, data.Batches) else lambda k: Tensor(batches.at(k))
        self.settings = settings
        self.folder = folder
        self.per_epoch = per_epoch
        self.last = last
        self.noun = noun
        self.draw = draw
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
        each = f"{self.settings.batch_size} {self.noun}"
        print(f"{self.settings.data}: {self.last} steps of {each}, {self.per_epoch} an epoch")
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
        every, looks = self.settings.checkpoint_every, self.settings.sample_every
        due = self.step % looks == 0 if looks is not None else end_of_epoch or self.step in self.early_looks()
        if due or self.step == self.last:
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
                    player = PLAYERS.get(name[:2], "")
                    raise NonFiniteLoss(
                        f"step {step}: {name}{player} is {value}; training stopped, "
                        f"the last good checkpoint is kept in {self.folder.checkpoints}"
                    )
        numbered = [{"step": s, **row, "images_per_s": round(rate, 1)} for s, row in enumerate(rows, first)]
        self.folder.append_log(numbered)
        self.shown = numbered[-1]

    def summary(self) -> str:
        """The newest losses and the speed, for the terminal."""
        names = {"d_loss": "D", "g_loss": "G"}
        losses = [f"{names.get(k, k)} {v:.3f}" for k, v in self.shown.items() if k in names or k not in COLUMNS]
        return "  ".join([*losses, f"{self.shown['images_per_s']:.0f} {self.noun}/s"]) if self.shown else ""

    def draw_samples(self) -> None:
        """samples/step_NNNNNNNN.png: what the generator makes of the same noise each time."""
        before = time.perf_counter()
        path = self.folder.samples / f"step_{self.step:08d}.png"
        with atomic.naming(path):
            self.draw(path)
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
            viz.loss_curves(self.folder.read_log(), self.folder.path / "losses.png", self.settings.title)
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
