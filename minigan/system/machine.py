"""What decides a run's numbers and its speed beside the program: memory, versions, the BLAS that NumPy has loaded."""

import contextlib
import math
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import library_versions

__version__ = "0.1.0"


def memory() -> float:
    """Bytes of memory that this machine has, as far as it says."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def _told(path: Path | str) -> str:
    """What Linux tells in a file of its own; OSError where there is none."""
    return Path(path).read_text(encoding="utf-8")


def available() -> float:
    """Bytes of memory that this process may still take without another being hurt; infinity where nothing says it."""
    found = [math.inf, *_left_to_process()]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = _told("/proc/meminfo").splitlines()
        found.append(1024.0 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with contextlib.suppress(OSError, ValueError):
        for line in _told("/proc/self/cgroup").splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds in ("", "memory"):
                found += _left_to_groups(Path("/sys/fs/cgroup") / kinds, group.strip("/"))
    return max(min(found), 0.0)


def _left_to_process() -> Iterator[float]:
    """What is left of the limits of this process's addresses and data (`ulimit -v`, `ulimit -d`), where it has some."""
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError):  # Windows has no module resource
        import resource

        pages = _told("/proc/self/statm").split()
        for limit, taken in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
            most = resource.getrlimit(limit)[0]
            if most != resource.RLIM_INFINITY:
                yield float(most - int(taken) * resource.getpagesize())


def _left_to_groups(root: Path, group: str) -> Iterator[float]:
    """What is left of the limit of a control group and of those that it is in, where they have limits."""
    for folder in (root / group, *(root / group).parents):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says "max"
                cached = re.findall(r"^(?:total_)?inactive_file (\d+)", _told(folder / "memory.stat"), re.M)
                taken = int(_told(folder / used)) - max(map(int, cached), default=0)
                yield float(int(_told(folder / limit)) - taken)
        if folder == root:
            return


def processor() -> str:
    """What this machine's processor is called, and how many cores of it this process may use."""
    named = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = _told("/proc/cpuinfo").splitlines()
        named = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{named}, {cores()} cores"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas_info() -> list[dict[str, Any]]:
    """One dict per BLAS library that NumPy has loaded: name, version, architecture (kernel), threads."""
    from threadpoolctl import threadpool_info

    keys = ("internal_api", "version", "architecture", "num_threads")
    return [{k: pool.get(k) for k in keys} for pool in threadpool_info() if pool.get("user_api") == "blas"]


_AVX512_KERNELS = ("skylakex", "cooperlake", "sapphirerapids")  # OpenBLAS's names


def blas_pinned() -> str | None:
    """What keeps OpenBLAS from the widest vectors of this processor and how to undo it; None if nothing does."""
    name = os.environ.get("OPENBLAS_CORETYPE")
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    wide = any(feature == "X86_V4" or feature.startswith("AVX512") for feature in found)
    kernels = [blas["architecture"] or "" for blas in blas_info() if blas["internal_api"] == "openblas"]
    slow = [kernel for kernel in kernels if wide and kernel.lower() not in _AVX512_KERNELS]
    if not name or not slow:
        return None
    return (
        f"OPENBLAS_CORETYPE={name} pins the BLAS to its {slow[0]} kernel, though this processor has AVX-512: "
        "matrix products can take twice as long. `unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE` lets OpenBLAS choose."
    )


def versions() -> dict[str, str]:
    """Versions that decide a run's numbers: minigan, Python, NumPy, CuPy if loaded, platform."""
    return {
        "minigan": __version__,
        "python": platform.python_version(),
        **library_versions(),
        "platform": platform.platform(),
    }


def load_matplotlib() -> Any:
    """The module matplotlib, which does not load where $MPLBACKEND names a backend that is not there.

    A notebook leaves such a name to the programs of other environments that it starts. Nothing is drawn on a screen.
    """
    given = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib
    finally:
        if given is not None:
            os.environ["MPLBACKEND"] = given
    if given:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = given
    return matplotlib
