"""Arrays by name in a safetensors file, which is what PyTorch and others write them to.

A file is eight bytes with the length of its header, the header, which is JSON, and the arrays one after the other.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..errors import CheckpointError
from . import disk

HEADER = 1 << 22  # bytes of a header: a network of ten thousand arrays has a million
TYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}
"""What safetensors calls the types that NumPy has and a network can hold. In a file the last of these come first."""
NAMES = {np.dtype(dtype): name for name, dtype in TYPES.items()}


def content(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Arrays by name, on whichever device, and metadata as the bytes of a safetensors file.

    The bytes are those that its library writes. But arrays of a CPU are not copied on the way, and memory that runs out
    is a MemoryError, where the library ends the program.
    """
    held = {name: np.asarray(to_numpy(x), x.dtype.newbyteorder("<"), order="C") for name, x in arrays.items()}
    places = {np.dtype(dtype): k for k, dtype in enumerate(TYPES.values())}
    ordered: list[tuple[str, Any]] = sorted(held.items(), key=lambda item: (-places[item[1].dtype], item[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": (begin, end)}
    written = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    written += b" " * (-len(written) % 8)
    return b"".join([len(written).to_bytes(8, "little"), written, *(array for _, array in ordered)])


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str], bytes]:
    """(arrays, metadata, the bytes) of a safetensors file; bfloat16, which NumPy does not have, as float32.

    CheckpointError names the file and what it is instead, or the array whose type NumPy cannot take.
    """
    from safetensors import SafetensorError, deserialize

    path = Path(path)
    try:
        disk.check_regular(path)
        _refuse_pickle(path)
        found = path.read_bytes()
        size = int.from_bytes(found[:8], "little")
        if size > HEADER:
            raise ValueError(f"its header says it has {size} bytes, of at most {HEADER}")
        held = deserialize(found)
        metadata = disk.parsed(found[8 : 8 + size]).get("__metadata__", {})
        return {name: _array(name, **about) for name, about in held}, metadata, found
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error})") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _array(name: str, dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if dtype not in TYPES:
        raise CheckpointError(
            f"{name} is of type {dtype}, which NumPy does not have; write it as float32 where it comes from"
        )
    return np.frombuffer(data, TYPES[dtype]).reshape(shape)


def _refuse_pickle(path: Path) -> None:
    """CheckpointError that says what to do with a file of `torch.save`."""
    with path.open("rb") as start:
        first = start.read(9)
    if int.from_bytes(first[:8], "little") <= HEADER and first[8:] == b"{":  # a header of 1 152 bytes begins as one
        return
    if first[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise CheckpointError(
            "a pickle, and loading one can run whatever its author put into it. Where it comes from, "
            "write its state_dict with safetensors.torch.save_file, and give that file"
        )
