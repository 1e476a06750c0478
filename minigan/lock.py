"""One process at a time: a lock that the system drops when its holder ends, however it ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import CheckpointError


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
