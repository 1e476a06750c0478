"""What a run leaves in its folder beside the record: what it said, and the kernels that CuPy compiled for it."""

import contextlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

KERNELS = "kernels.tgz"


class Both(io.TextIOBase):
    """A stream whose text goes to two others, at once."""

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self._streams = first, second

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
            stream.flush()
        return len(text)


@contextlib.contextmanager
def also_in(path: Path) -> Iterator[None]:
    """What is printed meanwhile goes into this file too, and the traceback of an exception that ends it."""
    with path.open("w") as file, contextlib.redirect_stdout(Both(sys.stdout, file)):
        try:
            yield
        except BaseException:
            traceback.print_exc(file=file)
            raise


@contextlib.contextmanager
def compiled_kernels(out: Path, earlier: Path | None) -> Iterator[None]:
    """CuPy keeps what it compiles meanwhile in a folder below `out`, which becomes out/kernels.tgz at the end.

    It finds there what `earlier` holds, or else what the kernels.tgz of the run before held, if there was one.
    """
    packed, folder = out / KERNELS, out / "kernels"
    given = earlier or (packed if packed.exists() else None)
    folder.mkdir(exist_ok=True)
    before = os.environ.get("CUPY_CACHE_DIR")
    os.environ["CUPY_CACHE_DIR"] = str(folder.resolve())
    try:
        if given is not None:
            unpack(given, folder)
        yield
    finally:
        os.environ.pop("CUPY_CACHE_DIR") if before is None else os.environ.update(CUPY_CACHE_DIR=before)
        pack(folder, packed)
        shutil.rmtree(folder)


def unpack(packed: Path, folder: Path) -> None:
    """Put the archive's files into `folder`, none elsewhere; what cannot be read is said, and compiled anew."""
    try:
        with tarfile.open(packed) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    (folder / Path(member.name).name).write_bytes(file.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        print(f"{packed} cannot be read: {error}", flush=True)


def pack(folder: Path, packed: Path) -> None:
    """The files of `folder` as one archive, put into the place of what was there only when it is whole."""
    with tempfile.TemporaryDirectory(dir=packed.parent) as scratch:
        whole = Path(scratch) / packed.name
        with tarfile.open(whole, "w:gz") as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
        whole.replace(packed)
