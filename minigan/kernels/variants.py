"""The compiled kernels as files: which libraries there are for each kind of processor, and what they are made of.

The build reads this module without the package around it, so it imports nothing of minigan and nothing beyond Python.
"""

import hashlib
import platform
import sys
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).parent / "c"
LIBRARIES = Path(__file__).parent / "lib"
MISSING = "missing.txt"  # beside them: why there are none


class Variant(NamedTuple):
    """One library: its name, the processors it is for, the least level of them (`cpu_level` in c/cpu.c)."""

    name: str
    machine: str
    level: int


VARIANTS = (
    Variant("x86-64-v2", "x86-64", 2),  # SSE4.2: 4 floats at a time
    Variant("x86-64-v3", "x86-64", 3),  # AVX2 and FMA: 8
    Variant("x86-64-v4", "x86-64", 4),  # AVX-512: 16
    Variant("arm64", "arm64", 1),  # NEON: 4
)

_MACHINES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64": "arm64"}
_SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}


def variants(machine: str | None = None) -> tuple[Variant, ...]:
    """The variants for a kind of processor, by default this one's, the plainest first; empty if there are none."""
    name = (machine or platform.machine()).lower()
    return tuple(variant for variant in VARIANTS if variant.machine == _MACHINES.get(name, name))


def library_path(variant: Variant, system: str = sys.platform, folder: Path = LIBRARIES) -> Path:
    """Where the library of a variant lies, on a system by its name in `sys.platform`."""
    return folder / f"minigan-{variant.name}{_SUFFIXES.get(system, '.so')}"


def source_files() -> list[Path]:
    """The C sources and headers, sorted."""
    return sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])


def digest() -> str:
    """What stands for the sources, 16 digits: a library made of others carries another."""
    made_of = hashlib.sha256()
    for path in source_files():
        made_of.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return made_of.hexdigest()[:16]
