"""The folder of a run: what decided it, what is logged, what is saved, and when it may be continued."""

import argparse
import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import atomic, backend, checkpoint
from .backend import versions
from .errors import CheckpointError

COLUMNS = ["step", "d_loss", "g_loss", "d_real", "d_fake", "images_per_s"]
# when a run is resumed
FREE_TO_CHANGE = {"graph", "epochs", "steps", "out", "resume", "checkpoint_every", "sample_every", "dry_run"}


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
    sample_every: int | None = None
    resume: bool = False
    dry_run: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the run is called where it is shown: its preset, or the script."""
        return self.extra.get("preset") or self.name


def positive(text: str) -> int:
    """A number from the command line that has to be at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


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

    def write_metrics(self, metrics: Mapping[str, float]) -> None:
        """metrics.json, and a line for each number on the terminal; one that is not finite is null in the file."""
        for name, value in metrics.items():
            print(f"{name}: {value:.6g}")
        held = {
            name: value if math.isfinite(value) else None for name, value in metrics.items()
        }  # JSON has no infinity
        atomic.write(self.path / "metrics.json", json.dumps(held, indent=2).encode())

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
        """The columns of log.csv that hold a number in every row."""
        with self.log.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        held = [name for name in rows[0] if all(row[name] for row in rows)] if rows else COLUMNS
        return {name: [float(row[name]) for row in rows] for name in held}

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
