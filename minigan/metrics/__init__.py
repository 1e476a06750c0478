"""Measures on arrays: how good, how varied and how new samples are."""

from .modes import ModeCoverage, mode_coverage
from .plane import OnCurve, on_curve
