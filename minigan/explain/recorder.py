"""Recording a tape: what the engine tells an observer, turned into steps and values."""

import dataclasses
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ..backend import to_numpy
from ..nn import Buffer, Parameter
from ..op import Op
from ..recording import Cause, GradCall, mode, observe
from ..tensor import Node, Tensor, Version
from .sources import Source, caller, definition, engine, rule_of
from .tape import Gradient, Step, Tape, Value, Why


class _Seen(NamedTuple):
    """What is known of an array; it is held, so that its id stays its own."""

    array: Any
    value: Value
    node: Node | None
    version: Version | None
    writes: int  # of the version, when the value was copied


class Recorder:
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
        """The next name of that letter: x1, x2, ..."""
        self.counts[letter] = self.counts.get(letter, 0) + 1
        return f"{letter}{self.counts[letter]}"

    def zeros(self, x: Value) -> np.ndarray | None:
        """What a gradient of nothing holds: zeros of x's shape, if they are few."""
        return None if x.size > self.tape.keep else np.zeros(x.shape)

    def add(self, t: Tensor, name: str, role: str) -> Value:
        """A new Value with a copy of what the Tensor holds now."""
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
        """What `observe` calls after each op."""
        asked, cause = caller(), mode.cause
        with self.lock:
            self.step(op, args, out, order, asked, cause)

    def step(self, op: Op, args: tuple, out: Tensor, order: int, asked: Source, cause: Cause | None) -> None:
        """Put the op on the tape."""
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
        """(name, Value or constant) of each argument, as the op's function calls them."""
        names = list(op.__signature__.parameters)
        for k, a in enumerate(args):
            name = names[k] if k < len(names) - op.variadic else f"{names[-1]}{k - len(names) + 2}"
            yield name, self.value(a) if isinstance(a, Tensor) else a

    def why(self, cause: Cause | None) -> Why | None:
        """The cause in terms of the tape; None for a forward step, or if it has not seen what is differentiated."""
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

    def gradient(self, call: GradCall) -> None:
        """What `observe` calls after each `grad`: it names what was found."""
        with self.lock:
            of, seed = self.value(call.y), self.value(call.seed)
            if seed.role == "input":
                seed.role = "seed"
            if not call.given and not seed.chosen:
                seed.name, seed.chosen = derivative(of, of), True
            begin = self.tape.gradients[-1].end if self.tape.gradients else 0
            inputs = [self.value(t) for t in call.inputs]
            results = []
            for x, t in zip(inputs, call.results, strict=True):
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
            self.tape.gradients.append(Gradient(of, inputs, seed, results, call.order, len(self.tape.steps)))


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
    recorder = tape._recorder = Recorder(tape)
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
