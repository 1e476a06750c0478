"""What this installation runs on: versions, the kernels that are in use, devices, the BLAS."""

from typing import Any

from ..backend import cuda_problem
from ..system import machine
from ..system.machine import blas_info, blas_pinned
from . import library


def versions() -> dict[str, str]:
    """Versions that decide a run's numbers: minigan, Python, NumPy, CuPy if loaded, platform, kernels of the CPU."""
    found = library.find()
    return {**machine.versions(), "kernels": "numpy" if found is None else f"{found.variant.name}, {found.compiler}"}


def without_compiled() -> str | None:
    """Why NumPy does the work that compiled kernels could, and what to do; None if they do it or nobody wants them."""
    return None if library.find() is not None or library.choice() == "numpy" else library.search()[1]


def about_kernels() -> dict[str, Any]:
    """The kernels in use: their variant and compiler, the library's file; what was asked for; if NumPy's, why."""
    found, why = library.search()
    return {
        "asked": library.choice(),
        "compiled": found is not None,
        "variant": found and found.variant.name,
        "compiler": found and found.compiler,
        "library": found and str(found.path),
        "why": why or None,
    }


def config_lines() -> list[str]:
    """Versions, the kernels in use, devices, the BLAS kernel and its threads, and what is missing for CUDA."""
    found, why = library.search()
    used = f"NumPy's: {why}" if found is None else f"compiled, {found.variant.name}, by {found.compiler}"
    lines = [f"{name:10} {value}" for name, value in {**versions(), "kernels": used}.items()]
    lines += [
        f"{'blas':10} {blas['internal_api']} {blas['version']}, "
        f"kernel {blas['architecture']}, {blas['num_threads']} threads"
        for blas in blas_info()
    ]
    if pinned := blas_pinned():
        lines.append(f"{'':10} {pinned}")
    return [*lines, f"{'cuda':10} {cuda_problem() or 'usable'}"]


def show_config() -> None:
    """Print versions, kernels and devices, the BLAS kernel and its threads, and what is missing for CUDA."""
    print("\n".join(config_lines()))
