"""A run of training, from its command line to its last file.

A run is decided by its settings. Whatever stops it, the same command with --resume continues where the last
checkpoint stands, and arrives at the same weights as a run that was never stopped.
"""

import argparse
import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import data, viz
from ..backend import array_module
from ..data import Samples, Shape, fingerprint, fingerprint_of_pictures, load_images
from ..errors import CheckpointError, DataError, DeviceError, MiniganError, ProcessError, ShapeError
from ..gan import ConditionalGame, Game
from ..judge import Gauge, suited
from ..kernels import set_precision
from ..kernels.installation import without_compiled
from ..kernels.threads import limited
from ..nn import in_chunks
from ..optim import Course
from ..processes import Group, NCCLGroup, Part, Threads, cores_of_one, world
from ..processes.mpi import MPIGroup
from ..system.terminal import ending, say, shown, silence
from . import checkpoint, labels, length, report, shortage
from .folder import RunFolder
from .hooks import Hook, Hooks
from .loop import Loop, Picture, lasts
from .settings import ALL_IS_WELL, FEW, Settings
from .team import Ended, Team
from .trackers import trackers

Build = Callable[[Settings], Game]
Load = Callable[[Settings, int | None], Samples]
ShapeOf = Callable[[Settings], Shape]
Measure = Callable[[Game, Samples, Settings], Mapping[str, float]]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # what says how many threads compute
_BUILDING = threading.Lock()  # virtual ranks are threads, to which the default random stream belongs together
SEEN = 4096  # samples of a streamed folder that pictures and verdicts are made with


def sample_grid(game: Game, samples: Samples, path: Path) -> None:
    """Write 64 images of the game to `path`, for the same noise each time."""
    viz.save_png(viz.grid(viz.to_uint8(game.sample(64).numpy()), 8), path)


def reconstruction_grid(game: Any, samples: Samples, path: Path) -> None:
    """Write 64 images of the game beside 32 of the samples, each over what `game.reconstruct` makes of it."""
    real = samples.drawn[:32]
    again = in_chunks(game.reconstruct, real, game.step.device)
    pairs = viz.grid(viz.in_pairs(real, viz.to_uint8(again)), 8)
    viz.save_png(viz.beside(viz.grid(viz.to_uint8(game.sample(64).numpy()), 8), pairs), path)


def main(
    build: Build,
    options: argparse.ArgumentParser,
    shape: ShapeOf = lambda settings: (1, 28, 28),
    *,
    load: Load | None = None,
    picture: Picture = sample_grid,
    measure: Measure | None = None,
    hooks: Sequence[Hook] = (),
    arguments: Sequence[str] | None = None,
    name: str | None = None,
) -> int:
    """Parse the command line, train what `build(settings)` makes; the exit status of the program.

    `name` is what the run says it was made by, the program's name if it is not given. `shape(settings)` is that of one
    image, (channels, height, width). The rest is for systems that are not shown by a grid of images, and for trackers:
    see `run`.
    """
    parts: dict[str, Any] = {"load": load, "picture": picture, "measure": measure, "hooks": hooks}
    return ending(options.prog, lambda: start(build, Settings.parsed(options, arguments, name), shape, **parts))


def start(build: Build, settings: Settings, shape: ShapeOf, **parts: Any) -> int:
    """`run`, in a temporary folder if it is a dry run."""
    asked = settings.batch_size
    with settings.ready():
        status = run(build, settings, shape, batch=asked, **parts)
    if settings.dry_run and status == 0:
        say(ALL_IS_WELL)
    return status


def run(
    build: Build,
    settings: Settings,
    shape: Shape | ShapeOf = (1, 28, 28),
    *,
    load: Load | None = None,
    picture: Picture = sample_grid,
    measure: Measure | None = None,
    hooks: Sequence[Hook] = (),
    batch: int | None = None,
) -> int:
    """Train the game that `build(settings)` makes, into the folder settings.out; the exit status, 0 when done.

    `shape` is that of one image, (channels, height, width), or a function of the settings that tells it.
    `load(settings, limit)` gives the samples, at most `limit` if there is one: by default the images that settings.data
    names. `picture(game, samples, path)` writes a PNG of what the generator makes. At the end `measure(game, samples,
    settings)` gives numbers by name, which go to the terminal and into metrics.json; it may write more into
    settings.out. The `hooks`, and the trackers that settings.log names, are told of the run as it goes.
    NotEnoughMemory, before anything is written, if the device has too little memory for rounds of `batch` samples, by
    default settings.batch_size.
    """
    begun = time.perf_counter()
    shape_of: ShapeOf = shape if callable(shape) else lambda settings: shape
    processes = world()
    if isinstance(processes, MPIGroup):
        processes.patience = settings.patience

    def by_one(group: Group, settings: Settings) -> int:
        team = Team(group)
        if group.rank:
            silence()
            return _follow(team, build, settings, shape_of, load)
        with team.leading(), data.each_reported_once():
            told = Hooks([*hooks, *trackers(settings.log)])
            batch_asked = batch or settings.batch_size
            return _lead(team, build, settings, shape_of, load, picture, measure, told, batch_asked, begun)

    with _share_of_cores(processes, settings.virtual_ranks):
        if not settings.virtual_ranks:
            return by_one(processes, settings)
        try:
            ranks = Threads(settings.virtual_ranks, processes)
        except ShapeError:
            return _refused_by_all(Team(processes))
        return ranks.run(lambda group: by_one(group, replace(settings) if group.rank else settings))[0]


def _refused_by_all(team: Team) -> int:
    """Raise, in the first process, the error that all of them have now; the exit status in the others."""
    if team.group.rank:
        return team.wait().status
    with team.leading():
        raise


def _share_of_cores(group: Group, virtual_ranks: int) -> contextlib.AbstractContextManager[None]:
    """A block in which as many threads compute as each rank has cores, unless the environment says how many."""
    threads = max(virtual_ranks // group.size, 1)  # of this process, that are ranks
    if group.size * threads == 1 or any(name in os.environ for name in THREADS):
        return contextlib.nullcontext()
    return limited(max(cores_of_one(group) // threads, 1))


def _lead(
    team: Team,
    build: Build,
    settings: Settings,
    shape_of: ShapeOf,
    load: Load | None,
    picture: Picture,
    measure: Measure | None,
    told: Hooks,
    batch: int,
    begun: float,
) -> int:
    """`run`, which began at that time, in the first process of a team, or in the only one."""
    shape = shape_of(settings)
    game = _made(build, settings, team.group)  # fails before anything is written
    folder = RunFolder(Path(settings.out))
    with folder.held():
        resumed = folder.open(settings)
        saved, arrays, about = folder.load_newest() if resumed else (None, {}, {})
        samples = _loaded(settings, shape, load)
        settings.data = samples.name
        with contextlib.ExitStack() as open_files:
            labelled = labels.labelled(samples, settings, folder, resumed=resumed)
            batches, about_samples = _batches(labelled, game, settings, shape, open_files)
            if saved is not None:
                changed = folder.check_unchanged(settings, about_samples, about)
                _continue(game, arrays, keep_rates=bool(changed))
                checkpoint.continue_from(folder.checkpoints, saved, settings.keep)
            shortage.check(game, batches, samples.drawn.shape[1:], settings, batch)
            per_epoch = max(batches.per_epoch // game.batches_per_step, 1)
            last = length.told(settings, about, per_epoch)
            courses = [schedule for schedule in game.schedules if isinstance(schedule, Course)]
            if courses and about.get("total_steps") not in (None, last):
                say(f"note: learning rates that were to end at step {about['total_steps']} go on along another course")
            gauge = _gauge(game, samples, settings) if game.rounds < last else None
            if game.rounds <= last:
                folder.write_config(settings, last, about_samples)
            if saved is None and settings.device == "cpu" and (why := without_compiled()):
                say(f"note: NumPy's kernels do the work, which takes them about twice as long as compiled ones: {why}")
            for doubt in game.doubts():
                say(f"note: {doubt}")
            if last != length.UNKNOWN and game.warm_up >= last:
                say(f"note: only after {game.warm_up} steps do all players move, and this run has {last}: --warm-up")
            team.begin(game, batches, {"labels": labelled.labels, "data": about_samples})
            if last != length.UNKNOWN:
                team.by_all(partial(lasts, rounds=last))
            about_run: dict[str, Any] = {"per_epoch": per_epoch, "last": last, "about_samples": about_samples}
            about_run |= {"begun": begun, "hooks": told}
            loop = Loop(team, labelled, settings, folder, picture, gauge=gauge, **about_run)
            ended = open_files.enter_context(told.ending(lambda: loop.step))
            try:
                with shortage.explained(game, batches, settings, folder):
                    status = loop.run()
            except BaseException:
                with contextlib.suppress(MiniganError, OSError):  # the page is wanted most now, the first error more
                    report.write(folder.path)
                raise
            team.end(status)
            metrics: Mapping[str, float] = {}
            if status == 0 and measure is not None:
                metrics = measure(game, labelled, settings)
                folder.write_metrics(metrics)
                told.tell(lambda hook: hook.evaluated(loop.step, metrics))
            if status == 0:
                loop.conclude(metrics)
            report.write(folder.path)
            ended.append(status)
        return status


def _follow(team: Team, build: Build, settings: Settings, shape_of: ShapeOf, load: Load | None) -> int:
    """`run` in one of the other processes of a team."""
    problem: MiniganError | OSError | None = None
    try:
        shape = shape_of(settings)
        game = _made(build, settings, team.group)
        samples = _loaded(settings, shape, load)
    except (MiniganError, OSError) as error:
        problem = error  # the first process may have the same one, and says so
    begun = team.wait()
    if isinstance(begun, Ended):
        return begun.status
    if problem is not None:
        raise problem
    settings.data = samples.name
    with contextlib.ExitStack() as open_files:
        labelled = samples._replace(labels=begun["labels"])
        batches, about_samples = _batches(labelled, game, settings, shape, open_files)
        if about_samples != begun["data"]:
            raise ProcessError(
                f"{shown(samples.name)}: here it is {about_samples}, in the first process {begun['data']}"
            )
        return team.follow(game, batches)


def _made(build: Build, settings: Settings, group: Group) -> Game:
    """The game that the settings make, for these processes; an error before anything is written, if they make none."""
    if group.size > 1 and settings.device == "cuda":
        if settings.virtual_ranks:
            raise DeviceError(
                "--virtual-ranks: GPUs add in an order of NCCL's own; take --device cpu for the same bits"
            )
        group = NCCLGroup(group)  # which chooses each one's GPU, before anything lies on any
    array_module(settings.device)
    if not settings.out:
        raise CheckpointError("run: expected settings.out to be a folder, got an empty path")
    set_precision(settings.precision)
    with _BUILDING:
        game = build(settings)
    game.graphs = settings.graph
    if group.size > 1:
        game.distribute(group, sync_norm=settings.sync_norm)
    game.accumulate(settings.accumulate)
    Part(0, group.size * settings.accumulate).rows(settings.batch_size)
    return game


def _loaded(settings: Settings, shape: Shape, load: Load | None) -> Samples:
    """The samples of the run."""
    limit = FEW if settings.dry_run else SEEN if settings.stream else None
    if load is None:
        if settings.images and settings.stream:
            raise DataError(f"--images {settings.images}: --stream reads all of a folder; leave out one of the two")
        count = min(settings.images, limit) if settings.images and limit else settings.images
        return load_images(settings.data, limit, shape, labels=settings.labels_from, count=count)
    return load(settings, limit)


def _batches(
    samples: Samples, game: Game, settings: Settings, shape: Shape, open_files: contextlib.ExitStack
) -> tuple[data.Shuffled | data.Together, dict[str, Any]]:
    """The batches of the run, and what tells its data from others; the game meets the data."""
    game.meet(samples.values)
    if settings.labels_from and not (game.labelled or settings.resume):
        raise DataError(f"--labels-from {settings.labels_from}: {type(game).__name__} does not learn from labels")
    if settings.stream and samples.on_disk is None:
        samples = samples._replace(on_disk=_on_disk(settings, shape, settings.labels_from if game.labelled else None))
    if game.labelled:
        found = samples.needed_labels(f"and {type(game).__name__} learns from labels")
        if isinstance(game, ConditionalGame) and game.counts is not None:
            game.count(samples.on_disk.numbers[0] if settings.stream else found)
    drawn: dict[str, Any] = {"seed": settings.seed, "device": settings.device}
    drawn |= {"flip": settings.flip, "crop": settings.crop}
    if not settings.stream:
        settings.check_batch(samples.counts())
        told = samples.labels if game.labelled else None
        drawn |= {"labels": told, "paired": samples.paired}
        about = fingerprint(samples.values) | labels.fingerprint_of_labels(told, settings)
        return data.shuffled_batches(samples.values, settings.batch_size, **drawn), about
    settings.check_batch(samples.counts(streamed=True))
    streamed = data.streamed_batches(samples.on_disk, settings.batch_size, **drawn)
    return open_files.enter_context(contextlib.closing(streamed)), fingerprint_of_pictures(samples.on_disk)


def _on_disk(settings: Settings, shape: Shape, labels: str | None) -> data.Pictures:
    """The pictures of the folder that --data names, with such labels if any; DataError if it is none."""
    if not Path(settings.data).is_dir():
        raise DataError(f"--stream reads a folder of pictures, and {shown(settings.data)} is none")
    return data.pictures_in(settings.data, shape[1], shape[0], labels=labels)


def _gauge(game: Game, samples: Samples, settings: Settings) -> Gauge | None:
    """What --evaluate-every measures with, if it is asked for: the labels are the data's own, as judges know them."""
    if settings.evaluate_every is None:
        return None
    if not game.generates:
        raise DataError(f"--evaluate-every measures samples, and {type(game).__name__} makes none")
    if samples.drawn.ndim != 4:
        raise DataError(f"--evaluate-every measures images, and {shown(samples.name)} has points")
    n = min(settings.evaluate_n, FEW) if settings.dry_run else settings.evaluate_n
    gauge = Gauge(samples, n, suited(samples, settings.device), few=settings.dry_run)
    say(f"evaluated every {settings.evaluate_every} steps: {gauge.described}")
    return gauge


def _continue(game: Game, arrays: Mapping[str, Any], *, keep_rates: bool) -> None:
    """Load a checkpoint's arrays; with `keep_rates` all but the learning rates, which the settings gave already."""
    rates = {name: optimizer.lr for name, optimizer in game.optimizers.items()}
    game.load_state(arrays)
    if keep_rates:
        for name, optimizer in game.optimizers.items():
            optimizer.lr = rates[name]
