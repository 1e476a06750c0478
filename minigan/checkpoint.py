"""Saving a game's state, so that nothing is lost and nothing unreadable is ever left behind.

A checkpoint is two files, step_NNNNNNNN.safetensors (the arrays) and .json (the step, the settings, versions, a
checksum). Each is written under another name, flushed to disk and renamed: it is there whole or not at all.
Loading executes nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import atomic
from .backend import to_numpy, versions
from .errors import CheckpointError
from .seal import BLANK, is_whole, sealed
from .tensor import Tensor

KEEP = 3  # how many of the newest checkpoints are kept
BEST = "best.json"  # names the one that is kept for its samples


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
    path.with_suffix(".json").unlink(missing_ok=True)  # of a damaged one: the arrays are about to be others
    atomic.write(path, content)
    atomic.write(path.with_suffix(".json"), sealed(json.dumps(about, indent=2).encode(), content))
    best = find_best(folder)
    if distance is not None and not (best and best[1] <= distance):
        atomic.write(folder / BEST, json.dumps({"checkpoint": path.name}).encode())
        best = path, distance
    for old in find(folder)[:-keep]:
        if best is None or old != best[0]:
            old.unlink(missing_ok=True)
            old.with_suffix(".json").unlink(missing_ok=True)
    return path


def find_best(folder: str | Path) -> tuple[Path, float] | None:
    """(the checkpoint in `folder` whose samples were nearest to the data, their distance), if one is known."""
    try:
        path = Path(folder) / Path(json.loads((Path(folder) / BEST).read_text())["checkpoint"]).name
        distance = float(json.loads(path.with_suffix(".json").read_text())["distance"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (path, distance) if path in find(folder) else None


def find(folder: str | Path) -> list[Path]:
    """The complete checkpoints in `folder`, oldest first."""
    return sorted(p for p in Path(folder).glob("step_*.safetensors") if p.with_suffix(".json").is_file())


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
