"""One cell of a table: what its function is given, and the files by which it goes on after a stop."""

import io
import json
import math
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import to_numbers
from ..errors import CheckpointError, NonFiniteLoss
from ..gan import Game
from ..gan.rehearsal import first_spoilt
from ..kernels.installation import versions
from ..system import disk
from ..system.terminal import warn
from ..training import checkpoint
from .results import Result, kept
from .table import Row, Settings, Table

EVERY = 60.0  # seconds between the checkpoints of a cell
LOOK = 100  # steps between looks at its losses
RESULT = "result.json"


class Stopped(Exception):
    """A cell is to stop here; what it did is saved."""


class Cell:
    """A row and a seed of a table, and the folder where it is computed.

    `settings` are the protocol's and the row's. `stopped()` says whether to stop at the next step, `done(share)` is
    told how much is done, from 0 to 1.
    """

    def __init__(
        self,
        table: Table,
        row: Row,
        seed: int,
        folder: Path,
        protocol: Settings,
        *,
        device: str = "cpu",
        threads: int = 1,
        stopped: Callable[[], bool] = lambda: False,
        done: Callable[[float], None] = lambda share: None,
    ) -> None:
        self.table = table
        self.row = row
        self.seed = seed
        self.folder = folder
        self.settings: dict[str, Any] = {**protocol, **row.settings}
        self.device = device
        self.threads = threads
        self.stopped = stopped
        self.done = done
        self._seconds = 0.0  # that earlier parts of it took
        self._began = time.perf_counter()

    @property
    def checkpoints(self) -> Path:
        """Where it saves what it has done."""
        return self.folder / "checkpoints"

    @property
    def seconds(self) -> float:
        """The time that it took so far, all parts together."""
        return self._seconds + time.perf_counter() - self._began

    def result(self) -> Result:
        """Compute the cell, or go on with it, and keep what came out in its folder; `Stopped` if it was told to stop.

        A loss or weight that is not finite is a result: the cell failed, and says why.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with disk.holding(self.folder / ".lock"):  # a process whose parent was killed may still be at it
            disk.clear(self.folder)
            failed, numbers = "", {}
            try:
                numbers = dict(self.table.cell(self))
            except NonFiniteLoss as error:
                failed = str(error)
            result = Result(self.row.name, self.seed, numbers, self.seconds, failed, self.threads, self.device)
            about = {"sha256": disk.BLANK.decode(), **result.plain(), "settings": self.settings, "versions": versions()}
            disk.write(self.folder / RESULT, disk.sealed(json.dumps(about, indent=2).encode()))
            shutil.rmtree(self.checkpoints, ignore_errors=True)  # the result replaces them
        self.done(1.0)
        return result

    def finished(self) -> Result | None:
        """What came out of it, if it was computed before; CheckpointError if that was under other settings."""
        path = self.folder / RESULT
        if not path.exists():
            return None
        try:
            text = disk.read(path)
            held = disk.parsed(text)
            if not disk.is_whole(text, held["sha256"]):
                raise ValueError("its checksum is another")
            result = Result.of_plain(held)
            result.folder = self.folder
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error}); delete it, and the cell is computed anew"
            ) from error
        self._check(held["settings"], path)
        return result

    def keep(self, name: str, **arrays: np.ndarray) -> None:
        """Write arrays by name to NAME.npz in the cell's folder, for its picture: `Result.kept` reads them."""
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        disk.write(self.folder / f"{name}.npz", content.getvalue())

    def recall(self, name: str) -> dict[str, np.ndarray]:
        """What the cell kept under that name before it was stopped; empty if nothing."""
        return kept(self.folder, name)

    def train(
        self, game: Game, batches: Any, steps: int, looks: Collection[int] = (), *, start: float = 0.0, end: float = 1.0
    ) -> Iterator[int]:
        """Play the game to step `steps`, from the cell's last checkpoint on; the number of each step of `looks`.

        At each of them the caller does what is to be done there: it is done again if the cell was stopped before its
        next checkpoint, so it must depend on the game alone. 0 is before the first step. A checkpoint is written each
        minute and when the cell is told to stop, which raises `Stopped`. `start` and `end` are the share of the cell
        that this training is. NonFiniteLoss if a loss is not finite or, at a look or at the end, a weight. A cell
        trains one game.
        """
        self._restore(game)
        saved = time.perf_counter()
        if game.rounds == 0 and 0 in looks:
            yield 0
        while game.rounds < steps:
            losses = game.play(batches)
            if game.rounds % LOOK == 0:
                self._check_losses(game, {name: loss.data for name, loss in losses.items()})
                self.done(start + (end - start) * game.rounds / steps)
            if game.rounds in looks:
                self._check_weights(game)  # what they make could not be measured
                yield game.rounds
            if self.stopped() and game.rounds < steps:
                self._save(game)
                raise Stopped
            if time.perf_counter() - saved > EVERY:
                self._save(game)
                saved = time.perf_counter()
        self._check_weights(game)

    def _check_losses(self, game: Game, losses: Mapping[str, Any]) -> None:
        for name, value in zip(losses, to_numbers(list(losses.values())), strict=True):
            if not math.isfinite(value):
                raise NonFiniteLoss(f"step {game.rounds}: {name} is {value}")

    def _check_weights(self, game: Game) -> None:
        if spoilt := first_spoilt(game):
            raise NonFiniteLoss(f"step {game.rounds}: {spoilt} is not finite")

    def _save(self, game: Game) -> None:
        self._check_weights(game)
        self.checkpoints.mkdir(exist_ok=True)
        meta = {"settings": self.settings, "seconds": self.seconds}
        checkpoint.save(self.checkpoints, game.state, meta, game.rounds, keep=1)

    def _restore(self, game: Game) -> None:
        """Load the newest whole checkpoint of the cell; without one it begins anew, and nothing of before stays."""
        problems: list[str] = []
        held = checkpoint.newest(self.checkpoints, problems)
        for problem in problems:
            warn(problem)
        if held is None:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            for path in self.folder.glob("*.npz"):
                path.unlink()
            return
        path, arrays, meta = held
        self._check(meta["settings"], path)
        checkpoint.continue_from(self.checkpoints, path, keep=1)
        game.load_state(arrays)
        self._seconds += float(meta["seconds"])

    def _check(self, before: Settings, path: Path) -> None:
        """CheckpointError naming the settings that are not what they were when the file was written."""
        now = json.loads(json.dumps(self.settings))
        if before != now:
            differing = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
            told = ", ".join(f"{k} was {before.get(k)!r}, is {now.get(k)!r}" for k in differing)
            raise CheckpointError(f"{path}: made with other settings ({told}): give another folder with --out")
