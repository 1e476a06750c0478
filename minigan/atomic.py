"""Files that are there whole or not at all: written under another name, flushed to disk, then renamed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import CheckpointError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception; OSError as the system has it."""
    umask = os.umask(0)
    os.umask(umask)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(partial, 0o666 & ~umask)  # what open() would have given it
        os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, where a system has that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within the block, an OSError is raised as a CheckpointError that names `path` and what the system said."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from error


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path`; CheckpointError naming it if the folder cannot take it, nothing changed then."""
    with naming(path), replacing(path) as out:
        out.write(content)


def clear(folder: Path) -> None:
    """Delete what `replacing` left in `folder` if it was killed; nobody else may be writing there."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
