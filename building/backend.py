"""What pip and `python -m build` call (PEP 517 and 660): setuptools, and the kernels compiled on the way.

A wheel is built in a copy, so that nothing is left behind here; an editable install has its libraries in this
checkout. Where no compiler can be had, or it fails, the package is installed without libraries: NumPy does the
work, and the file `lib/missing.txt` says why. MINIGAN_KERNELS=numpy asks for that.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools import build_meta

from .compilers import CompilerError, found, installed, offered, zig
from .make import make
from .platforms import here
from .sources import LIBRARIES, MISSING, ROOT, variants

ZIG = "ziglang"


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    with _tidy():
        return build_meta.get_requires_for_build_sdist(config_settings)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    with _tidy():
        return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler_to_fetch()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    with _tidy():
        return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler_to_fetch()]


def prepare_metadata_for_build_wheel(folder: str, config_settings: Any = None) -> str:
    with _tidy():
        return build_meta.prepare_metadata_for_build_wheel(folder, config_settings)


def prepare_metadata_for_build_editable(folder: str, config_settings: Any = None) -> str:
    with _tidy():
        return build_meta.prepare_metadata_for_build_editable(folder, config_settings)


def build_sdist(folder: str, config_settings: Any = None) -> str:
    with _tidy():
        return build_meta.build_sdist(folder, config_settings)


def build_wheel(folder: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    with tempfile.TemporaryDirectory() as libraries:
        compiled = compile_or_say_why(Path(libraries))
        return wheel(Path(folder), Path(libraries), here() if compiled else "any", config_settings)


def build_editable(folder: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    compile_or_say_why(LIBRARIES)
    with _tidy():
        return build_meta.build_editable(folder, config_settings, metadata_directory)


def wheel(folder: Path, libraries: Path, platform: str, config_settings: Any = None) -> str:
    """The name of a wheel in `folder`, for any Python on `platform`, with the files that lie in `libraries`."""
    settings = dict(config_settings or {})
    given = settings.get("--build-option", [])
    tags = [f"--plat-name={platform}", "--python-tag=py3"] if platform != "any" else []
    settings["--build-option"] = [*([given] if isinstance(given, str) else given), *tags]
    folder = folder.absolute()
    with tempfile.TemporaryDirectory() as copied, contextlib.chdir(copied):
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy2(ROOT / name, name)
        shutil.copytree(ROOT / "minigan", "minigan", ignore=shutil.ignore_patterns("__pycache__", LIBRARIES.name))
        shutil.copytree(libraries, LIBRARIES.relative_to(ROOT))
        return build_meta.build_wheel(str(folder), settings)


def compile_or_say_why(folder: Path) -> bool:
    """Fill `folder` with this machine's libraries alone, or with a file that says why there are none.

    Returns whether there are libraries.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    why = _refused()
    compiler = None if why else found()
    if compiler is None:
        why = why or "where minigan was built, there was no C compiler, and the package ziglang was not to be had"
    else:
        try:
            make(compiler, variants(), folder)
            return True
        except CompilerError as error:
            why = f"where minigan was built, the C compiler failed\n{error}"
    print(f"minigan will compute with NumPy, without compiled kernels: {why}", flush=True)
    (folder / MISSING).write_text(f"{why}\n", encoding="utf-8")
    return False


def _refused() -> str:
    """Why nothing is to be compiled, "" if it is."""
    if os.environ.get("MINIGAN_KERNELS") == "numpy":
        return "minigan was built with MINIGAN_KERNELS=numpy"
    return "" if variants() else "there are no compiled kernels for this kind of processor"


def _compiler_to_fetch() -> list[str]:
    """The package with a compiler, if one is needed and this can be had: what cannot would end the installation."""
    needed = not _refused() and installed() is None and zig() is None
    return [ZIG] if needed and offered(ZIG) else []


@contextlib.contextmanager
def _tidy() -> Iterator[None]:
    """Remove what setuptools leaves in the checkout and was not there before."""
    left = [path for path in (ROOT / "build", ROOT / "minigan.egg-info") if not path.exists()]
    try:
        yield
    finally:
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
