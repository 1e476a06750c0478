"""The tape: every op of a computation across orders, with the values that went in and came out as they were then."""

import dataclasses
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from ..atomic import write
from ..backend import to_numpy
from ..nn import Buffer, Parameter
from ..op import Asked, Cause, Op, mode, observe
from ..tensor import Node, Tensor, Version
from .sources import Rule, Source, caller, definition, engine, rule_of

PASSES = ("forward", "first backward", "second backward", "third backward")


def pass_name(order: int) -> str:
    """forward, first backward, second backward, ..."""
    return PASSES[order] if order < len(PASSES) else f"{order}th backward"


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


class Tape:
    """What `record` fills: steps as they were computed, gradients as they were asked for, values as they were seen."""

    def __init__(self, keep: int = 1024) -> None:
        self.keep = keep
        self.steps: list[Step] = []
        self.gradients: list[Gradient] = []
        self.values: list[Value] = []
        self._recorder: _Recorder | None = None

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

    def print(self, file: TextIO | None = None) -> None:
        """Write the listing to `file` (the terminal): a line for each step, and the gradients that were asked for."""
        from .text import lines

        print("\n".join(lines(self)), file=file)

    def summary(self) -> str:
        """What each pass cost: ops, floating-point operations, bytes that its nodes keep alive for a later pass."""
        from .text import summary

        return summary(self)

    def to_html(self, path: str | Path, title: str = "A tape", *, intro: str = "", outro: str = "") -> None:
        """Write one self-contained page that goes through the tape step by step; `intro` and `outro` are HTML."""
        from .page import page

        write(Path(path), page(self, title, intro, outro).encode())

    def to_dot(self) -> str:
        """The graph in Graphviz's language."""
        from .picture import dot

        return dot(self)

    def to_svg(self, path: str | Path) -> None:
        """Write the graph as a still picture."""
        self._picture(Path(path), "svg")

    def to_png(self, path: str | Path) -> None:
        """Write the graph as a still picture."""
        self._picture(Path(path), "png")

    def figure(self) -> Any:
        """The graph as a matplotlib Figure."""
        from .picture import figure

        return figure(self)

    def _picture(self, path: Path, kind: str) -> None:
        buffer = BytesIO()
        self.figure().savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
        write(path, buffer.getvalue())


class _Seen(NamedTuple):
    """What is known of an array; it is held, so that its id stays its own."""

    array: Any
    value: Value
    node: Node | None
    version: Version | None
    writes: int  # of the version, when the value was copied


class _Recorder:
    """Turns what the engine tells an observer into steps and values."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.by_node: dict[Node, Value] = {}
        self.by_array: dict[int, _Seen] = {}
        self.cuts: dict[int, Value] = {}  # by the id of the array
        self.steps: dict[Node, Step] = {}
        self.kept: set[int] = set()
        self.lock = threading.RLock()  # ops of every thread are told
        self.counts: dict[str, int] = {}

    # --- values ---

    def find(self, t: Tensor) -> Value | None:
        """The Value of a Tensor that was seen, None if it was not, or was written since."""
        seen = self.by_array.get(id(t.data))
        if seen is None:
            return self.by_node.get(t.node) if t.node is not None else None
        if t.version is not None and t.version is seen.version and t.version.count != seen.writes:
            return None
        if seen.node is not None and seen.node.op is not None and t.node is not seen.node:
            return self.cut(t, seen.value)
        return seen.value

    def cut(self, t: Tensor, of: Value) -> Value:
        """The value of a result from which its history was taken: gradients stop here."""
        if id(t.data) not in self.cuts:
            made = dataclasses.replace(
                of, name=f"{of.name} cut", role="cut", step=None, of=of, gradients=[], chosen=False
            )
            self.tape.values.append(made)
            self.cuts[id(t.data)] = made
        return self.cuts[id(t.data)]

    def value(self, t: Tensor) -> Value:
        """The Value of a Tensor, made if this is the first that is seen of it."""
        found = self.find(t)
        if found is None:
            found = self.add(t, *self.introduced(t))
        return found

    def introduced(self, t: Tensor) -> tuple[str, str]:
        """(name, role) of what no step has made."""
        name = t.version.name if t.version is not None else ""
        before = self.by_array.get(id(t.data))
        if before is not None:  # the same memory, written since: a parameter after its optimizer's step
            return before.value.name + "'", before.value.role
        if isinstance(t, Parameter):
            return name or self.numbered("w"), "parameter"
        return name or self.numbered("x"), "buffer" if isinstance(t, Buffer) else "input"

    def numbered(self, letter: str) -> str:
        self.counts[letter] = self.counts.get(letter, 0) + 1
        return f"{letter}{self.counts[letter]}"

    def zeros(self, x: Value) -> np.ndarray | None:
        return None if x.size > self.tape.keep else np.zeros(x.shape)

    def add(self, t: Tensor, name: str, role: str) -> Value:
        array = to_numpy(t.data)
        copied = np.array(array) if array.size <= self.tape.keep else None
        value = Value(name, role, t.shape, str(t.dtype), copied, *_size(array))
        self.tape.values.append(value)
        version = t.version
        self.by_array[id(t.data)] = _Seen(t.data, value, t.node, version, version.count if version is not None else 0)
        if t.node is not None:
            self.by_node[t.node] = value
        return value

    # --- what the engine tells ---

    def op(self, op: Op, args: tuple, out: Tensor, order: int) -> None:
        asked, cause = caller(), mode.cause
        with self.lock:
            self.step(op, args, out, order, asked, cause)

    def step(self, op: Op, args: tuple, out: Tensor, order: int, asked: Source, cause: Cause | None) -> None:
        arguments = dict(self.arguments(op, args))
        letter = ("h", "g", "s")[min(order, 2)]
        output = self.add(out, self.numbered(letter), "result")
        arrays = [a.data if isinstance(a, Tensor) else a for a in args]
        why = self.why(cause)
        done = definition(op.forward)
        if why is not None:
            done = why.rule.source if why.doing == "rule" else engine(why.doing)
        step = Step(
            index=len(self.tape.steps),
            op=op,
            order=order,
            arguments=arguments,
            output=output,
            module=why.step.module if why is not None else mode.module,
            why=why,
            flops=float(op.flops(out.data, *arrays)),
            keeps=self.keeps(out.node),
            asked=asked,
            done=done,
        )
        output.step = step
        self.tape.steps.append(step)
        if out.node is not None:
            self.steps[out.node] = step

    def arguments(self, op: Op, args: tuple) -> Iterator[tuple[str, Any]]:
        names = list(signature(op.forward).parameters)
        for k, a in enumerate(args):
            name = names[k] if k < len(names) - op.variadic else f"{names[-1]}{k - len(names) + 2}"
            yield name, self.value(a) if isinstance(a, Tensor) else a

    def why(self, cause: Cause | None) -> Why | None:
        if cause is None or cause.node not in self.steps:
            return None
        step = self.steps[cause.node]
        rule, reads = cause.node.op.rule(cause.argument)
        if rule is None:
            return None
        written = rule_of(rule)
        cotangent = self.value(cause.cotangent)
        values: list[Any] = [cotangent, step.output, *step.arguments.values()]
        if cause.node.op.variadic:  # one rule for all: it is told which, and reads every Tensor or none
            *constants, _ = written.parameters[3:]
            given = {"i": cause.argument, "g": cotangent} | dict(zip(constants, values[2:], strict=False))
            given |= {name: v for name, v in step.arguments.items() if isinstance(v, Value) and reads[0]}
        else:
            read = [True, reads[-1], *reads[:-1]]
            given = {name: v for name, v, used in zip(written.parameters, values, read, strict=False) if used}
        return Why(cause.doing, step, list(step.arguments)[cause.argument], written, cotangent, given)

    def keeps(self, node: Node | None) -> int:
        """Bytes that live on because a node holds them for its rules: results of steps, each counted once."""
        held = 0
        for array in () if node is None else (*node.args, node.output):
            whole = array if getattr(array, "base", None) is None else array.base
            leaf = any(id(a) in self.by_array and self.by_array[id(a)].value.step is None for a in (array, whole))
            if hasattr(whole, "nbytes") and not leaf and id(whole) not in self.kept:
                self.kept.add(id(whole))
                held += int(whole.nbytes)
        return held

    def gradient(self, asked: Asked) -> None:
        with self.lock:
            of, seed = self.value(asked.y), self.value(asked.seed)
            if seed.role == "input":
                seed.role = "seed"
            if not asked.given and not seed.chosen:
                seed.name, seed.chosen = derivative(of, of), True
            begin = self.tape.gradients[-1].end if self.tape.gradients else 0
            inputs = [self.value(t) for t in asked.inputs]
            results = []
            for x, t in zip(inputs, asked.results, strict=True):
                if t is None:
                    g = Value(derivative(of, x), "zero", x.shape, x.dtype, self.zeros(x), 0.0, 0.0)
                    self.tape.values.append(g)
                else:
                    g = self.value(t)
                    if not g.chosen and g.step is not None and g.step.why is not None and g.step.index >= begin:
                        g.name = f"{g.name}, {derivative(of, x)}" if g in results else derivative(of, x)
                x.gradients.append(g)
                results.append(g)
            for g in results:
                g.chosen = True
            self.tape.gradients.append(Gradient(of, inputs, seed, results, asked.order, len(self.tape.steps)))


def derivative(y: Value, x: Value) -> str:
    """dy/dx, with brackets around a name that would run into it."""
    above, below = (v.name if re.fullmatch(r"\w+", v.name) else f"({v.name})" for v in (y, x))
    return f"d{above}/d{below}"


def _size(array: np.ndarray) -> tuple[float, float]:
    """(mean, norm), 0 of what has no numbers."""
    if array.dtype.kind not in "biuf" or not array.size:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        numbers = array.astype(np.float64)
        return float(numbers.mean()), float(np.sqrt(np.square(numbers).sum()))


@contextmanager
def record(*, keep: int = 1024) -> Iterator[Tape]:
    """Within the block, every op goes to the tape that it gives: forward passes and what grad() adds to them.

    Values of at most `keep` elements are copied whole; of larger ones the mean and the norm are kept. While it
    records, layers that are otherwise computed together are computed one by one, and sums of gradients are ops of
    their own. What is recorded inside another `record` goes to the inner tape alone.
    """
    tape = Tape(keep)
    recorder = tape._recorder = _Recorder(tape)
    try:
        with observe(recorder.op, recorder.gradient):
            yield tape
    finally:
        tape._recorder = None


def trace(fn: Callable[..., Any], *inputs: Tensor, keep: int = 1024) -> Tape:
    """The tape of fn(*inputs), whose inputs are called as fn calls its parameters."""
    with record(keep=keep) as tape:
        for name, tensor in zip(signature(fn).parameters, inputs, strict=False):
            tape.name(tensor, name)
        fn(*inputs)
    return tape
