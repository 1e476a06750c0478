"""Learning-rate schedules: lr = base lr * factor(step), a function of the step alone."""

import math
from collections.abc import Callable

from ..nn.checks import integer, not_negative, number
from .optimizers import Optimizer


def constant() -> Callable[[int], float]:
    """factor = 1."""
    return lambda step: 1.0


def step_decay(step_size: int, gamma: float = 0.1) -> Callable[[int], float]:
    """factor = gamma^(step // step_size): PyTorch's StepLR."""
    number("step_decay: step_size", step_size, least=1)
    not_negative("step_decay", gamma=gamma)
    return lambda step: gamma ** (step // step_size)


def exponential_decay(gamma: float) -> Callable[[int], float]:
    """factor = gamma^step: PyTorch's ExponentialLR."""
    not_negative("exponential_decay", gamma=gamma)
    return lambda step: gamma**step


def linear(start: float, end: float, total_steps: int) -> Callable[[int], float]:
    """factor from start to end over total_steps, then end: PyTorch's LinearLR; (1, 0, n) decays to zero."""
    number("linear: total_steps", total_steps, least=1)
    not_negative("linear", start=start, end=end)
    return lambda step: start + (end - start) * min(step, total_steps) / total_steps


def late_linear(share: float, total_steps: int) -> Callable[[int], float]:
    """factor 1 for that share of the steps, then from 1 to 0 over the rest: pix2pix and CycleGAN, with a half."""
    number("late_linear: share", share, least=0, below=1)
    number("late_linear: total_steps", total_steps, least=1)
    first = share * total_steps
    return lambda step: 1 - max(0.0, min(step, total_steps) - first) / (total_steps - first)


def cosine(total_steps: int, floor: float = 0.0) -> Callable[[int], float]:
    """factor from 1 to `floor` along half a cosine: PyTorch's CosineAnnealingLR (Loshchilov and Hutter 2017)."""
    number("cosine: total_steps", total_steps, least=1)
    not_negative("cosine", floor=floor)
    return lambda step: floor + (1 - floor) * (1 + math.cos(math.pi * min(step, total_steps) / total_steps)) / 2


class Schedule:
    """Sets an optimizer's learning rate to base_lr * factor(step)."""

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        self.optimizer = optimizer
        self.factor = factor
        self.base_lr = optimizer.lr

    def set(self, step: int) -> None:
        """Set the learning rate for this step, counted from 0; nothing but the step decides it."""
        self.optimizer.lr = self.base_lr * self.factor(step)


class Course(Schedule):
    """A schedule over the length of a run: `shape(n)` is the factor of a run of n steps, partial(linear, 1, 0) say.

    `lasts` tells the length. Until then the factor is 1, as it is at the start of a run without end. In the first
    `warmup` steps the rate also rises, times (step + 1) / warmup.
    """

    def __init__(self, optimizer: Optimizer, shape: Callable[[int], Callable[[int], float]], warmup: int = 0) -> None:
        super().__init__(optimizer, constant())
        self.shape = shape
        shape(1)  # one that cannot be is refused now, not once the length is known
        self.warmup = integer("Course: warmup", warmup, 0)

    def lasts(self, steps: int) -> None:
        """The run has so many steps; one that is made longer later goes on along the longer course, from its step."""
        self.factor = self.shape(integer("Course: steps", steps, 1))

    def set(self, step: int) -> None:
        """Set the learning rate for this step, counted from 0."""
        risen = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        self.optimizer.lr = self.base_lr * risen * self.factor(step)
