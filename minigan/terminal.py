"""What a program says, and how it ends when nobody reads it any more."""

import os
import sys


def say(text: str) -> None:
    """Print a line at once. If the reader of a pipe is gone, this and all that follows goes nowhere: work goes on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Let everything that is printed from now on go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
