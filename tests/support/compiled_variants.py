"""The compiled kernels of each variant that this processor runs, and built with sanitizers."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from minigan.errors import DeviceError
from minigan.kernels import library, on_cpu, variants

ROOT = Path(__file__).parent.parent.parent


def runnable() -> list[str]:
    """The names of the variants that have been built and that this processor runs; none if NumPy is asked for."""
    return [variant.name for variant in variants.variants() if library.find() and _loaded(variant.name)]


def _loaded(name: str) -> library.Library | None:
    with patch.dict(os.environ, {library.VARIABLE: name}):
        library.search.cache_clear()
        try:
            return library.search()[0]
        except DeviceError:
            return None
        finally:
            library.search.cache_clear()


@contextmanager
def using(name: str) -> Iterator[library.Library]:
    """Have the kernels of one variant in use."""
    with patch.dict(os.environ, {library.VARIABLE: name}):
        library.search.cache_clear()
        on_cpu.cache_clear()
        found = library.find()
        assert found is not None
        assert found.variant.name == name
        yield found
    library.search.cache_clear()
    on_cpu.cache_clear()


def can_sanitize() -> bool:
    """Is there what `run_sanitized` needs?"""
    return shutil.which("gcc") is not None and bool(variants.variants())


def run_sanitized(script: str, variant: variants.Variant) -> subprocess.CompletedProcess:
    """A Python script in which the kernels are of `variant`, built with gcc's sanitizers; with text.

    What reads or writes outside of an array, or is undefined in C, ends it with a nonzero return code and a report.
    """
    runtimes = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    with tempfile.TemporaryDirectory() as folder:
        build = (
            "from pathlib import Path; from building import compilers, make; from building.sources import variants\n"
            f"chosen = [v for v in variants() if v.name == {variant.name!r}]\n"
            f"make.make(compilers.found(), chosen, Path({folder!r}))\n"
        )
        flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover"
        subprocess.run(
            [sys.executable, "-c", build], check=True, cwd=ROOT, env=os.environ | {"CC": "gcc", "CFLAGS": flags}
        )
        path = variants.library_path(variant, folder=Path(folder))
        prelude = (
            "from functools import cache; from pathlib import Path\n"
            "from minigan.kernels import library, variants\n"
            f"chosen = [v for v in variants.VARIANTS if v.name == {variant.name!r}][0]\n"
            f"found = library.Library(Path({str(path)!r}), chosen)\n"
            "library.search = cache(lambda: (found, ''))\n"
        )
        environment = os.environ | {
            "LD_PRELOAD": " ".join(runtimes),
            "ASAN_OPTIONS": "detect_leaks=0",  # Python does not free everything at its end
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        }
        return subprocess.run(
            [sys.executable, "-c", prelude + script], env=environment, cwd=ROOT, capture_output=True, text=True
        )
