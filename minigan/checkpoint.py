"""Saving a game's state, so that nothing is lost and nothing unreadable is ever left behind.

A checkpoint is two files, step_NNNNNNNN.safetensors (the arrays) and .json (the step, the settings, versions, a
checksum). Each is written under another name, flushed to disk and renamed: it is there whole or not at all.
Loading executes nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import atomic
from .backend import to_numpy, versions
from .errors import CheckpointError
from .tensor import Tensor

KEEP = 3  # how many of the newest checkpoints are kept


def save(folder: str | Path, state: Mapping[str, Tensor], meta: Mapping[str, Any], step: int) -> Path:
    """Write `state` and `meta` as the checkpoint of `step` in `folder`; keep the newest KEEP. The arrays' path."""
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    path = folder / f"step_{step:08d}.safetensors"
    # safetensors writes memory as it lies: anything but C order would come back as other values
    content = to_bytes({key: np.array(to_numpy(t.data), order="C") for key, t in state.items()})
    about = {"step": step, "sha256": hashlib.sha256(content).hexdigest(), "versions": versions(), **meta}
    atomic.write(path, content)
    atomic.write(path.with_suffix(".json"), json.dumps(about, indent=2).encode())
    for old in find(folder)[:-KEEP]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
    return path


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
        meta = json.loads(path.with_suffix(".json").read_text())
        if hashlib.sha256(content).hexdigest() != meta["sha256"]:
            raise CheckpointError(f"{path}: its checksum is not the one in {path.with_suffix('.json').name}")
        return from_bytes(content), meta
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
