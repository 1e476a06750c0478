"""Optimizers with PyTorch's update rules, learning-rate schedules, and averaged weights."""

import sys
from typing import TYPE_CHECKING, Any

from ..system.hints import unknown
from .average import EMA
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from .schedules import Course, Schedule, constant, cosine, exponential_decay, late_linear, linear, step_decay

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise unknown(__name__, name, sys.modules[__name__])
