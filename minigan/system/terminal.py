"""What a program says, and how it ends: errors are lines, and nothing that befalls its output ends its work."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..errors import MiniganError
from . import disk
from .signals import INTERRUPTED, interrupting

LESS = "smaller batches or networks need less"  # advice where memory ran out
# what libraries say that have no MemoryError for it
NO_ROOM = ("out of memory", "llocate memory", "can't start new thread", "ALLOC_FAILED")


def shown(name: object) -> str:
    r"""A name of a file, or any other text, as one line that is safe on a terminal.

    What does not print is escaped: line breaks, the escape sequences of terminals, characters that turn the direction
    of writing (`\u202e`), and bytes of a name that are no text (`\xe9`).
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(name))


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # what Python makes of a byte that is no text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else letter.encode("unicode_escape").decode()


class Lenient:
    """A text stream that takes everything: what it cannot encode is escaped, what it cannot write goes nowhere.

    `failure` is the first error of the system. The stream may be None, which is what Python makes of a closed one.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream.stream if isinstance(stream, Lenient) else stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text; its length."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self._attempt("write", text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Have what was written where it goes."""
        self._attempt("flush")

    def isatty(self) -> bool:
        """Does somebody watch it?"""
        return bool(self._attempt("isatty"))

    def _attempt(self, method: str, *arguments: str) -> Any:
        if self.stream is None:
            return None
        try:
            return getattr(self.stream, method)(*arguments)
        except OSError as error:
            self.failure = self.failure or error
            self._lead_nowhere()
        except ValueError:  # the program has closed it
            self.stream = None
        return None

    def _lead_nowhere(self) -> None:
        """Let what waits in the stream's buffer, and all that follows, go nowhere."""
        with contextlib.suppress(OSError, ValueError):  # it is no file
            number = self.stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_silent = ContextVar("nothing is said here", default=False)
_whose = ""  # of several processes, which one an error befell
_told: list[Callable[[int], None]] = []  # who is told the exit status of a program


def silence(whose: str = "") -> None:
    """From now on, in this thread, nothing is said and no bar is shown: of several that work together one speaks.

    Where errors are named, `whose` says in which process.
    """
    global _whose
    _silent.set(True)
    _whose = whose or _whose


def tell_status(to: Callable[[int], None]) -> None:
    """Have `to` called with the exit status of the program, after its last word (`ending`)."""
    _told.append(to)


def say(text: str) -> None:
    """Print lines at once, each as `shown`. It is a courtesy: work goes on if nobody can read them."""
    if not _silent.get():
        _print(text, sys.stdout)


def warn(text: str) -> None:
    """Print lines on stderr at once, likewise: what is wrong, and no part of what a command was asked for."""
    _print(text, sys.stderr)


def answer(text: str) -> None:
    """Print the lines that a command was asked for. OSError if they cannot be written, unless their reader is gone."""
    failure = _print(text, sys.stdout)
    if failure is not None and not isinstance(failure, BrokenPipeError):
        raise OSError(f"the answer cannot be written ({failure.strerror})")


def _print(text: str, stream: Any) -> OSError | None:
    out = Lenient(stream)
    print("\n".join(map(shown, text.split("\n"))), file=out, flush=True)
    return out.failure


@contextlib.contextmanager
def printed_into(path: Path) -> Iterator[None]:
    """Within the block, what this process prints is added to the file, whoever in it prints: C and Python alike.

    CheckpointError naming the file if it cannot be written.
    """
    with disk.naming(path):
        log = path.open("ab", buffering=0)
    with log:
        before = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in before:
                os.dup2(log.fileno(), number)
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                Lenient(stream).flush()
            for number, kept in before:
                os.dup2(kept, number)
                os.close(kept)


def progress(things: Iterable[Any] | None = None, **about: Any) -> Any:
    """tqdm's bar over the things, on stderr if that is a terminal or a notebook, else invisible.

    `about` is as tqdm has it. In a notebook the bar is text of a fixed width too.
    """
    from tqdm import tqdm

    if in_notebook():
        about = {"ncols": NOTEBOOK, "mininterval": 0.5, "disable": _silent.get(), **about}
    return tqdm(things, file=Lenient(sys.stderr), **{"disable": _silent.get() or None, **about})


def in_notebook() -> bool:
    """Is this program a notebook's? That prints what programs say, and is no terminal."""
    ipython = sys.modules.get("IPython")  # which a notebook has imported
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


NOTEBOOK = 100  # letters of a bar there
BY_SHARE = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"  # a bar of work that is not counted in steps


def is_out_of_memory(error: BaseException) -> bool:
    """Was there no memory for something, on any device?"""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in NO_ROOM)


def ending(name: str, program: Callable[[], int], tell: Callable[[str], None] = warn) -> int:
    """The exit status of the program of that name: its own, 1 after an error, which is named on stderr.

    INTERRUPTED after Ctrl-C, SIGTERM or SIGHUP. What it prints is taken as `Lenient` takes it; `tell` takes the line
    that names an error or an interrupt.
    """
    out, problems = Lenient(sys.stdout), Lenient(sys.stderr)

    def ended(status: int, why: object) -> int:
        tell(f"{name}{_whose}: {why}")
        return status

    def by_itself() -> int:
        try:
            return program()
        except KeyboardInterrupt:
            return ended(INTERRUPTED, "interrupted")
        except (MiniganError, OSError) as error:
            return ended(1, error)
        except (MemoryError, ImportError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return ended(1, f"out of memory ({error}); {LESS}")

    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(problems), interrupting():
        try:
            status = by_itself()
            for to in _told:
                to(status)
            return status
        finally:
            out.flush()
            problems.flush()
