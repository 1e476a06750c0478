"""A tape as one self-contained page: nothing is loaded, nothing is built, a browser shows it."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..recording import pass_name
from ..system.templates import embedded, filled, text_of, write
from .layout import Column, sections
from .tape import Step, Tape, Value, Why
from .text import constant, costs, entries, expression

Place = dict[Value, int]
COLLAPSE = 80  # steps from which sections are closed at first


def to_html(tape: Tape, path: str | Path, title: str = "A tape", *, intro: str = "", outro: str = "") -> None:
    """Write one self-contained page that goes through the tape step by step; `intro` and `outro` are HTML."""
    write(Path(path), page(tape, title, intro, outro))


def page(tape: Tape, title: str, intro: str = "", outro: str = "") -> str:
    """The page as HTML.

    `intro` and `outro` are HTML above and below the graph; a table that may be wider than a phone goes into a
    <div class="wide">.
    """
    parts = {"title": escape(title), "intro": intro, "outro": outro, "tape": embedded(content(tape))}
    return filled(text_of(__package__, "page.html"), parts)


def content(tape: Tape) -> dict[str, Any]:
    """What the page's script reads: values by their number, steps by theirs."""
    place = {value: k for k, value in enumerate(tape.values)}
    readers: dict[Value, list[int]] = {value: [] for value in tape.values}
    for step in tape.steps:
        for value in dict.fromkeys(step.inputs):
            readers[value].append(step.index)
    asked = [(x, g) for gradient in tape.gradients for x, g in zip(gradient.inputs, gradient.results, strict=True)]
    finals = {g for x, g in asked if x.role == "parameter"}
    parts, collapsed = _parts(tape), len(tape.steps) > COLLAPSE
    return {
        "passes": [pass_name(order) for order in range(max(tape.orders, default=0) + 1)],
        "steps": [_step(s, place) | {"gradient": _purpose(tape, s), "part": parts.get(s)} for s in tape.steps],
        "values": [_value(v, place) | {"readers": readers[v], "final": v in finals} for v in tape.values],
        "sections": [
            {"title": part.title, "columns": [_column(column, place) for column in part.columns]}
            for part in sections(tape, whole=collapsed)
        ],
        "costs": [{"order": order, "ops": c.ops, "flops": c.flops, "kept": c.kept} for order, c in costs(tape).items()],
        "entries": entries(tape),
        "collapsed": collapsed,
    }


def _parts(tape: Tape) -> dict[Step, tuple[int, int]]:
    """(k, n) of each step of a rule that takes n > 1 ops: which of them it is."""
    groups: dict[tuple, list[Step]] = {}
    for step in tape.steps:
        if step.why is not None and step.why.doing == "rule":
            groups.setdefault((step.why.step, step.why.argument, step.why.cotangent), []).append(step)
    return {s: (k, len(group)) for group in groups.values() if len(group) > 1 for k, s in enumerate(group, 1)}


def _purpose(tape: Tape, step: Step) -> str:
    found = tape.purpose(step)
    return f"the gradient of {found.y.name}" if found is not None else ""


def _column(column: Column, place: Place) -> dict[str, Any]:
    return {
        "lanes": {order: [step.index for step in lane] for order, lane in column.lanes.items()},
        "leaves": [place[v] for v in column.leaves],
        "title": column.title,
    }


def _argument(name: str, a: Any, place: Place) -> dict[str, Any]:
    return {"name": name, "value": place[a]} if isinstance(a, Value) else {"name": name, "constant": constant(a)}


def _value(v: Value, place: Place) -> dict[str, Any]:
    return {
        "name": v.name,
        "role": v.role,
        "shape": v.shape,
        "data": plain(v.array),
        "mean": plain(v.mean),
        "norm": plain(v.norm),
        "size": v.size,
        "dtype": v.dtype,
        "step": v.step.index if v.step is not None else None,
        "of": place[v.of] if v.of is not None else None,
        "gradients": [place[g] for g in v.gradients],
    }


def _step(s: Step, place: Place) -> dict[str, Any]:
    return {
        "order": s.order,
        "op": s.op.name,
        "formula": s.op.formula,
        "expression": expression(s),
        "args": [_argument(name, a, place) for name, a in s.arguments.items()],
        "output": place[s.output],
        "module": s.module,
        "asked": s.asked._asdict(),
        "done": s.done._asdict(),
        "why": None if s.why is None else _why(s.why, place),
    }


def _why(why: Why, place: Place) -> dict[str, Any]:
    return {
        "doing": why.doing,
        "step": why.step.index,
        "argument": why.argument,
        "rule": why.rule.formula,
        "named": why.formula,
        "text": why.rule.text,
        "helpers": why.rule.helpers,
        "cotangent": place[why.cotangent],
        "given": [_argument(name, a, place) for name, a in why.given.items()],
    }


def plain(x: Any) -> Any:
    """What JSON can hold: nested lists for an array, the words nan and inf for what JSON has no number for."""
    if isinstance(x, np.ndarray):
        x = x.tolist()
    if isinstance(x, list):
        return [plain(y) for y in x]
    return str(x) if isinstance(x, float) and not np.isfinite(x) else x
