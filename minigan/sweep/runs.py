"""One run of a sweep: how it stands, by what is in its folder, and how a process computes it."""

import contextlib
import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ..data import DATASETS
from ..errors import CheckpointError
from ..judge.verdict import has_failed
from ..kernels.threads import limited
from ..system.signals import INTERRUPTED, stop_this_program
from ..system.terminal import ending, printed_into, warn
from ..system.workers import WATCH, Asked, Done
from ..training import Settings, checkpoint, record
from ..training.folder import AT_THE_END
from ..training.loop import FAILED
from ..training.settings import FREE_ON_RESUME, as_now, flat
from .grid import run_name

LOG = "output.log"  # what a run says on the terminal if it is trained alone
FINISHED, STOPPED, FAILED_SO, BEGUN, NEW = "finished", "stopped early", "failed", "not finished", "not begun"
DONE = (FINISHED, STOPPED)
Train = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Unit:
    """A run: what is varied in it, its folder, the words that `minigan train` makes it of, what they mean."""

    values: Mapping[str, str]
    folder: Path
    arguments: Sequence[str]
    settings: Settings

    @property
    def name(self) -> str:
        """What it is called where it is shown."""
        return run_name(self.values)

    @property
    def begun(self) -> bool:
        """Is something there to go on with?"""
        return bool(checkpoint.find(self.folder / "checkpoints")) or (self.folder / "config.json").exists()

    def words(self) -> list[str]:
        """The words after `minigan train` that begin it, or go on with it."""
        return [*self.arguments, "--out", str(self.folder), *(["--resume"] if self.begun else [])]


def standing(unit: Unit) -> str:
    """FINISHED, STOPPED (by --early-stop), BEGUN or NEW; CheckpointError if it was made with other settings."""
    if not unit.begun:
        return NEW
    try:
        before = record.read_config(unit.folder, [])
    except CheckpointError:
        return BEGUN  # training says what is wrong, or begins anew
    _check_same(unit, before["settings"])
    if unit.settings.early_stop and has_failed(record.read_looks(unit.folder, [])):
        return STOPPED
    last = _last(unit.settings, before)
    held = checkpoint.find(unit.folder / "checkpoints")
    saved = int(checkpoint.NAME.fullmatch(held[-1].name)[1]) if held else 0  # type: ignore[index]
    whole = all((unit.folder / name).exists() for name in AT_THE_END)
    return FINISHED if last is not None and saved >= last and whole else BEGUN


def _last(settings: Settings, before: Mapping[str, object]) -> int | None:
    """How many steps the settings ask for, as far as that is known without the data."""
    if settings.steps is not None:
        return settings.steps
    held, total = before["settings"], before.get("total_steps")
    assert isinstance(held, dict)
    same = all(held.get(name) == getattr(settings, name) for name in ("steps", "minutes", "epochs"))
    return total if same and isinstance(total, int) else None


def _check_same(unit: Unit, before: dict[str, object]) -> None:
    """CheckpointError naming the settings that were others, of those that decide a run."""
    was, now = as_now(before), flat(json.loads(json.dumps(asdict(unit.settings))))
    now["data"] = now["data"] if now["data"] in DATASETS else str(Path(now["data"]).resolve())
    fixed = set(now) - FREE_ON_RESUME - ({"data"} if unit.settings.data == "auto" else set())
    if differing := [name for name in now if name in fixed and was.get(name) != now[name]]:
        told = ", ".join(f"{name} was {was.get(name)!r}, is {now[name]!r}" for name in differing)
        raise CheckpointError(f"{unit.folder}: was made with other settings ({told}): give another folder with --out")


# --- computed ---------------------------------------------------------------------------------------------------


class Job(NamedTuple):
    """What a process is told of a run."""

    train: Train
    words: Sequence[str]
    folder: Path
    threads: int


class Outcome(NamedTuple):
    """How a run ended: FINISHED, STOPPED, or FAILED_SO and why."""

    status: str
    why: str = ""


def compute(job: Job, stopped: Asked, done: Done) -> Outcome | None:
    """Train the run in this process, with what it says in its log; None if it was stopped, and has saved itself."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        warn(line)

    def program() -> int:
        with _watched(job.folder, stopped, done):
            return job.train(job.words)

    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with printed_into(job.folder / LOG), limited(job.threads):
            warn(f"$ minigan train {' '.join(job.words)}")
            try:
                status = ending("minigan train", program, tell)
            except Exception as error:  # a fault of ours: the other runs go on all the same
                warn(traceback.format_exc())
                return Outcome(FAILED_SO, f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:  # a second signal, while it ended because of the first
        return None
    except (OSError, CheckpointError) as error:  # nothing can be written there
        return Outcome(FAILED_SO, str(error))
    if status == INTERRUPTED:
        return None
    if status in (0, FAILED):
        return Outcome(STOPPED if status else FINISHED)
    why = told[-1].removeprefix("minigan train: ") if told else f"status {status}"
    return Outcome(FAILED_SO, why)


@contextlib.contextmanager
def _watched(folder: Path, stopped: Asked, done: Done) -> Iterator[None]:
    """Within the block, what the run has done is told, and it gets a signal once it is to stop."""
    left = threading.Event()

    def watch() -> None:
        signalled = False
        while not left.wait(WATCH):
            if stopped() and not signalled:
                signalled = True
                stop_this_program()
            step, last = record.reached(folder)
            done(min(step / last, 1.0) if last else 0.0)

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
