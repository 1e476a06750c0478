"""The door through which a step changes arrays: what goes through it can be noted, and done again without the rest.

An op, a kernel, a random draw and a change in place each are a call of a function of arrays. While a step is recorded
on a CPU (`cpu_recorder.py`), this thread's calls go through its recorder; a call within a call is a part of it.
"""

import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any


class _Step(threading.local):
    """Who notes the calls of this thread: nobody, or one recorder."""

    recorder: Any = None
    door: Any = None  # what `kernels` gives, made of a module of them, while there is a recorder
    trace: Any = None  # who is told what compiled kernels are called


step = _Step()


def made(function: Callable[..., Any], *args: Any) -> Any:
    """function(*args), which makes an array of them and changes none: the same one of the same numbers."""
    return function(*args) if step.recorder is None else step.recorder.call(function, args, {}, makes=True)


def done(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """function(*args, **options), which may change its arrays in place."""
    if step.recorder is None:
        return function(*args, **options)
    return step.recorder.call(function, args, options, makes=False)


class Rendezvous:
    """Base of what a call is given in order to meet the calls of others: replays make it whatever is known of it."""


class Noted:
    """A module of kernels whose functions are called through a door: note(function, *args, **options)."""

    def __init__(self, note: Callable[..., Any], module: ModuleType) -> None:
        self._note = note
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return partial(self._note, getattr(self._module, name))
