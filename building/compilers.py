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
STRICT = ("-Wall", "-Wextra", "-Werror")  # for who writes the kernels: a compiler to come may warn of something new
LIBRARIES = ("-lm", "-lpthread")  # Windows has what is in them without being told
NAMES = ("cc", "gcc", "clang")

# What the kernels ask of a compiler and of the system's headers, in a few lines.
TRIAL = """
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
typedef float vec __attribute__((vector_size(16), aligned(4), may_alias));
static atomic_int calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
vec mixed(vec a, vec b)
{
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&calls, 1);
    return __builtin_convertvector(a > b, vec) * sqrtf(a[0]);
}
"""


# What makes a compiler use what the processors of a variant have, and gcc and clang not half of it
ARCHITECTURES = {
    "x86-64-v2": ("-march=x86-64-v2",),
    "x86-64-v3": ("-march=x86-64-v3",),
    "x86-64-v4": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "arm64": ("-march=armv8-a",),
}
ZIG_CPUS = {"x86-64-v2": "x86_64_v2", "x86-64-v3": "x86_64_v3", "x86-64-v4": "x86_64_v4", "arm64": "generic"}


class CompilerError(Exception):
    """A compiler that is missing or failed; the text says what it wrote."""


class Compiler:
    """A command that compiles C, such as `gcc`."""

    def __init__(self, *command: str) -> None:
        self.command = command

    def compile(self, files: Sequence[Path], variant: Variant, path: Path, flags: Sequence[str] = ()) -> None:
        """Make the shared library `path` of C files, for the processors of `variant`. Raises CompilerError."""
        given = [*self.command, *FLAGS, *self.architecture(variant), *flags, *map(str, files)]
        given += [] if path.suffix == ".dll" else LIBRARIES
        try:
            run = subprocess.run(
                [*given, "-o", str(path)], capture_output=True, text=True, errors="replace", env=self.environment(path)
            )
        except OSError as error:
            raise CompilerError(f"{self.command[0]}: {error}") from error
        if run.returncode:
            raise CompilerError(f"{shlex.join(given)}\n{run.stdout}{run.stderr}")

    def architecture(self, variant: Variant) -> tuple[str, ...]:
        """The flags that let it use what the processors of a variant have."""
        return ARCHITECTURES[variant.name]

    def environment(self, path: Path) -> dict[str, str] | None:
        """The environment in which it makes `path`; None for this one."""
        return None

    def works(self, variant: Variant) -> bool:
        """Does it compile a few lines for this variant as the kernels are compiled?"""
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder, "trial.c")
            trial.write_text(TRIAL, encoding="utf-8")
            try:
                self.compile([trial], variant, Path(folder, "trial.so"))
            except CompilerError:
                return False
            return True


class Zig(Compiler):
    """The C compiler in the package ziglang, which is clang under another command line, for any target."""

    def __init__(self, target: str = "") -> None:
        """For this machine, or `target`, for instance aarch64-linux-gnu.2.17."""
        super().__init__(sys.executable, "-m", "ziglang", "cc", *(("-target", target) if target else ()))

    def architecture(self, variant: Variant) -> tuple[str, ...]:
        """zig names processors in its own way, and leaves what debuggers read in a library unless it is told."""
        return (f"-mcpu={ZIG_CPUS[variant.name]}", *ARCHITECTURES[variant.name][1:], "-s")

    def environment(self, path: Path) -> dict[str, str] | None:
        """Its cache lies beside what is made, not in the user's home."""
        cache = str(path.parent / "cache")
        return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}


def zig() -> Zig | None:
    """ziglang's compiler, if that is installed."""
    return None if importlib.util.find_spec("ziglang") is None else Zig()


@cache
def installed() -> Compiler | None:
    """The first of $CC, cc, gcc and clang that compiles this machine's variants; None if none does."""
    for name in (os.environ.get("CC", ""), *NAMES):
        command = shlex.split(name)
        if command and shutil.which(command[0]) and all(map(Compiler(*command).works, variants())):
            return Compiler(*command)
    return None


def offered(package: str) -> bool:
    """Can this package be had from where pip or uv get theirs?

    Asked is the pip of this Python, which an isolated build does not see by itself, or the uv that runs the build.
    Where there is neither, the answer is yes.
    """
    ask = ("install", "--dry-run", "--no-deps", "--only-binary", ":all:")
    with tempfile.TemporaryDirectory() as folder:
        for tool in ((sys.executable, "-I", "-m", "pip"), (os.environ.get("UV", ""), "pip")):
            if tool[0] and not _run([*tool, "--help"]):
                return not _run([*tool, *ask, "--target", folder, package])
    return True


def _run(command: Sequence[str]) -> int:
    """The exit status of a command, whose output is of no interest; 1 if it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode
    except OSError:
        return 1


def found() -> Compiler | None:
    """The compiler to take: an installed one, else ziglang's."""
    return installed() or zig()
