"""PyTorch as it runs on an Intel CPU, on an AMD one, so that the vendor flatters nobody.

PyTorch's MKL asks `mkl_serv_intel_cpu_true` which code to run, and on other CPUs than Intel's it is half as fast as the
CPU allows. A library that answers yes, loaded before it, shows what PyTorch does where MKL does its best.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

AS_ON_INTEL = " as on Intel"  # ends the names of such variants
_SOURCE = "int mkl_serv_intel_cpu_true(void) { return 1; }\n"


@functools.cache
def library() -> str | None:
    """The path of that library, made once and kept until this process ends; None where it has no use or no compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not _is_amd():
        return None
    folder = Path(_folder().name)
    source, made = folder / "intel.c", folder / "intel.so"
    source.write_text(_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made], check=True)
    return str(made)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()  # removed when the interpreter ends


def _is_amd() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and "AuthenticAMD" in info.read_text()
