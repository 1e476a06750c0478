"""Saving a game's state, so that nothing is lost and nothing unreadable is ever left behind.

A checkpoint is two files, step_NNNNNNNN.safetensors (the arrays) and .json (the step, the settings, versions, a
checksum). Each is written under another name, flushed to disk and renamed: it is there whole or not at all.
Loading executes nothing.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import CheckpointError
from ..system import disk
from ..system.disk import BLANK, is_whole, sealed
from ..system.machine import versions
from ..tensor import Tensor

KEEP = 3  # how many of the newest checkpoints are kept
BEST = "best.json"  # names the one that is kept for its samples
NAME = re.compile(r"step_(\d+)\.safetensors")


def save(
    folder: str | Path,
    state: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    step: int,
    *,
    keep: int = KEEP,
    distance: float | None = None,
) -> Path:
    """Write `state` and `meta` as the checkpoint of `step` in `folder`; the path of its arrays.

    The newest `keep` stay, and the one of the smallest `distance`, how far samples were from the data: BEST names it.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    path = folder / f"step_{step:08d}.safetensors"
    # safetensors writes memory as it lies: anything but C order would come back as other values
    content = to_bytes({key: np.array(to_numpy(t.data), order="C") for key, t in state.items()})
    about = {"sha256": BLANK.decode(), "step": step, "distance": distance, "versions": versions(), **meta}
    disk.write(path, content)
    disk.write(path.with_suffix(".json"), sealed(json.dumps(about, indent=2).encode(), content))
    settle(folder, keep)
    return path


def settle(folder: str | Path, keep: int = KEEP) -> None:
    """Let BEST name the checkpoint in `folder` of the smallest distance, and delete all but it and the newest `keep`.

    What a killed program left of that is made up for.
    """
    held = find(folder)
    distances = {path: distance for path in held if (distance := _distance(path)) is not None}
    best = min(distances, key=lambda path: distances[path], default=None)  # the earliest, if several are
    if best is not None and best != find_best(folder):
        disk.write(Path(folder) / BEST, json.dumps({"checkpoint": best.name}).encode())
    for old in held[:-keep]:
        if old != best:
            old.unlink(missing_ok=True)
    for about in Path(folder).glob("step_*.json"):
        if not about.with_suffix(".safetensors").exists():
            about.unlink(missing_ok=True)


def find_best(folder: str | Path) -> Path | None:
    """The checkpoint in `folder` whose samples were nearest to the data, if one is known."""
    try:
        path = Path(folder) / Path(json.loads((Path(folder) / BEST).read_text())["checkpoint"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path in find(folder) else None


def _distance(path: Path) -> float | None:
    """What the checkpoint says how far samples were from the data, if it says so."""
    try:
        distance = float(json.loads(path.with_suffix(".json").read_text())["distance"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return distance if math.isfinite(distance) else None


def find(folder: str | Path) -> list[Path]:
    """The complete checkpoints in `folder`, oldest first."""
    named = {path: match for path in Path(folder).glob("step_*.safetensors") if (match := NAME.fullmatch(path.name))}
    return sorted((p for p in named if p.with_suffix(".json").is_file()), key=lambda p: int(named[p][1]))


def continue_from(folder: str | Path, path: Path, keep: int = KEEP) -> None:
    """Put aside the checkpoints in `folder` that are newer than the one at `path`, damaged ones as a rule; settle."""
    held = find(folder)
    for newer in held[held.index(path) + 1 :]:
        newer.replace(newer.with_suffix(".damaged"))
        newer.with_suffix(".json").unlink(missing_ok=True)
    settle(folder, keep)


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, meta) of the checkpoint at `path`; CheckpointError naming the file if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    path = Path(path)
    try:
        content = path.read_bytes()
        text = path.with_suffix(".json").read_bytes()
        meta = json.loads(text)
        if not is_whole(text, meta["sha256"], content):
            raise CheckpointError(f"{path}: its checksum is not the one in {path.with_suffix('.json').name}")
        return from_bytes(content), meta
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
