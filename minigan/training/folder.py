"""The folder of a run: who may use it, how its files are written, and when it may be continued. `record` reads them."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..judge.verdict import Look
from ..system import disk
from ..system.machine import blas_info, versions
from ..system.terminal import say
from . import checkpoint, record
from .record import COLUMNS
from .settings import FREE_ON_RESUME, Settings, flat


class RunFolder:
    """The files of one run: `record`'s, checkpoints/, generator.safetensors, losses.png, samples.gif, report.html."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.log = path / "log.csv"
        self.health = path / "health.jsonl"
        self.generator = path / "generator.safetensors"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within the block no other process may use the folder, which is made if it is not there.

        CheckpointError if another process holds it, or it cannot be written to.
        """
        before = self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot write there ({error.strerror})") from error
        with disk.holding(self.path / ".lock"):
            try:
                yield
            finally:
                if not before:
                    self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        """Leave no trace of a run that never began."""
        for folder in (self.samples, self.checkpoints):
            with contextlib.suppress(OSError):  # there is none, or it is not empty
                folder.rmdir()
        if [p.name for p in self.path.iterdir()] == [".lock"]:
            (self.path / ".lock").unlink()
            self.path.rmdir()

    def open(self, settings: Settings) -> bool:
        """Make the folders; True if a run is to be continued. CheckpointError if --out and --resume do not fit."""
        held = checkpoint.find(self.checkpoints)
        if held and not settings.resume:
            raise CheckpointError(
                f"{self.path} holds a run (its last checkpoint is {held[-1].name}): "
                "continue it with --resume, or give another folder with --out"
            )
        if settings.resume and not held:
            if not (self.path / "config.json").exists():
                raise CheckpointError(f"{self.path} holds no checkpoint to resume from")
            say(f"{self.path}: the run was stopped before its first checkpoint; it begins anew")
        try:
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.samples, self.checkpoints):
                disk.clear(folder)
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot write there ({error.strerror})") from error
        return bool(held)

    def settings(self) -> Settings:
        """What the run was started with; CheckpointError if the folder holds none."""
        try:
            settings = Settings(**record.read_config(self.path)["settings"])
            settings.extra = dict(settings.extra)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}: holds no config.json of a training run ({error!r})") from error
        return settings

    def check_unchanged(self, settings: Settings, images: dict[str, Any], saved: Mapping[str, Any]) -> list[str]:
        """The settings that differ from those of the checkpoint because settings.allow_change lets them.

        `saved` is what the checkpoint says beside its arrays. CheckpointError naming every other setting that differs,
        and the data if they do. Other versions or another BLAS are said on the terminal: with them the run goes on,
        though not bit for bit.
        """
        try:
            # a setting that came later had its default then
            before = flat({**asdict(Settings(name="")), **saved["settings"], **saved["images"]})
            made_by = {**saved["versions"], "BLAS": saved["blas"]}
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self.path}: its checkpoint does not say how it was made ({error!r}), so it cannot be resumed"
            ) from error
        now = flat(json.loads(json.dumps({**asdict(settings), **images})))
        allowed = {name.strip().lstrip("-").replace("-", "_") for name in settings.allow_change}
        may_be = sorted(set(now) - set(images) - FREE_ON_RESUME)
        if unknown := sorted(allowed - set(now) | allowed & set(images)):
            raise CheckpointError(f"--allow-change: no setting {', '.join(unknown)}; there are {', '.join(may_be)}")
        differing = [k for k in now if k not in FREE_ON_RESUME and now[k] != before.get(k)]
        if refused := [k for k in differing if k not in allowed]:
            named = ", ".join(f"{k} was {before.get(k)!r}, is {now[k]!r}" for k in refused)
            settable = ",".join(k for k in refused if k not in images)
            hint = f"; to go on all the same: --allow-change {settable}" if settable else ""
            raise CheckpointError(f"{self.path}: cannot resume with other settings: {named}{hint}")
        runs_on = json.loads(json.dumps({**versions(), "BLAS": blas_info()}))
        if others := [f"{k} was {made_by.get(k)}, is {v}" for k, v in runs_on.items() if v != made_by.get(k)]:
            say(f"the run goes on, though not bit for bit as it would have: {'; '.join(others)}")
        return differing

    def write_config(self, settings: Settings, steps: int, images: dict[str, Any]) -> None:
        """config.json: every setting, the data set that is really used, versions."""
        about = {
            "settings": asdict(settings),
            "total_steps": steps,
            "images": images,
            "versions": versions(),
            "blas": blas_info(),
        }
        disk.write(self.path / "config.json", json.dumps(about, indent=2).encode())

    def write_metrics(self, metrics: Mapping[str, float]) -> None:
        """metrics.json, and a line for each number on the terminal; one that is not finite is null in the file."""
        for name, value in metrics.items():
            say(f"{name}: {value:.6g}")
        disk.write(self.path / "metrics.json", json.dumps(record.plain(metrics), indent=2).encode())

    def load_newest(self) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
        """(path, arrays, what it says beside them) of the newest whole checkpoint; CheckpointError if there is none.

        Those that are damaged are named on the terminal.
        """
        problems = []
        for path in reversed(checkpoint.find(self.checkpoints)):
            try:
                return path, *checkpoint.load(path)
            except CheckpointError as error:
                problems.append(str(error))
                say(f"{error}; trying the one before")
        raise CheckpointError(f"{self.path}: no checkpoint can be read: {'; '.join(problems)}")

    def cut(self, step: int) -> None:
        """Let the folder say nothing of what came after `step`: a resumed run says it again."""
        self.cut_log(step)
        for picture in self.samples.glob("*.png"):
            if (named := record.PICTURE.fullmatch(picture.name)) and int(named[2]) > step:
                picture.unlink()
        for made_at_the_end in ("losses.png", "samples.gif"):
            (self.path / made_at_the_end).unlink(missing_ok=True)

    def read_log(self) -> dict[str, list[float]]:
        """The columns of log.csv that hold a number in every row."""
        columns = record.series(record.read_log(self.path, []))
        steps = np.unique(np.concatenate([[], *(at for at, _ in columns.values())]))
        whole = {name: values.tolist() for name, (at, values) in columns.items() if np.array_equal(at, steps)}
        return {**(whole or {name: [] for name in COLUMNS}), "step": steps.tolist()}

    def cut_log(self, step: int) -> None:
        """Drop the rows after `step`, which a resumed run writes again, and any that was being written at a crash."""
        if not self.log.exists():
            return
        lines = self.log.read_bytes().split(b"\n")[:-1]  # a whole row ends in a newline
        header, *rows = lines or [",".join(COLUMNS).encode()]
        kept = [row for row in rows if (first := row.split(b",", 1)[0]).isdigit() and int(first) <= step]
        disk.write(self.log, b"\n".join([header, *kept, b""]))

    def looks(self) -> list[Look]:
        """What health.jsonl says of the run."""
        return record.read_looks(self.path, [])

    def cut_looks(self, step: int) -> list[Look]:
        """The looks up to `step`, and no other in the file any more: a resumed run takes them again."""
        looks = [look for look in self.looks() if look.step <= step]
        if self.health.exists():
            disk.write(self.health, "".join(map(record.look_line, looks)).encode())
        return looks

    def append_look(self, look: Look) -> None:
        """Write the look to health.jsonl; CheckpointError if it cannot be written."""
        with disk.naming(self.health), self.health.open("a", encoding="utf-8") as out:
            out.write(record.look_line(look))
            out.flush()
            os.fsync(out.fileno())

    def sync_log(self) -> None:
        """Have the log on disk before a checkpoint that counts on it."""
        if self.log.exists():
            with disk.naming(self.log), self.log.open("rb") as file:
                os.fsync(file.fileno())

    def append_log(self, rows: list[dict[str, float]]) -> None:
        """Write rows to log.csv, the header first."""
        text = io.StringIO()
        extra = [name for name in rows[0] if name not in COLUMNS]
        writer = csv.DictWriter(text, COLUMNS + extra, lineterminator="\n")
        if not self.log.exists():
            writer.writeheader()
        writer.writerows(rows)
        with disk.naming(self.log), self.log.open("a", encoding="utf-8") as out:
            out.write(text.getvalue())


class Timings:
    """timings.json: where a run's seconds went, and from when to when it ran, over all its parts."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.seconds = {"training": 0.0, "samples": 0.0, "health": 0.0, "checkpoints": 0.0}
        self.sessions: list[dict[str, Any]] = []
        if step:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                held = record.read_object(path, [])
                self.sessions = [{**session} for session in held["sessions"]]
                self.seconds = {name: float(held[name]) for name in self.seconds}
        self.sessions.append({"started": _now(), "ended": _now(), "first": step, "last": step})

    def add(self, what: str, seconds: float) -> None:
        """Count these seconds as spent on that."""
        self.seconds[what] += seconds

    def write(self, step: int) -> None:
        """Write the file, `step` being the last one done."""
        self.sessions[-1] |= {"ended": _now(), "last": step}
        rounded = {name: round(seconds, 3) for name, seconds in self.seconds.items()}
        disk.write(self.path, json.dumps({**rounded, "sessions": self.sessions}, indent=2).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
