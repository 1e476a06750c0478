"""The libraries, compiled: all C files of a folder in one command for each variant."""

import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .compilers import Compiler
from .sources import Variant, digest, library_path, source_files


def make(
    compiler: Compiler,
    chosen: Sequence[Variant],
    folder: Path,
    *,
    flags: Sequence[str] = (),
    system: str = sys.platform,
) -> list[Path]:
    """The library of each variant, compiled into `folder`, where nothing has changed if one fails.

    Raises CompilerError, with what the compiler wrote.
    """
    files = [path for path in source_files() if path.suffix == ".c"]
    given = [f'-DMINIGAN_SOURCES="{digest()}"', *flags, *shlex.split(os.environ.get("CFLAGS", ""))]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside, ThreadPoolExecutor() as pool:
        new = [library_path(variant, system, Path(beside)) for variant in chosen]
        jobs = [
            pool.submit(compiler.compile, files, variant, path, given)
            for variant, path in zip(chosen, new, strict=True)
        ]
        for job in jobs:
            job.result()
        return [path.replace(folder / path.name) for path in new]
