"""The most memory that this program has taken."""

import resource
import sys
from pathlib import Path


def peak():
    """Bytes, since it was started: what the system says in ru_maxrss counts the process that it was forked from too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
