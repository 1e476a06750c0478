"""A disk that fails or a program that dies at a chosen call, and damage to what lies on a disk."""

import builtins
import contextlib
import errno
import io
import os
import shutil
from pathlib import Path

CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Killed(BaseException):
    """The program is dead: nothing catches it, and nothing it does afterwards reaches the disk."""


class FaultyDisk:
    """Within the block, the `at`-th call of that kind on something in `folder` fails: with `error`, or as a kill.

    `seen` counts the calls of each kind. A write that fails has written a half, and those that follow fail as well.
    """

    def __init__(self, folder, call="", at=0, error=None):
        self.folder, self.call, self.at, self.error = str(folder), call, at, error
        self.seen = dict.fromkeys(CALLS, 0)
        self.dead = self.full = False
        self.opened = {}  # paths by descriptor

    def inside(self, path):
        return isinstance(path, str | Path) and str(path).startswith(self.folder)

    def fail(self):
        if self.error is None:
            self.dead = True
            raise Killed
        raise OSError(self.error, os.strerror(self.error))

    def is_due(self, call):
        """Count a call; True if it is the one that fails."""
        if self.dead:
            raise Killed
        self.seen[call] += 1
        return call == self.call and self.seen[call] == self.at

    def gate(self, call):
        if self.is_due(call):
            self.fail()

    def watched(self, call):
        original = getattr(os, call)

        def changed(path, *args, **kwargs):
            if self.inside(path) or call == "fsync":
                self.gate(call)
            return original(path, *args, **kwargs)

        return changed

    def os_open(self, original):
        def opened(path, *args, **kwargs):
            if self.inside(path):
                self.gate("open")
            descriptor = original(path, *args, **kwargs)
            self.opened[descriptor] = path
            return descriptor

        return opened

    def io_open(self, original):
        def opened(file, mode="r", buffering=-1, *args, **kwargs):
            if self.inside(file):
                self.gate("open")
            elif not self.inside(self.opened.get(file)):
                return original(file, mode, buffering, *args, **kwargs)
            if not set(mode) & set("wa+"):
                return original(file, mode, buffering, *args, **kwargs)
            raw = FaultyFile(self, file, mode.replace("b", ""))
            binary = io.BufferedWriter(raw) if buffering else raw
            return binary if "b" in mode else io.TextIOWrapper(binary, "utf-8", newline="\n")

        return opened

    def __enter__(self):
        changed = [(os, call, self.watched(call)) for call in CALLS if call not in ("open", "write")]
        changed += [(os, "open", self.os_open(os.open)), *((m, "open", self.io_open(io.open)) for m in (io, builtins))]
        self.originals = [(module, name, getattr(module, name)) for module, name, _ in changed]
        for module, name, function in changed:
            setattr(module, name, function)
        return self

    def __exit__(self, *exception):
        for module, name, original in self.originals:
            setattr(module, name, original)


class FaultyFile(io.FileIO):
    """A file on that disk."""

    def __init__(self, disk, file, mode):
        self.disk = disk
        super().__init__(file, mode)

    def write(self, data):
        if self.disk.full:
            self.disk.fail()
        if self.disk.is_due("write"):
            self.disk.full = True
            half = len(data) // 2
            return super().write(bytes(data)[:half]) if half else self.disk.fail()
        return super().write(data)


# --- damage ---------------------------------------------------------------------------------------------------------


def damage(rng, folder):
    """Spoil one thing in a folder, a file or one of the folders in it; what was done, in words.

    A link is to `precious` beside the folder.
    """
    things = sorted(path for path in folder.rglob("*") if not path.is_symlink())
    path = things[rng.integers(len(things))]
    kinds = [_change, _change, _change, _cut, _empty, _replace_by_folder, _replace_by_link, _delete, _nest]
    kind = kinds[rng.integers(len(kinds))]
    if path.is_dir():
        kind = (_delete, _replace_by_file)[rng.integers(2)]
    return f"{path.relative_to(folder)}: {kind(rng, path, folder)}"


def _change(rng, path, folder):
    content = bytearray(path.read_bytes())
    if not content:
        return _replace_by_folder(rng, path, folder)
    at, value = int(rng.integers(len(content))), int(rng.integers(1, 256))
    content[at] ^= value
    path.write_bytes(content)
    return f"byte {at} ^= {value}"


def _cut(rng, path, folder):
    content = path.read_bytes()
    length = int(rng.integers(len(content) + 1))
    path.write_bytes(content[:length])
    return f"cut to {length} bytes"


def _empty(rng, path, folder):
    path.write_bytes(b"")
    return "emptied"


def _replace_by_folder(rng, path, folder):
    path.unlink()
    (path / "inside").mkdir(parents=True)
    return "a folder instead"


def _replace_by_link(rng, path, folder):
    path.unlink()
    path.symlink_to(folder.parent / "precious")
    return "a link to another file instead"


def _replace_by_file(rng, path, folder):
    shutil.rmtree(path)
    path.write_bytes(b"")
    return "a file instead"


def _delete(rng, path, folder):
    with contextlib.suppress(NotADirectoryError):
        shutil.rmtree(path)
        return "deleted"
    path.unlink()
    return "deleted"


def _nest(rng, path, folder):
    deep = int(rng.choice([200, 900, 100_000]))
    path.write_bytes(b"[" * deep + b"]" * deep)
    return f"JSON, {deep} deep"
