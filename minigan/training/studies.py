"""Studies: what a script does that trains not one run but several, or none, and measures something of them.

A study writes one figure and its numbers, with the same options as a training run has where they mean something.
"""

import argparse
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import judge
from ..backend import array_module, to_numbers
from ..data import Samples, shuffled_batches
from ..errors import CheckpointError
from ..gan import Game, ScoreGame
from ..judge import Judge, centre  # noqa: F401  centre and FEW are for scripts
from ..system.launcher import check_alone
from ..system.options import Options
from ..system.terminal import ending, progress, say
from . import checkpoint
from .folder import RunFolder
from .settings import ALL_IS_WELL, FEW, Settings, common_options, positive  # noqa: F401

Study = Callable[[Settings, Path], Mapping[str, float]]  # writes its figures into a folder, and returns its numbers


def parser(name: str, description: str, *, steps: int, batch_size: int, data: Sequence[str] = ()) -> Options:
    """The options that every study has; a script adds its own to it. `data` as in training.parser."""
    images = "images, as in train.py (default: auto)"
    p = common_options(name, description, batch_size=batch_size, data=data, images=images, noun="study")
    p.add_argument("--steps", type=positive, default=steps, help=f"rounds of each game (default: {steps})")
    return p


def main(study: Study, options: argparse.ArgumentParser, *, arguments: list[str] | None = None) -> int:
    """Parse the command line, do `study(settings, folder)`; the exit status of the program.

    The numbers it returns go to the terminal and into metrics.json, its settings into config.json. An --out that
    holds a training run is refused; what an earlier study wrote there is replaced.
    """

    def program() -> int:
        check_alone()
        settings = Settings.parsed(options, arguments)
        with settings.ready():
            status = _run(study, settings)
        if settings.dry_run:
            say(ALL_IS_WELL)
        return status

    return ending(options.prog, program)


def _run(study: Study, settings: Settings) -> int:
    array_module(settings.device)  # fails before anything is written
    folder = RunFolder(Path(settings.out))
    if checkpoint.find(folder.checkpoints):
        raise CheckpointError(f"{folder.path} holds a training run: give another folder with --out")
    folder.path.mkdir(parents=True, exist_ok=True)
    metrics = study(settings, folder.path)
    folder.write_config(settings, settings.steps or 0, {})
    folder.write_metrics(metrics)
    if not settings.dry_run:
        written = sorted(path.name for path in folder.path.iterdir() if path.is_file() and path.name[0] != ".")
        say(f"Done. In {folder.path}: {', '.join(written)}")
    return 0


def play(
    game: Game, samples: Samples, settings: Settings, steps: int | None = None, *, label: str = ""
) -> Iterator[tuple[int, dict[str, float]]]:
    """`steps` (or settings.steps) rounds of the game on shuffled batches: after each (step, its losses as numbers).

    Steps are counted from the game's first one, so that a second call goes on where the first stopped.
    """
    labels = samples.labels if game.labelled else None
    drawn: dict[str, Any] = {"labels": labels, "seed": settings.seed, "device": settings.device}
    settings.check_batch(samples.counts())
    batches = shuffled_batches(samples.values, settings.batch_size, paired=samples.paired, **drawn)
    for _ in progress(range(settings.steps or 0 if steps is None else steps), desc=label, unit="step"):
        losses = game.play(batches)
        values = to_numbers([value.data for value in losses.values()])
        yield game.rounds, dict(zip(losses, values, strict=True))


def rebuilt(run: Path, scripts: Path, device: str = "cpu", *, trained: bool = True) -> tuple[ScoreGame, Settings]:
    """(the game of the training run in that folder at its newest checkpoint, its settings), rebuilt by its script.

    Without `trained`, as it was before its first step.
    CheckpointError if the folder holds no run, its script is not in `scripts`, or its game has no scores or has labels.
    """
    settings = RunFolder(run).settings()
    settings.device = device
    game = script(scripts, settings.name).build(settings)
    if not isinstance(game, ScoreGame) or game.labelled:
        hint = " (that is, --clusters 0)" if settings.clusters else ""
        raise CheckpointError(f"{run}: {settings.name} has no generator that is fed with noise alone{hint}")
    if trained:
        game.load_state(RunFolder(run).load_newest()[1])
    return game, settings


def script(scripts: Path, name: str) -> Any:
    """The script of that name in a folder, as a module; CheckpointError if it is not there."""
    path = scripts / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise CheckpointError(f"{path}: no such script, so what it built cannot be built again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quick_judge(samples: Samples, settings: Settings) -> Judge:
    """`judge.quick_judge` for a study of these settings."""
    return judge.quick_judge(samples, seed=settings.seed, few=settings.dry_run, device=settings.device)
