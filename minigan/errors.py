"""The exceptions minigan raises: each says which call failed, what it got and what it expected."""

from typing import Any


class MiniganError(Exception):
    """Every error that minigan raises on purpose."""


class ShapeError(MiniganError, ValueError):
    """Shapes, axes, geometry or numbers that do not fit the call."""


class DTypeError(MiniganError, TypeError):
    """Arguments or elements of a type that does not fit, or float widths that would have to be mixed."""


class DeviceError(MiniganError, RuntimeError):
    """A device that is missing, or operands that live on different devices."""


class GraphError(MiniganError, RuntimeError):
    """A gradient that cannot be taken: nothing to differentiate, or an array changed since."""


class GradcheckError(MiniganError, AssertionError):
    """A gradient that disagrees with its finite difference."""


class DataError(MiniganError, ValueError):
    """A data file that is missing, broken or not what was asked for."""


class CheckpointError(MiniganError, RuntimeError):
    """A saved state that is missing, broken or does not fit, or a folder that cannot take one."""


class NonFiniteLoss(MiniganError, ArithmeticError):
    """A loss became NaN or infinite during training."""


class CaptureError(MiniganError, RuntimeError):
    """A step that cannot be captured and replayed, because a replay would not do what the step does."""


class NotEnoughMemory(MiniganError, MemoryError):
    """A game needs more memory than its device has left; the text says which batch would fit."""


class ProcessError(MiniganError, RuntimeError):
    """A process of several that train one game failed, or does not do what the others do."""


class MissingExtra(MiniganError, ImportError):
    """A package that only one feature needs is not installed; the text says which extra brings it."""


class UnknownName(MiniganError, AttributeError):
    """A name that another library has and minigan does not; the text says what to write instead."""


def described(x: Any) -> str:
    """What x is, in an error message."""
    kind = type(x)
    if isinstance(x, str | int | float | complex | None):
        return f"{x!r:.40}"
    module = kind.__module__.split(".")[0]
    return f"a {kind.__qualname__}" if module in ("builtins", "minigan") else f"a {module}.{kind.__qualname__}"


def brief(x: Any, most: int = 60) -> str:
    """repr(x) on one line, in an error message, and at most so many letters of it."""
    return " ".join(repr(x).split())[:most]
