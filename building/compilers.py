"""C compilers: which there is, and what is given to it."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .sources import Variant, variants

FLAGS = (
    "-O3",
    "-std=gnu11",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
)
WARNINGS = ("-Wall", "-Wextra", "-Werror")
LIBRARIES = ("-lm", "-lpthread")
NAMES = ("cc", "gcc", "clang")

# What the kernels ask of a compiler and of the system's headers, in a few lines.
TRIAL = """
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
typedef float vec __attribute__((vector_size(16), aligned(4), may_alias));
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
vec mixed(vec a, vec b)
{
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    return __builtin_shufflevector(a, b, 0, 4, 1, 5) * sqrtf(a[0]);
}
"""


class CompilerError(Exception):
    """A compiler that is missing or failed; the text says what it wrote."""


class Compiler(NamedTuple):
    """A command that compiles C, without its arguments."""

    command: tuple[str, ...]

    def compile(self, files: Sequence[Path], flags: Sequence[str], path: Path) -> None:
        """Make the shared library `path` of C files. Raises CompilerError."""
        given = [*self.command, *FLAGS, *flags, *map(str, files), *LIBRARIES, "-o", str(path)]
        try:
            run = subprocess.run(given, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise CompilerError(f"{self.command[0]}: {error}") from error
        if run.returncode:
            raise CompilerError(f"{shlex.join(given)}\n{run.stdout}{run.stderr}")

    def works(self, variant: Variant) -> bool:
        """Does it compile a few lines for this variant as the kernels are compiled?"""
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder, "trial.c")
            trial.write_text(TRIAL)
            try:
                self.compile([trial], variant.flags, Path(folder, "trial.so"))
            except CompilerError:
                return False
            return True


def zig() -> Compiler | None:
    """The C compiler in the package ziglang, if it is installed."""
    if importlib.util.find_spec("ziglang") is None:
        return None
    return Compiler((sys.executable, "-m", "ziglang", "cc"))


@cache
def installed() -> Compiler | None:
    """The first of $CC, cc, gcc and clang that compiles this machine's variants; None if none does."""
    for name in (os.environ.get("CC", ""), *NAMES):
        command = tuple(shlex.split(name))
        if command and shutil.which(command[0]) and all(map(Compiler(command).works, variants())):
            return Compiler(command)
    return None


def found() -> Compiler | None:
    """The compiler to take: an installed one, else ziglang's."""
    return installed() or zig()
