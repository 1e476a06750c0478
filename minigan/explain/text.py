"""A tape as text: the listing that a person follows, and what each pass costs."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

import numpy as np

from ..kernels.geometry import Geometry
from ..recording import pass_name
from .tape import Step, Tape, Value

FEW = 6  # elements that are shown in full
WIDE = 48  # letters of a column of values


class Cost(NamedTuple):
    """What a pass did: ops, floating-point operations, and the bytes that its nodes keep for a later pass."""

    ops: int
    flops: float
    kept: int


def number(x: Any) -> str:
    """Four significant digits, without noise."""
    return f"{x:.4g}"


def shown(value: Value) -> str:
    """A value in a line: in full if it is small, else its shape, mean and norm."""
    if value.array is not None and value.size <= FEW and value.array.dtype.kind in "biuf":
        text = np.array2string(value.array, separator=" ", max_line_width=10_000, formatter={"float_kind": number})
        if len(text) <= WIDE:
            return text.replace("\n", "")
    return f"{'x'.join(map(str, value.shape))}, mean {number(value.mean)}, norm {number(value.norm)}"


def constant(a: object) -> str:
    """An argument that is no Tensor: a number, a shape, a geometry."""
    if isinstance(a, np.ndarray):
        return "array" + str(a.shape).replace(" ", "")
    if isinstance(a, np.dtype | type):
        return np.dtype(a).name
    if isinstance(a, Geometry):
        padding = f", padding {a.pads[0][0]}" if len({*a.pads[0], *a.pads[1]}) == 1 else f", pads {a.pads}"
        return f"stride {a.stride[0]}" + (padding if any(map(any, a.pads)) else "")
    text = str(a)
    return text if len(text) <= 24 else type(a).__name__


def expression(step: Step) -> str:
    """The op and what it was applied to: matmul(g1, w)."""
    inside = ", ".join(a.name if isinstance(a, Value) else constant(a) for a in step.arguments.values())
    return f"{step.op.name}({inside})"


def reason(step: Step) -> str:
    """The formula of a forward step; of a backward one the rule that it is part of."""
    if step.why is None:
        return step.op.formula
    of = f"{step.why.step.op.name} at {step.why.step.output.name}"
    if step.why.doing == "add":
        return "contributions are added up"
    if step.why.doing == "unbroadcast":
        return f"summed where {step.why.argument} of {of} was broadcast"
    return f"d/d{step.why.argument} of {of}: {step.why.formula}"


def listing(tape: Tape, file: TextIO | None = None) -> None:
    """Write the listing to `file` (the terminal): a line for each step, and the gradients that were asked for."""
    print("\n".join(lines(tape)), file=file)


def lines(tape: Tape) -> Iterator[str]:
    """The listing: a heading where a pass begins, a line for each step, its columns aligned."""
    rows = [(f"{s.index + 1}", s.output.name, expression(s), shown(s.output), reason(s)) for s in tape.steps]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(5)]
    order = None
    for step, row in zip(tape.steps, rows, strict=True):
        if step.order != order:
            order = step.order
            yield f"{'' if step.index == 0 else chr(10)}{pass_name(order)}"
        columns = [row[0].rjust(widths[0]), *(text.ljust(w) for text, w in zip(row[1:4], widths[1:4], strict=True))]
        yield f"  {columns[0]}  {columns[1]} = {columns[2]}  {columns[3]}  {row[4]}".rstrip()
    for gradient in tape.gradients:
        yield f"\ngradient of {gradient.y.name} ({pass_name(gradient.order)})"
        width = max(len(x.name) for x in gradient.inputs)
        for x, g in zip(gradient.inputs, gradient.results, strict=True):
            yield f"  {x.name.ljust(width)}  {shown(g) if g.role != 'zero' else '0, it has no part in it'}"


def costs(tape: Tape) -> dict[int, Cost]:
    """The cost of each pass, by order."""
    found = {}
    for order in tape.orders:
        steps = tape.pass_of(order)
        found[order] = Cost(len(steps), sum(s.flops for s in steps), sum(s.keeps for s in steps))
    return found


def entries(tape: Tape) -> list[str]:
    """For each backward pass, how many earlier results it reads, and of which passes."""
    found = []
    for order in tape.orders[1:]:
        read = {v.step for s in tape.pass_of(order) for v in s.inputs if v.step is not None and v.step.order < order}
        counts = {o: sum(step.order == o for step in read) for o in tape.orders}
        by = ", ".join(f"{n} of the {pass_name(o)} pass" for o, n in counts.items() if n)
        some = f"{len(read)} earlier result{'s' if len(read) > 1 else ''}: {by}" if read else "no earlier result"
        found.append(f"The {pass_name(order)} pass reads {some}.")
    return found


def summary(tape: Tape) -> str:
    """What each pass cost: ops, floating-point operations, bytes that its nodes keep alive for a later pass."""
    table = [("pass", "ops", "flops", "bytes kept")]
    for order, cost in costs(tape).items():
        table.append((pass_name(order), f"{cost.ops}", f"{cost.flops:,.0f}", f"{cost.kept:,}"))
    widths = [max(len(row[k]) for row in table) for k in range(4)]
    text = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]
    return "\n".join([*text, *entries(tape)])
