"""The exceptions minigan raises: each says which call failed, what it got and what it expected."""

import math


class MiniganError(Exception):
    """Every error that minigan raises on purpose."""


class ShapeError(MiniganError, ValueError):
    """Shapes, axes, geometry or numbers that do not fit the call."""


class DTypeError(MiniganError, TypeError):
    """Element types that do not fit the op, or float widths that would have to be mixed."""


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


class MissingExtra(MiniganError, ImportError):
    """A package that only one feature needs is not installed; the text says which extra brings it."""


def not_negative(call: str, **numbers: float) -> None:
    """ShapeError unless each of the numbers is finite and at least 0."""
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ShapeError(f"{call}: expected a finite {name} >= 0, got {number}")
