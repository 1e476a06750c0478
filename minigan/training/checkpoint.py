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

from ..errors import CheckpointError
from ..kernels.installation import versions
from ..system import disk, stored
from ..system.disk import BLANK, is_whole, sealed
from ..system.terminal import say
from ..tensor import Tensor

KEEP = 3  # how many of the newest checkpoints are kept
BEST = "best.json"  # names the one that is kept for its samples
NAME = re.compile(r"step_(\d+)\.safetensors")  # of a checkpoint, with its step


def save(
    folder: str | Path,
    state: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    step: int,
    *,
    keep: int = KEEP,
    distance: float | None = None,
    frechet: float | None = None,
) -> Path:
    """Write `state` and `meta` as the checkpoint of `step` in `folder`; the path of its arrays.

    The newest `keep` stay, and the best: the one of the smallest `frechet`, which a reader of images measured, or
    where no checkpoint has one, of the smallest `distance`, the yardstick's of samples to the data. BEST names it.
    """
    folder = Path(folder)
    path = folder / f"step_{step:08d}.safetensors"
    content = stored.content({name: t.data for name, t in state.items()})
    measured = {"distance": distance, "frechet": frechet}
    about = {"sha256": BLANK.decode(), "step": step, **measured, "versions": versions(), **meta}
    disk.write(path, content)
    disk.write(path.with_suffix(".json"), sealed(json.dumps(about, indent=2).encode(), content))
    settle(folder, keep)
    return path


def settle(folder: str | Path, keep: int = KEEP) -> None:
    """Let BEST name the best checkpoint in `folder`, as `save` has it, and delete all but it and the newest `keep`.

    What a killed program left of that is made up for. A checkpoint whose distance is damaged takes no other's place;
    CheckpointError, and nothing deleted, if the system does not let us see.
    """
    folder = Path(folder)
    held, known = find(folder), find_best(folder)
    with disk.naming(folder, "read"):
        ranks = {path: rank for path in held if (rank := _rank(path)) is not None}
        nearest = sorted(ranks, key=lambda path: ranks[path])  # the earliest first, if several are as near
        best = next((path for path in nearest if path == known or _is_whole(path)), None)
    with disk.naming(folder):
        if best is None:
            (folder / BEST).unlink(missing_ok=True)
        elif best != known:
            disk.write(folder / BEST, json.dumps({"checkpoint": best.name}).encode())
        for old in held[:-keep]:
            if old != best:
                old.unlink(missing_ok=True)
        for about in folder.glob("step_*.json"):
            if not about.with_suffix(".safetensors").exists():
                about.unlink(missing_ok=True)


def find_best(folder: str | Path) -> Path | None:
    """The checkpoint in `folder` whose samples were nearest to the data, if one is known."""
    try:
        path = Path(folder) / Path(disk.parsed(disk.read(Path(folder) / BEST))["checkpoint"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path in find(folder) else None


def _rank(path: Path) -> tuple[int, float] | None:
    """(0, its frechet), or else (1, its distance), as far as the checkpoint says one; OSError if it cannot be read."""
    try:
        about = disk.parsed(disk.read(path.with_suffix(".json")))
        measured = [about.get("frechet"), about["distance"]]
        numbers = [(k, float(number)) for k, number in enumerate(measured) if number is not None]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return next((rank for rank in numbers if math.isfinite(rank[1])), None)


def _is_whole(path: Path) -> bool:
    """Does a load of the checkpoint find nothing wrong? OSError if it cannot be read."""
    try:
        _sealed(path)
    except (CheckpointError, ValueError, KeyError, TypeError):
        return False
    return True


def find(folder: str | Path) -> list[Path]:
    """The complete checkpoints in `folder`, oldest first."""
    named = {path: match for path in Path(folder).glob("step_*.safetensors") if (match := NAME.fullmatch(path.name))}
    both = (path for path in named if path.is_file() and path.with_suffix(".json").is_file())
    return sorted(both, key=lambda path: int(named[path][1]))


def newest(folder: str | Path, problems: list[str]) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]] | None:
    """(path, arrays, meta) of the newest whole checkpoint in `folder`; what is wrong with newer ones is a problem."""
    for path in reversed(find(folder)):
        try:
            return path, *load(path)
        except CheckpointError as error:
            problems.append(str(error))
    return None


def continue_from(folder: str | Path, path: Path, keep: int = KEEP) -> None:
    """Put aside the checkpoints in `folder` that are newer than the one at `path`, damaged ones as a rule; settle."""
    folder = Path(folder)
    held = find(folder)
    for newer in held[held.index(path) + 1 :]:
        disk.put_aside(newer, f"{newer.stem}.damaged")
        disk.put_aside(newer.with_suffix(".json"))
    if (folder / BEST).exists() and find_best(folder) is None:
        say(f"{folder / BEST} names no checkpoint that is there: it is made anew")
    settle(folder, keep)


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, meta) of the checkpoint at `path`; CheckpointError naming the file if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    path = Path(path)
    try:
        content, meta = _sealed(path)
        return from_bytes(content), meta
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error


def _sealed(path: Path) -> tuple[bytes, dict[str, Any]]:
    """(the arrays as they are in the file, meta) of a checkpoint whose seal is whole."""
    content, text = disk.read(path), disk.read(path.with_suffix(".json"))
    meta = disk.parsed(text)
    if not is_whole(text, meta["sha256"], content):
        raise CheckpointError(f"{path}: its checksum is not the one in {path.with_suffix('.json').name}")
    return content, meta
