"""The tests that need a GPU, in a process of their own."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .children import ROOT, environment

WARNINGS = ("DeprecationWarning", "PendingDeprecationWarning")  # of libraries, whichever are there
COMMAND = ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", *(f"-Wignore::{name}" for name in WARNINGS))
SETTINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}  # a machine's own plugins and options stay out
HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}


class Tests:
    """These tests while they run; their output goes to `log`. In a rehearsal there is no GPU, and all are skipped."""

    def __init__(self, tests: tuple[str, ...], log: Path, rehearse: bool) -> None:
        self.log, self.rehearse = log, rehearse
        self._command = [*COMMAND, *tests]
        self._start = time.monotonic()
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=ROOT,
                env=environment() | SETTINGS | (HIDDEN if rehearse else {}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def finish(self, seconds: float) -> tuple[dict[str, Any], list[str]]:
        """(what came of them, the errors) within so many seconds from now."""
        late = False
        try:
            self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            late = True
            self.close()
        lines = self.log.read_text(errors="replace").strip().splitlines() or [""]
        settings = [f"{name}={value}" for name, value in SETTINGS.items()]
        found = {
            "command": " ".join([*settings, "python", *self._command]),
            "exit_code": self._process.returncode,
            "seconds": time.monotonic() - self._start,
            "summary": lines[-1],
            **{what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", lines[-1])},
            "failures": [line for line in lines if line.startswith(("FAILED", "ERROR"))][:50],
        }
        last = "\n".join(lines)[-2000:]
        if late:
            return found, [f"the tests were ended after {found['seconds']:.0f} s; the last they said: {last[-500:]}"]
        if found["exit_code"]:
            return found, [f"pytest exited with {found['exit_code']}: {lines[-1]}\n{last}"]
        if not found.get("passed") and not self.rehearse:
            return found, [f"no test has run: {lines[-1]}"]
        return found, []

    def close(self) -> None:
        """End them if they still run."""
        self._process.kill()
        self._process.wait()
