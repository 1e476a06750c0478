"""What the measurements ran on: the BLAS kernel, and the rate of a large matrix product."""

import json
import subprocess
import sys
from typing import Any

from .worker import environment

_PROBE = """
import json, time
import numpy as np
from threadpoolctl import threadpool_info
a = np.random.default_rng(0).standard_normal((1024, 1024)).astype("float32")
a @ a
times = []
for _ in range(40):
    start = time.perf_counter()
    a @ a
    times.append(time.perf_counter() - start)
blas = next(pool for pool in threadpool_info() if pool["user_api"] == "blas")
print(json.dumps({"gflops": 2 * 1024**3 / sorted(times)[20] / 1e9, "blas": blas["internal_api"],
                  "kernel": blas["architecture"], "version": blas["version"], "numpy": np.__version__}))
"""


def probe(threads: int, pinned: bool) -> dict[str, Any]:
    """The BLAS kernel of a child process and its rate, in GFLOP/s, for the float32 product of 1024 x 1024 matrices."""
    child = subprocess.run(
        [sys.executable, "-c", _PROBE], env=environment(threads, pinned), capture_output=True, text=True, check=True
    )
    return json.loads(child.stdout)


def kernels_in_use() -> str:
    """Which kernels minigan runs with here: the variant of the compiled ones, or NumPy."""
    from minigan.kernels import library

    found = library.find()
    return "NumPy" if found is None else f"compiled for {found.variant.name}"


def blas_in_use() -> list[str]:
    """Each BLAS that NumPy has loaded, its version and the architecture whose kernels it runs with."""
    from minigan.system.machine import blas_info

    return [f"{about['internal_api']} {about['version']}, {about.get('architecture')}" for about in blas_info()]
