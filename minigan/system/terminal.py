"""What a program says, and how it ends: errors are lines, and a reader who is gone ends nothing."""

import os
import sys
from collections.abc import Callable

from ..errors import MiniganError

INTERRUPTED = 130  # the exit status of a program stopped by Ctrl-C or SIGTERM


def ending(name: str, program: Callable[[], int]) -> int:
    """The exit status of the program of that name: its own, 1 after an error, which is named on stderr.

    INTERRUPTED after Ctrl-C; 0 if the reader of its output has seen enough.
    """
    try:
        try:
            return program()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return 0
    except (MiniganError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def say(text: str) -> None:
    """Print a line at once. If the reader of a pipe is gone, this and all that follows goes nowhere: work goes on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Let everything that is printed from now on go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
