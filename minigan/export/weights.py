"""The weights of any network in a safetensors file, whose names are those of its `state_dict`: PyTorch reads it too."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..backend import Array
from ..errors import CheckpointError, brief
from ..nn.naming import renamed
from ..system import disk, stored
from ..system.disk import BLANK, is_whole, sealed
from ..tensor import Tensor

N = TypeVar("N")


def save_weights(network: Any, path: str | Path | None = None) -> Path:
    """Write the weights of `network` to the safetensors file `path`, whole or not at all: `mg.save`.

    `network` is whatever has a state_dict (a module, an optimizer, an average), or such a dict itself. CheckpointError
    if it holds nothing, or nothing that can be written, or the file cannot be.
    """
    path = _checked_path("save", path)
    is_holder = hasattr(network, "state_dict") and not isinstance(network, type)
    state = network.state_dict() if is_holder else network
    if not isinstance(state, Mapping) or not state:
        found = f"{type(network).__name__}, which holds none" if isinstance(state, Mapping) else brief(network)
        raise CheckpointError(f"{path}: expected a network, or arrays by name, to save, got {found}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    disk.write(path, sealed(stored.content(arrays, {"sha256": BLANK.decode()})))
    return path


def load_weights(network: N, path: str | Path | None = None) -> N:
    """`network` itself, with the weights of a safetensors file copied into it: `mg.load`.

    Written by `save_weights`, as a generator, or by PyTorch of the same network, there with
    `safetensors.torch.save_file(network.state_dict(), path)`: its weights may be bfloat16, of a module that was
    wrapped for several devices or compiled, or normalised by torch.nn.utils.parametrizations. `network` is whatever
    has load_state_dict: a module, an optimizer, an average. CheckpointError if the file is none, is damaged, or holds
    other names, kinds or shapes; nothing is copied then.
    """
    path = _checked_path("load", path)
    if isinstance(network, type) or not hasattr(network, "load_state_dict"):
        raise CheckpointError(f"{path}: expected a network to load it into, got {brief(network)}")
    arrays, metadata, content = stored.read(path)
    if "sha256" in metadata and not is_whole(content, metadata["sha256"]):
        raise CheckpointError(f"{path}: its checksum is not the one it was written with")
    holder: Any = network
    try:
        holder.load_state_dict(renamed(arrays, holder.state_dict()))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return network


def _checked_path(call: str, path: Any) -> Path:
    """`path`, which nobody need have given."""
    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(f"{call}: expected the path of a file after the network, got {brief(path)}")
    return Path(path)


def _array(name: Any, value: Any) -> Array:
    """What a tensor or array holds; CheckpointError unless it is numbers that a file can hold."""
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if not isinstance(name, str) or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise CheckpointError(f"save: expected numbers by name, {name!r} is of {array.dtype}")
    return array
