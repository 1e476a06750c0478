"""The tape: every op of a computation across orders, with the values that went in and came out as they were then."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np

from ..op import Op
from ..tensor import Tensor
from .sources import Rule, Source


@dataclass(eq=False)
class Value:
    """An array as it was when the tape first saw it.

    `array` is a copy on the host, or None if it has more than the tape's `keep` elements; mean and norm are always
    there. `role` is "result" of a step; "parameter", "buffer" or "input" if no step made it; "cut" if detach() made it
    of another value; "seed" if a gradient began with it; "zero" if it is the gradient of what has no part in y.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    array: np.ndarray | None
    mean: float
    norm: float
    step: "Step | None" = None  # that made it
    of: "Value | None" = None  # the same numbers, before a detach()
    chosen: bool = False  # its name was given, not made up
    gradients: list["Value"] = field(default_factory=list)  # with respect to it, one for each grad() that asked

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass(eq=False)
class Why:
    """What made the engine run a step of a backward pass."""

    doing: str  # "rule", "unbroadcast", "add"
    step: "Step"  # whose gradient is taken
    argument: str  # of its op
    rule: Rule  # as it is written
    cotangent: Value  # the gradient with respect to the step's result
    given: dict[str, Any]  # what the rule was given, by the names of its parameters

    @property
    def formula(self) -> str:
        """What the rule returns, with the names of what it was given."""
        names = {k: v.name if isinstance(v, Value) else str(v) for k, v in self.given.items()}
        return re.sub(r"[A-Za-z_]\w*(?![\w(])", lambda found: names.get(found[0], found[0]), self.rule.formula)


@dataclass(eq=False)
class Step:
    """One op that ran: on what, for what reason, from which lines.

    `order` is 0 in a forward pass, 1 in a first backward pass, 2 in a second. `arguments` has a Value for each Tensor
    and anything else as it was. `keeps` counts the bytes that its node keeps alive and no step before it kept.
    """

    index: int
    op: Op
    order: int
    arguments: dict[str, Any]
    output: Value
    module: str
    why: Why | None
    flops: float
    keeps: int
    asked: Source  # the line of a program that led here
    done: Source  # the line of minigan that did it

    @property
    def inputs(self) -> list[Value]:
        """The Values among its arguments."""
        return [a for a in self.arguments.values() if isinstance(a, Value)]


@dataclass(eq=False)
class Gradient:
    """One call of grad(): of what, with respect to what, and what it returned."""

    y: Value
    inputs: list[Value]
    seed: Value
    results: list[Value]  # of role "zero" where y does not depend on the input
    order: int
    end: int  # its steps come before the step of this index


class Seen(Protocol):
    """Whoever fills a tape knows which value a Tensor is."""

    def find(self, t: Tensor) -> Value | None:
        """The Value of a Tensor that was seen, None if it was not, or was written since."""

    def value(self, t: Tensor) -> Value:
        """The Value of a Tensor, made if this is the first that is seen of it."""


class Tape:
    """What `record` fills: steps as they were computed, gradients as they were asked for, values as they were seen."""

    def __init__(self, keep: int = 1024) -> None:
        self.keep = keep
        self.steps: list[Step] = []
        self.gradients: list[Gradient] = []
        self.values: list[Value] = []
        self._recorder: Seen | None = None  # None once the recording has ended

    def name(self, tensor: Tensor, name: str) -> Tensor:
        """`tensor`, called `name` from now on; only while recording, and for what this tape has seen or will see."""
        if self._recorder is None:
            raise RuntimeError(f"Tape.name: {name!r} comes too late, the recording has ended")
        value = self._recorder.value(tensor)
        value.name, value.chosen = name, True
        return tensor

    def of(self, tensor: Tensor) -> Value:
        """The value of a Tensor that was seen; KeyError if there is none. Only while recording."""
        if self._recorder is None:
            raise RuntimeError("Tape.of: the recording has ended")
        found = self._recorder.find(tensor)
        if found is None:
            raise KeyError(f"no step of this tape has seen the tensor of shape {tensor.shape}")
        return found

    def purpose(self, step: Step) -> Gradient | None:
        """The gradient that a step of a backward pass was run for."""
        if step.why is None:
            return None
        return next((g for g in self.gradients if g.order == step.order and step.index < g.end), None)

    def pass_of(self, order: int) -> list[Step]:
        """The steps of one pass."""
        return [step for step in self.steps if step.order == order]

    @property
    def orders(self) -> list[int]:
        """The orders that occur, from 0 on."""
        return sorted({step.order for step in self.steps})

    if TYPE_CHECKING:  # bound in explain/__init__.py, declared here for editors and type checkers

        def print(self, file: TextIO | None = None) -> None: ...
        def summary(self) -> str: ...
        def to_html(self, path: str | Path, title: str = "A tape", *, intro: str = "", outro: str = "") -> None: ...
        def to_dot(self) -> str: ...
        def to_svg(self, path: str | Path) -> None: ...
        def to_png(self, path: str | Path) -> None: ...
        def figure(self) -> Any: ...
