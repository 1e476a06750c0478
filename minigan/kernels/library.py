"""The compiled kernels, loaded: the best library that this processor runs, and its functions called by ctypes.

How a function is called is read from the C sources, where it is declared once: `EXPORT int name(const float *x,
int64_t n)`. A pointer is passed as an integer (`address`), sizes and numbers as Python's own.
"""

import ctypes
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..errors import DeviceError
from .calls import step
from .threads import tell_compiled
from .variants import MISSING, VARIANTS, Variant, digest, library_path, source_files, variants

VARIABLE = "MINIGAN_KERNELS"
CHOICES = ("auto", "numpy", "compiled", *(variant.name for variant in VARIANTS))

_EXPORT = re.compile(r"^EXPORT\s+([\w\s]+?\W*?)\b(\w+)\(([^)]*)\)", re.MULTILINE)
POINTER = ctypes.c_void_p
_TYPES: dict[str, Any] = {
    "int": ctypes.c_int,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


class Library:
    """A loaded library: `call(name, ...)` runs one of its functions."""

    def __init__(self, path: Path, variant: Variant) -> None:
        """Load it. Raises OSError if that fails, or if it was made of other sources than lie here."""
        self.path, self.variant = path, variant
        self._loaded = ctypes.CDLL(str(path))
        declared = declarations()
        for name, (result, arguments) in declared.items():
            try:
                function = getattr(self._loaded, name)
            except AttributeError as error:
                raise OSError(f"{path.name} has no {name}: it was made of other sources") from error
            function.restype, function.argtypes = result, arguments
        if self.text("library_sources") != digest():
            raise OSError(f"{path.name} was made of other sources than these")

    def function(self, name: str) -> Callable[..., Any]:
        """The function itself, of ctypes: it returns what the C function does."""
        return getattr(self._loaded, name)

    def call(self, name: str, *args: Any) -> None:
        """Run a function that returns 0, or 1 for want of memory. Raises MemoryError."""
        if getattr(self._loaded, name)(*args):
            raise MemoryError(f"{name}: no memory for what is computed in between")

    def text(self, name: str) -> str:
        """What a function returns that returns text."""
        return self.function(name)().decode()

    @property
    def compiler(self) -> str:
        """What it was compiled by."""
        return self.text("library_compiler").strip()


@cache
def declarations() -> dict[str, tuple[Any, list[Any]]]:
    """The result's and the arguments' ctypes of each function that the C sources export, by name."""
    found = {}
    for path in source_files():
        for result, name, arguments in _EXPORT.findall(path.read_text(encoding="utf-8")):
            listed = [a.strip() for a in arguments.split(",") if a.strip() not in ("", "void")]
            found[name] = (_ctype(result, pointer=ctypes.c_char_p), [_ctype(re.sub(r"\w+$", "", a)) for a in listed])
    return found


def _ctype(declared: str, pointer: Any = POINTER) -> Any:
    """The ctype of a C type; KeyError if it is none that kernels take."""
    words = [word for word in declared.split() if word not in ("const", "restrict")]
    if "*" in declared:
        return pointer
    return None if words == ["void"] else _TYPES[" ".join(words)]


def choice() -> str:
    """What MINIGAN_KERNELS asks for. Raises DeviceError if it is nothing that there is."""
    asked = os.environ.get(VARIABLE, "") or "auto"
    if asked not in CHOICES:
        raise DeviceError(f"{VARIABLE}={asked}: expected one of {', '.join(CHOICES)}")
    return asked


@cache
def search() -> tuple[Library | None, str]:
    """(The library to use, "") or (None, why there is none and what to do).

    Raises DeviceError if MINIGAN_KERNELS asks for compiled kernels that there are not, or for nothing there is.
    """
    asked = choice()
    if asked == "numpy":
        return None, f"{VARIABLE}=numpy asks for them"
    library, why = _best(asked)
    if library is not None:
        tell_compiled(library.function("set_threads"))
    elif asked != "auto":
        raise DeviceError(f"{VARIABLE}={asked}: there are no such kernels: {why}")
    return library, why


def _best(asked: str) -> tuple[Library | None, str]:
    """The library of the variant asked for, or the best one that this processor runs; else why there is none."""
    if not variants():
        return None, f"there are compiled ones for {' and '.join(sorted({v.machine for v in VARIANTS}))} only"
    plainest = variants()[0]
    try:
        level = Library(library_path(plainest), plainest).function("cpu_level")()
    except OSError as error:
        return None, _reason(error, library_path(plainest))
    for variant in reversed(variants()):
        if variant.level <= level and asked in ("auto", "compiled", variant.name):
            try:
                return Library(library_path(variant), variant), ""
            except OSError as error:
                return None, _reason(error, library_path(variant))
    return None, "this processor has not the instructions they are made of"


def _reason(error: OSError, path: Path) -> str:
    """Why a library was not loaded, and what to do."""
    if path.exists():
        return f"{error}; to install minigan again makes it anew"
    said = path.parent / MISSING
    why = said.read_text(encoding="utf-8").partition("\n")[0] if said.exists() else "compiled ones have not been built"
    return f"{why}; install a C compiler (gcc or clang), then minigan again"


def find() -> Library | None:
    """The library to use, None if NumPy does the work; `search` says why, and what it raises."""
    return search()[0]


def call(name: str, *args: Any) -> None:
    """Run a function of the library in use, which there must be. Raises MemoryError."""
    library = search()[0]
    assert library is not None
    if step.trace is not None:
        step.trace.called.append((name, args))
    library.call(name, *args)


def function(name: str) -> Callable[..., Any]:
    """A function of the library in use, which there must be."""
    library = search()[0]
    assert library is not None
    return library.function(name)


class Trace:
    """What a thread asks of the library while `step.trace` is this: its calls, and the tables that were made for them.

    A table says where arrays lie and how large they are: it is the same as long as they are.
    """

    def __init__(self) -> None:
        self.called: list[tuple[str, tuple]] = []
        self.tables: list[Array] = []
        self.besides = False  # was anything computed without the library?


def note_besides() -> None:
    """Say that a kernel which calls the library computes something without it too."""
    if step.trace is not None:
        step.trace.besides = True


def table(rows: Any) -> Array:
    """Rows of addresses, or 0, and a size at their end, as an array for C to read."""
    made = np.array(rows, np.int64)
    if step.trace is not None:
        step.trace.tables.append(made)
    return made


# --- where an array lies ------------------------------------------------------------------------------------------

_DATA = object.__basicsize__  # of an array as the C interface of NumPy fixes it: the head of any object, then the data


def _by_interface(array: Array) -> int:
    return array.ctypes.data


def _by_layout(array: Array) -> int:
    if not isinstance(array, np.ndarray):  # the number in a scalar would be taken for its place
        raise TypeError(f"expected an array, got {array!r}")
    return ctypes.c_void_p.from_address(id(array) + _DATA).value or 0


def _fastest() -> Callable[[Array], int]:
    probe = np.empty(3, np.float32)
    known = sys.implementation.name == "cpython" and _by_layout(probe[1:]) == probe[1:].ctypes.data
    return _by_layout if known else _by_interface


address = _fastest()
