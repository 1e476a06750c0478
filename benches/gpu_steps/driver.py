"""What only the driver knows: how many launches a captured graph holds; and what nvidia-smi says of the GPU."""

import ctypes
import subprocess

FIELDS = (
    *("name", "driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem", "power.limit"),
    *("power.draw", "temperature.gpu", "memory.total", "memory.used"),
)


def nodes_at(address: int) -> int | None:
    """The number of nodes of the CUgraph at this address; None if the driver does not say."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count = ctypes.c_size_t()
    status = driver.cuGraphGetNodes(ctypes.c_void_p(address), None, ctypes.byref(count)) if address else 1
    return count.value if status == 0 else None


def nvidia_smi() -> dict[str, str] | None:
    """Its answers for the first GPU by field; None where the program is not there or fails."""
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader", "--id=0"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    values = [value.strip() for value in result.stdout.strip().split(",")]
    return dict(zip(FIELDS, values, strict=False))
