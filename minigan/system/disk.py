"""Files that are whole, sealed, and written by one process at a time.

Whole: written under another name, flushed to disk, then renamed. Sealed: they know their own checksum, so that any bit
that changes is noticed. By one process: a lock that the system drops when its holder ends, however it ends.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from ..errors import CheckpointError


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


# --- sealed -----------------------------------------------------------------------------------------------------

BLANK = b"0" * 64  # where the checksum goes in a file that is written as if it had none


def sealed(content: bytes, beside: bytes = b"") -> bytes:
    """`content` with its first BLANK replaced by the SHA-256 of `beside` and itself; ValueError if it has none."""
    if BLANK not in content:
        raise ValueError("sealed: the content has no blank for its checksum")
    return content.replace(BLANK, hashlib.sha256(beside + content).hexdigest().encode(), 1)


def is_whole(content: bytes, digest: str, beside: bytes = b"") -> bool:
    """Is `digest`, which the content says of itself, the one that `sealed` put there?"""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        return False
    return hashlib.sha256(beside + content.replace(digest.encode(), BLANK, 1)).hexdigest() == digest


# --- by one process ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """Within the block this process alone holds the lock on the file `path`, which stays where it is.

    CheckpointError naming the process that holds it, at once. The lock is the operating system's: a killed process
    leaves the file behind and no lock.
    """
    try:
        file = path.open("a+")
    except OSError as error:
        raise CheckpointError(f"{path.parent}: cannot write there ({error.strerror})") from error
    with file:
        if not _lock(file):
            file.seek(0)
            holder = file.read(64).strip() or "unknown"
            raise CheckpointError(f"{path.parent}: another process (number {holder}) is writing there")
        if not _is(file, path):
            raise CheckpointError(f"{path.parent}: another process has just removed it; start again")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield  # closing the file drops the lock


def _is(file: IO[str], path: Path) -> bool:
    """Is the open file still the one that goes by that name?"""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


try:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

except ImportError:  # Windows
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        file.seek(1 << 20)  # a byte far behind the text, which others may read meanwhile
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
