"""What layers, optimizers and games may be made with.

Each function returns its argument as Python has it, or raises a ShapeError.
"""

import math
import operator
from typing import Any

import numpy as np

from ..errors import ShapeError, brief


def integer(what: str, value: Any, least: float = -math.inf) -> int:
    """`value` as an int of at least `least`: NumPy's integers too, no booleans."""
    try:
        found = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        found = None
    if found is None or found < least:
        bound = f" >= {least}" if math.isfinite(least) else ""
        raise ShapeError(f"{what}: expected an integer{bound}, got {brief(value)}")
    return found


def number(
    what: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """`value` as a float that is finite and within these bounds: NumPy's numbers too, no booleans."""
    bounds = {">=": least, ">": above, "<=": most, "<": below}
    fits = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (fits and least <= value <= most and above < value < below):  # as NaN and infinities never are
        given = [f"{sign} {bound}" for sign, bound in bounds.items() if math.isfinite(bound)]
        limits = f" {' and '.join(given)}" if given else ""
        raise ShapeError(f"{what}: expected a finite number{limits}, got {brief(value)}")
    return float(value)


def not_negative(call: str, **numbers: Any) -> None:
    """ShapeError unless each of the numbers is finite and at least 0."""
    for name, value in numbers.items():
        number(f"{call}: {name}", value, least=0)


def flag(what: str, value: Any) -> bool:
    """`value`, which is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ShapeError(f"{what}: expected True or False, got {brief(value)}")
    return bool(value)
