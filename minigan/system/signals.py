"""How signals stop a program: what has begun is finished or unwound, and nothing ends without a word."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130  # the exit status of a program stopped by Ctrl-C, SIGTERM or SIGHUP
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interrupting() -> Iterator[None]:
    """Within the block Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt."""

    def handler(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with _handled(handler):
        yield


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """A list that fills when Ctrl-C, SIGTERM or SIGHUP arrives, so that a step is finished first.

    Ctrl-C after that kills. More of the others do not: a terminal that closes sends several.
    """
    received: list[int] = []

    def handler(number: int, frame: Any) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    with _handled(handler):
        yield received


def stop_this_program() -> None:
    """Have this program stopped as by SIGTERM, from any of its threads: the main one deals with it."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)  # which ends what it waits for
    else:
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def kept_from_children() -> Iterator[None]:
    """No process that is started within the block is reached by Ctrl-C, SIGTERM or SIGHUP, unless it asks for them.

    Where a system has no mask that children inherit, as Windows, nothing is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Within the block the handler has the signals, but for those that are ignored, as by `nohup`."""
    try:
        before = {n: signal.signal(n, handler) for n in STOPPING if signal.getsignal(n) is not signal.SIG_IGN}
    except ValueError:  # not the main thread: signals are somebody else's business
        before = {}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
