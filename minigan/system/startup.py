"""What is loaded first: until a program of minigan's own begins, and after it has ended, a signal ends it in one line.

Loading takes long enough to be interrupted, and nothing has been done by then that could be lost. Nor may a file get
the number of a stream that was closed, for what a library prints would be written into it. Where minigan is only
imported, nothing is done.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from .signals import INTERRUPTED, STOPPING


def _end(number: int, frame: Any) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"minigan: interrupted\n")
    os._exit(INTERRUPTED)


def _is_program() -> bool:
    """Is this `minigan` or `python -m minigan`?"""
    started = sys.argv[0] if sys.argv else ""
    return Path(started).stem == "minigan" or (started == "-m" and "minigan" in sys.orig_argv)


def _open_streams() -> None:
    """Let the standard streams that are closed lead nowhere."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the least number that is free


if _is_program():
    _open_streams()
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
