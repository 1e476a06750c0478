"""Runs as a user makes them: trained in a process of their own, evaluated, and what both say of them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from steps.worker import PINS

ROOT = Path(__file__).parents[1]
MINIGAN = ["-m", "minigan"]


def run(command: list[str]) -> str:
    """What Python says on stdout with these words; SystemExit with its exit status if it fails.

    NumPy's products are as fast as users have them.
    """
    free = {name: value for name, value in os.environ.items() if name not in PINS}
    path = os.pathsep.join([str(ROOT), *filter(None, [free.get("PYTHONPATH")])])
    child = subprocess.run(
        [sys.executable, *command], env={**free, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    if child.returncode:
        sys.exit(f"python {shlex.join(command)}: exit status {child.returncode}")
    return child.stdout


def train(folder: Path, command: list[str]) -> None:
    """Let `command` train in the folder, or train on there."""
    begun = ["--resume"] if any((folder / "checkpoints").glob("step_*.safetensors")) else []
    run([*command, "--out", str(folder), *begun])


def training_seconds(folder: Path) -> float:
    """How long the run in the folder was trained."""
    return float(json.loads((folder / "timings.json").read_text())["training"])


def figures(folder: Path, command: list[str], n: int, judge: str | None = None) -> dict[str, Any]:
    """What `command` trains in the folder, or trains on there, and what n of its samples measure, read by the judge.

    Its steps, the seconds they took, and of each measure the value and what real images reach.
    """
    train(folder, command)
    reader = [] if judge is None else ["--judge", judge]
    table = json.loads(run([*MINIGAN, "evaluate", str(folder), "--n", str(n), *reader, "--json"]))
    seconds = training_seconds(folder)
    rows = {name: [row["value"], row["floor"]] for name, row in table["rows"].items()}
    about = {name: table[name] for name in ("samples", "reader")}
    return {"steps": table["step"], "seconds": seconds, **about, "rows": rows}
