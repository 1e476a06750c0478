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


def shown(name: object) -> str:
    """The text of a name as a line can show it: what is not printable, or is no text of any encoding, is escaped.

    A name may hold anything: bytes that are no UTF-8, line breaks, sequences that a terminal obeys.
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in str(name))


def _escaped(character: str) -> str:
    undecoded = ord(character) - 0xDC00  # how Python keeps a byte 0x80 .. 0xff of a file's name
    return f"\\x{undecoded:02x}" if 0x80 <= undecoded <= 0xFF else character.encode("unicode_escape").decode()
