"""The folder of a run: who may use it, how its files are written, and when it may be continued. `record` reads them."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..export import Generator, load_generator
from ..judge.verdict import Look
from ..kernels.installation import versions
from ..system import disk, stored
from ..system.machine import blas_info
from ..system.terminal import say, warn
from . import card, checkpoint, record
from .length import UNKNOWN
from .record import COLUMNS, Evaluation
from .settings import FREE_ON_RESUME, Settings, as_now, flat

FILES = (
    *("config.json", "log.csv", "health.jsonl", "timings.json", "metrics.json"),
    *("generator.safetensors", "clusters.safetensors", "losses.png", "samples.gif", "report.html"),
)
AT_THE_END = ("losses.png", "samples.gif")
SUMS = "sums over processes"  # what seconds of a run of several were spent on
TRACKING = "trackers"  # what seconds of a run were spent on whose trackers are told of it


class RunFolder:
    """The files of one run: `record`'s, checkpoints/, what FILES names, and clusters.safetensors if it has some."""

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.log = path / "log.csv"
        self.health = path / "health.jsonl"
        self.generator = path / "generator.safetensors"
        self.clusters = path / "clusters.safetensors"
        self._columns: list[str] | None = None  # of the log, once they have been read

    def _repr_html_(self) -> str:
        """The run as a notebook shows it; CheckpointError if there is none."""
        return card.of(record.read(self.path))

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
        try:
            with disk.holding(self.path / ".lock"):
                try:
                    yield
                finally:
                    if not before:
                        self._remove_if_empty()
        finally:
            if not before and not disk.DELETES_WHAT_IS_OPEN:
                self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        """Leave no trace of a run that never began."""
        for folder in (self.samples, self.checkpoints):
            with contextlib.suppress(OSError):  # there is none, or it is not empty
                folder.rmdir()
        left = {".lock", self.clusters.name}  # these are found before all is known to be well
        with contextlib.suppress(OSError):  # what ended the run is more to say
            if {p.name for p in self.path.iterdir()} <= left:
                for name in left:
                    (self.path / name).unlink(missing_ok=True)
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
            # these are written after a checkpoint
            if left := [name for name in (self.generator.name, "timings.json") if (self.path / name).exists()]:
                raise CheckpointError(
                    f"{self.path}: no whole checkpoint is left, and a run that begins anew would replace what is "
                    f"({', '.join(left)}): move it elsewhere first, or give another folder with --out"
                )
            say(f"{self.path}: the run was stopped before its first checkpoint; it begins anew")
        try:
            for path in self._in_the_way():
                say(f"{path} was in the way and is {disk.put_aside(path).name} now")
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.samples, self.checkpoints):
                disk.clear(folder)
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot write there ({error.strerror})") from error
        return bool(held)

    def _in_the_way(self) -> list[Path]:
        """What is a folder, or no file at all, where the run writes a file; or no folder where it needs one."""
        files = [self.path / name for name in FILES]
        files += [path for path in self.samples.glob("*.png") if record.PICTURE.fullmatch(path.name)]
        files += [self.checkpoints / checkpoint.BEST, *self.checkpoints.glob("step_*.json")]
        files += self.checkpoints.glob("step_*.safetensors")
        wrong = [path for path in files if not path.is_file()]
        wrong += [path for path in (self.samples, self.checkpoints) if not path.is_dir()]
        return [path for path in wrong if os.path.lexists(path)]

    def settings(self) -> Settings:
        """What the run was started with; CheckpointError if nothing in the folder says it. What is damaged is said."""
        problems: list[str] = []
        settings = record.read_settings(self.path, problems)
        for problem in problems:
            warn(f"{self.path}: {problem}")
        return settings

    def check_unchanged(self, settings: Settings, images: dict[str, Any], saved: Mapping[str, Any]) -> list[str]:
        """The settings that differ from those of the checkpoint because settings.allow_change lets them.

        `saved` is what the checkpoint says beside its arrays. CheckpointError naming every other setting that differs,
        and the data if they do. Other versions or another BLAS are said on the terminal: with them the run goes on,
        though not bit for bit.
        """
        try:
            before = as_now({**saved["settings"], **saved["images"]})
            made_by = {"kernels": "numpy", **saved["versions"], "BLAS": saved["blas"]}
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
        """config.json: every setting, the data set that is really used, versions; no length while that is UNKNOWN."""
        about = {
            "sha256": disk.BLANK.decode(),
            "settings": asdict(settings),
            "total_steps": None if steps == UNKNOWN else steps,
            "images": images,
            "versions": versions(),
            "blas": blas_info(),
        }
        disk.write(self.path / "config.json", disk.sealed(json.dumps(about, indent=2).encode()))

    def write_clusters(self, labels: np.ndarray) -> None:
        """clusters.safetensors: which cluster each sample is in, int64 (N,)."""
        disk.write(self.clusters, disk.sealed(stored.content({"labels": labels}, {"sha256": disk.BLANK.decode()})))

    def read_clusters(self, count: int) -> np.ndarray | None:
        """Which cluster each of `count` samples is in; None, said on the terminal, if no whole file tells it."""
        try:
            arrays, metadata, content = stored.read(self.clusters)
            if disk.is_whole(content, metadata.get("sha256")) and arrays["labels"].shape == (count,):
                return arrays["labels"]
            problem = f"{self.clusters} is damaged"
        except (CheckpointError, KeyError) as error:
            problem = str(error)
        say(f"{problem}; the clusters are found anew")
        return None

    def write_metrics(self, metrics: Mapping[str, float]) -> None:
        """metrics.json, and a line for each number on the terminal; one that is not finite is null in the file.

        An evaluation that is in the file stays.
        """
        for name, value in metrics.items():
            say(f"{name}: {value:.6g}")
        self._write_metrics(record.plain(metrics), record.read_metrics(self.path, [])[1])

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """metrics.json, with this evaluation beside the numbers that are there."""
        self._write_metrics(record.read_metrics(self.path, [])[0], evaluation)

    def _write_metrics(self, metrics: dict[str, Any], evaluation: Evaluation | None) -> None:
        told = {} if evaluation is None else {record.EVALUATION: evaluation.as_json()}
        disk.write(self.path / "metrics.json", json.dumps({**metrics, **told}, indent=2).encode())

    def load_generator(self, device: str = "cpu") -> Generator:
        """The generator that the run has written last; CheckpointError if there is no run, or none written."""
        if not self.generator.exists():
            self.settings()  # says that it is no run, if it is none
            raise CheckpointError(
                f"{self.generator}: the run has not written its generator yet, or has one no file describes, or none"
            )
        return load_generator(self.generator, device)

    def load_newest(self) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
        """(path, arrays, what it says beside them) of the newest whole checkpoint; CheckpointError if there is none.

        Those that are damaged are named on the terminal.
        """
        problems: list[str] = []
        found = checkpoint.newest(self.checkpoints, problems)
        for problem in problems if found else ():
            say(f"{problem}; trying the one before")
        if found is None:
            raise CheckpointError(f"{self.path}: no checkpoint can be read: {'; '.join(problems)}")
        return found

    def what_is_kept(self) -> str:
        """Which checkpoint a run that stops now leaves, in words."""
        held = checkpoint.find(self.checkpoints)
        if not held:
            return "before its first checkpoint"
        return f"and the last good checkpoint, {held[-1].name}, is kept in {self.checkpoints}"

    def begin(self, step: int) -> list[Look]:
        """Take away what came after `step`, which a resumed run writes again; the looks that stay.

        Of a damaged log or damaged looks, what can be read stays; a copy of the whole file has another name.
        """
        with disk.naming(self.path):
            if step == 0:
                self.log.unlink(missing_ok=True)
                self.health.unlink(missing_ok=True)
            for picture in self.samples.glob("*.png"):
                if (named := record.PICTURE.fullmatch(picture.name)) and int(named[2]) > step:
                    picture.unlink()
            for name in AT_THE_END:
                (self.path / name).unlink(missing_ok=True)
        self.cut_log(step)
        return self.cut_looks(step)

    def keep_damaged(self, path: Path, problems: Sequence[str]) -> None:
        """Keep a damaged file under another name too, and say so. CheckpointError if it cannot be read at all."""
        if problems:
            with disk.naming(path, "read"):
                content = disk.read(path)
            aside = disk.spare(path.with_name(f"{path.name}.damaged"))
            disk.write(aside, content)
            say(f"{self.path}: {'; '.join(problems)}; {aside.name} is what it was")

    def rows(self, problems: list[str]) -> Iterator[tuple[int, dict[str, float]]]:
        """`record.read_log` of the run; CheckpointError naming the log if it cannot be read."""
        with disk.naming(self.log, "read"):
            yield from record.read_log(self.path, problems)

    def columns(self) -> list[str]:
        """`record.log_columns` of the run; CheckpointError naming the log if it cannot be read."""
        with disk.naming(self.log, "read"):
            return record.log_columns(self.path)

    def read_log(self) -> dict[str, list[float]]:
        """The columns of log.csv that hold a number in each row of the run, or of a part of it: NaN elsewhere."""
        columns = record.series(self.rows([]))
        steps = np.unique(np.concatenate([[], *(at for at, _ in columns.values())]))
        found: dict[str, list[float]] = {}
        for name, (at, values) in columns.items():
            places = np.searchsorted(steps, at)
            if len(at) and places[-1] - places[0] + 1 == len(at):
                column = np.full(len(steps), np.nan)
                column[places] = values
                found[name] = column.tolist()
        return {**(found or {name: [] for name in COLUMNS}), "step": steps.tolist()}

    def cut_log(self, step: int) -> None:
        """Drop the rows after `step`, which a resumed run writes again, and any that was being written at a crash."""
        problems: list[str] = []
        kept = {row_step for row_step, _ in self.rows(problems) if row_step <= step}
        self.keep_damaged(self.log, problems)
        if missing := step - len(kept - {0}):
            say(f"{self.path}: log.csv has no rows of {missing} of the {step} steps")
        if kept:
            self._write_log(self.columns(), step)
        else:
            with disk.naming(self.log):
                self.log.unlink(missing_ok=True)

    def _write_log(self, columns: Sequence[str], last: int | None = None) -> None:
        """Write the log anew, up to the step `last`, with COLUMNS, the others of `columns`, and empty cells."""
        self._columns = list(dict.fromkeys([*COLUMNS, *columns]))
        rows = ({**row, "step": step} for step, row in self.rows([]) if last is None or step <= last)
        with disk.naming(self.log), disk.replacing(self.log) as out:
            text = io.TextIOWrapper(out, encoding="utf-8", newline="")
            _write_rows(text, self._columns, rows, header=True)
            text.detach()

    def pictures(self, step: int) -> dict[str, Path]:
        """The pictures of samples of that step by the prefix of their names, as `record` has them."""
        found = record.read_pictures(self.path, f"*step_{step:08d}.png")
        return {prefix: by_step[step] for prefix, by_step in found.items()}

    def looks(self) -> list[Look]:
        """What health.jsonl says of the run."""
        with disk.naming(self.health, "read"):
            return record.read_looks(self.path, [])

    def cut_looks(self, step: int) -> list[Look]:
        """The looks up to `step`, and no other in the file any more: a resumed run takes them again."""
        problems: list[str] = []
        with disk.naming(self.health, "read"):
            looks = [look for look in record.read_looks(self.path, problems) if look.step <= step]
        self.keep_damaged(self.health, problems)
        if self.health.exists():
            disk.write(self.health, "".join(map(record.look_line, looks)).encode())
        return looks

    def append_look(self, look: Look) -> None:
        """Write the look to health.jsonl; CheckpointError if it cannot be written."""
        disk.append(self.health, record.look_line(look).encode(), lasting=True)

    def sync_log(self) -> None:
        """Have the log on disk before a checkpoint that counts on it."""
        if self.log.exists():
            disk.append(self.log, b"", lasting=True)

    def append_log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write rows to log.csv, the header first, which grows by a column that the log has not had so far."""
        if self._columns is None or not self.log.exists():
            self._columns = self.columns()
        if new := dict.fromkeys(name for row in rows for name in row if name not in self._columns):
            self._write_log([*self._columns, *new])
        text = io.StringIO()
        _write_rows(text, self._columns, rows)
        disk.append(self.log, text.getvalue().encode())


def _write_rows(out: Any, columns: Sequence[str], rows: Iterable[Mapping[str, float]], header: bool = False) -> None:
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)


class Timings:
    """timings.json: where a run's seconds went, and from when to when it ran, over all its parts."""

    def __init__(self, folder: RunFolder, step: int, processes: int = 1) -> None:
        self.folder = folder
        self.path = folder.path / "timings.json"
        self.seconds = {"training": 0.0, "samples": 0.0, "health": 0.0, "checkpoints": 0.0}
        self.sessions: list[dict[str, Any]] = []
        self.problems: list[str] = []
        if step:
            seconds, self.sessions = record.read_timings(folder.path, self.problems)
            self.seconds |= seconds
        several = {"processes": processes} if processes > 1 else {}
        self.sessions.append({"started": _now(), "ended": _now(), "first": step, "last": step, **several})

    def add(self, what: str, seconds: float) -> None:
        """Count these seconds as spent on that."""
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def write(self, step: int) -> None:
        """Write the file, `step` being the last one done."""
        self.folder.keep_damaged(self.path, self.problems)
        self.problems.clear()
        self.sessions[-1] |= {"ended": _now(), "last": step}
        rounded = {name: round(seconds, 3) for name, seconds in self.seconds.items()}
        disk.write(self.path, json.dumps({**rounded, "sessions": self.sessions}, indent=2).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
