"""Files that are whole, sealed, and written by one process at a time.

Whole: written under another name, flushed to disk, then renamed. Sealed: they know their own checksum, so that any bit
that changes is noticed. By one process: a lock that the system drops when its holder ends, however it ends.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import CheckpointError

DEEPEST = 128  # of the JSON that is read: nothing of ours is nested so deeply
LOOKS = (0.01, 0.03)  # seconds in which a lock that is only looked at is free again
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # through one, another file would be written
_AS_IT_IS = getattr(os, "O_BINARY", 0)  # else Windows translates the ends of lines


def _opened(path: Path, flags: int) -> int:
    """A descriptor of the file `path`, made if it is not there, as readable as any other; OSError if it is a link."""
    return os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK | _AS_IT_IS | flags, 0o666)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception; OSError as the system has it."""
    if not path.name:  # "" and "." are a folder
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(f".{os.urandom(8).hex()}.part")
    handle = _opened(partial, os.O_EXCL)
    try:
        with open(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
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
def naming(path: Path, done: str = "written") -> Iterator[None]:
    """Within the block, an OSError is raised as a CheckpointError that names `path` and what the system said."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be {done} ({error.strerror or error})") from error


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path`; CheckpointError naming it if the folder cannot take it, nothing changed then."""
    with naming(path), replacing(path) as out:
        out.write(content)


def append(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Add `content` at the end of the file `path`, and have it on disk if it is to be `lasting`.

    CheckpointError naming the file if it cannot be written; a part of the content may be there then.
    """
    with naming(path), open(_opened(path, os.O_APPEND), "ab") as out:
        out.write(content)
        if lasting:
            out.flush()
            os.fsync(out.fileno())


def clear(folder: Path) -> None:
    """Delete what `replacing` left in `folder` if it was killed; nobody else may be writing there."""
    for part in folder.glob(".*.part"):
        if not part.is_dir():
            part.unlink(missing_ok=True)


def spare(path: Path) -> Path:
    """`path` if nothing goes by that name, else the first of NAME.2, NAME.3, ... that is free."""
    numbered = (path.with_name(f"{path.name}.{k}") for k in itertools.count(2))
    return next(free for free in itertools.chain([path], numbered) if not os.path.lexists(free))


def put_aside(path: Path, name: str | None = None) -> Path:
    """Rename the file or folder `path` to NAME.damaged beside it, or `name`, or the next that is free; what it is now.

    CheckpointError naming it if it cannot be renamed.
    """
    with naming(path):
        return path.rename(spare(path.with_name(name or f"{path.name}.damaged")))


def check_regular(path: Path) -> None:
    """OSError if `path` is there, but is no file: a folder, or something that might never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read(path: Path) -> bytes:
    """What is in the file `path`; OSError if it cannot be read or is no file."""
    check_regular(path)
    return path.read_bytes()


def parsed(text: str | bytes) -> Any:
    """What JSON says; ValueError if it says nothing, or a name twice, or is nested more deeply than DEEPEST."""
    with contextlib.suppress(RecursionError):
        held = json.loads(text, object_pairs_hook=_each_once)
        if _is_shallow(held, DEEPEST):
            return held
    raise ValueError("nested too deeply")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's values by name; ValueError for a name that is there twice, of which readers take either."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"it says {twice[0]!r} twice")
    return dict(pairs)


def _is_shallow(held: Any, depth: int) -> bool:
    parts = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
    return depth > 0 and all(_is_shallow(part, depth - 1) for part in parts)


# --- sealed -----------------------------------------------------------------------------------------------------

BLANK = b"0" * 64  # where the checksum goes in a file that is written as if it had none


def sealed(content: bytes, beside: bytes = b"") -> bytes:
    """`content` with its first BLANK replaced by the SHA-256 of `beside` and itself; ValueError if it has none."""
    if BLANK not in content:
        raise ValueError("sealed: the content has no blank for its checksum")
    return content.replace(BLANK, _digest(beside, content).encode(), 1)


def is_whole(content: bytes, digest: Any, beside: bytes = b"") -> bool:
    """Is `digest`, which the content says of itself, the one that `sealed` put there?"""
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return False
    return _digest(beside, content.replace(digest.encode(), BLANK, 1)) == digest


def _digest(beside: bytes, content: bytes) -> str:
    """The SHA-256 of one and the other, which may be too large to be copied together."""
    digest = hashlib.sha256(beside)
    digest.update(content)
    return digest.hexdigest()


# --- by one process ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """Within the block this process alone holds the lock on the file `path`, which stays where it is.

    CheckpointError naming the process that holds it, at once. The lock is the operating system's: a killed process
    leaves the file behind and no lock.
    """
    try:
        handle = _opened(path, 0)
    except OSError as error:
        raise CheckpointError(f"{path.parent}: cannot write there ({path.name}: {error.strerror})") from error
    with open(handle, "r+b", buffering=0) as file:
        with naming(path):
            free = _lock_soon(file)
            file.seek(0)
        if not free:
            holder = file.read(20)
            number = holder.decode() if holder.isdigit() else "unknown"
            raise CheckpointError(f"{path.parent}: another process (number {number}) is writing there")
        if not _is(file, path):
            raise CheckpointError(f"{path.parent}: another process has just removed it; start again")
        with naming(path):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield  # closing the file drops the lock


def is_held(path: Path) -> bool:
    """Does a process hold the lock on the file `path`? Also if the system does not tell; not if there is no file."""
    try:
        with path.open("rb") as file:
            return not _lock(file, shared=True)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _lock_soon(file: IO[bytes]) -> bool:
    """Lock the file; False if another process holds it for longer than it takes `is_held` to look."""
    for wait in LOOKS:
        if _lock(file):
            return True
        time.sleep(wait)
    return _lock(file)


def _is(file: IO[bytes], path: Path) -> bool:
    """Is the open file still the one that goes by that name?"""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


try:
    import fcntl

    DELETES_WHAT_IS_OPEN = True  # can a file be deleted that is open?

    def _lock(file: IO[bytes], shared: bool = False) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

except ImportError:  # Windows
    import msvcrt

    DELETES_WHAT_IS_OPEN = False

    def _lock(file: IO[bytes], shared: bool = False) -> bool:
        file.seek(1 << 20)  # a byte far behind the text, which others may read meanwhile
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
