"""The parent's end of a child process: requests out, answers or errors back, each within a time limit."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).parents[1]
ROOT = BENCHES.parent
LOGGED = 2000  # characters of what a child has printed that are worth keeping when it dies


class ChildError(Exception):
    """A request that was not answered: the child raised, died or took too long."""


def environment() -> dict[str, str]:
    """The variables of a child, which imports this checkout's minigan and no other."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def launcher() -> str | None:
    """The mpiexec beside this Python, or else the one that the shell finds."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("mpiexec", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


class Child:
    """A process that serves one library: `child.ask("open", 60, name="dcgan28")` waits up to 60 s for the answer.

    With several `processes` an MPI's `launcher` starts them, and the first one's answers are the child's.
    """

    def __init__(self, library: str, name: str, rehearse: bool, processes: int = 1) -> None:
        self.name = name
        self._asked = ""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._process = subprocess.Popen(
            [
                *([str(launcher()), "-n", str(processes)] if processes > 1 else []),
                *(sys.executable, "-m", "gpu_steps.worker", library, "rehearse" if rehearse else "measure"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=BENCHES,
            env=environment() | ({"OMP_NUM_THREADS": "1"} if rehearse else {}),  # nothing is timed: many run at once
            start_new_session=True,  # so that what it starts can be ended with it
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, request: str, limit: float, /, **arguments: Any) -> Any:
        """The answer to this request; ChildError after `limit` seconds, and the child is ended."""
        self.start(request, **arguments)
        return self.finish(limit)

    def start(self, request: str, /, **arguments: Any) -> None:
        """Send a request, whose answer `finish` waits for."""
        self._asked = f"{self.name}: {request}"
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # finish() says how it died
            print(json.dumps([request, arguments]), file=self._process.stdin, flush=True)

    def finish(self, seconds: float) -> Any:
        """The answer to the request sent last."""
        try:
            line = self._lines.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            self.close()
            raise ChildError(f"{self._asked}: no answer within {max(seconds, 0):.0f} s") from None
        if not line:
            code, said = self._process.wait(), self._said()
            self.close()
            raise ChildError(f"{self._asked}: the process ended with exit code {code}\n{said}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(f"{self._asked}: {answer['error']}")
        return answer["result"]

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-LOGGED:]

    @property
    def closed(self) -> bool:
        return self._log.closed

    def close(self) -> None:
        """End the child and whatever it has started."""
        if self.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(1)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):
                stream.close()
