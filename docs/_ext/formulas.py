"""The formula sheet: every op of the registry with its formula, its rules as they are written, and how it is checked."""

import html
import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import groupby

import op_table
import public
from minigan.explain import sources
from minigan.op import OPS, Op
from minigan.processes import ALONE
from prose import inline

SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", " - ": " − ", "...": "…"}
ABOVE = """# Formula sheet

Every op that minigan has, {count} of them, as its record says: what it computes, and the rule of each argument, in the
words of its source. A rule maps the cotangent `g` of the result to the gradient of the argument; `y` is the result.
Rules are written in ops of this sheet, so that a rule of a rule is one too, and gradients of any order follow.

- **Kept** is what stays in memory for the rules after the forward pass, and no more.
- **Cost** is the number of floating-point operations, as the op's record counts them.
- **Domain** is the interval in which random arguments are drawn in tests, and the points where there is no derivative.
- **Tested** says how often the op stands in the table over which every check of ops runs
  (`tests/support/op_table.py`): gradients to second order against finite differences, and a captured replay, which has
  to be the op's result to the bit. {drawn} of the ops are steps of random programs too, whose values and
  gradients to second order are compared with finite differences and with PyTorch's.

An op's name leads nowhere where it is an inner one, which functions of the same file call.
"""
OF_ALL = {"to", "astype"}  # no steps of random programs, beside those over processes (tests/ops/test_programs.py)


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of the sheet."""
    yield "formulas.md", _sheet()


def _sheet() -> str:
    outside = OF_ALL | {*op_table.over(ALONE)}
    lines = [ABOVE.format(count=len(OPS), drawn=len(OPS) - len(outside))]
    for module, ops in groupby(sorted(OPS.values(), key=lambda op: _place(op.__module__)), lambda op: op.__module__):
        about = public.first_paragraph(inspect.cleandoc(importlib.import_module(module).__doc__ or ""))
        lines += [f"## {inline(about.rstrip('.:'))}", ""]
        for op in ops:
            lines += [_entry(op, op.name in outside), ""]
    return "\n".join(lines)


def _place(module: str) -> int:
    """Where a file of ops stands among them: in the order in which the ops were recorded, which is that of reading."""
    return list(dict.fromkeys(op.__module__ for op in OPS.values())).index(module)


def _entry(op: Op, outside: bool) -> str:
    where = sources.definition(op.forward)
    lines = [f"(op-{op.name})=", f"### {op.name}", "", f'<p class="formula">{typeset(op.formula)}</p>', ""]
    if text := public.own_document(op):
        lines += [inline(text), ""]
    lines += _rules(op)
    facts = [("Kept", _kept(op)), ("Cost", f"`{sources.rule_of(op.flops).formula}`")]
    facts += [("Domain", domain)] if (domain := _domain(op)) else []
    facts += [("Tested", _tested(op, outside)), ("Source", f"`{where.file}`, line {where.line}")]
    lines += [*(f"- **{name}**: {value}" for name, value in facts)]
    return "\n".join(lines)


def _rules(op: Op) -> list[str]:
    """The source of each rule under the name of its argument, one that several share once."""
    if not op.rules or all(rule is None for rule in op.rules):
        return ["No rule: its derivative is 0, or there is none.", ""]
    names = _arguments(op)
    found = []
    for (name, rule) in zip(names, op.rules, strict=False):
        if rule is None:
            found.append(f"Of `{name}`: none, the derivative is 0.\n")
            continue
        read = sources.rule_of(rule)
        found.append(f"Of `{name}`:\n\n```python\n{read.text or read.formula}\n```\n")
        for helper, said in read.helpers:
            if said and helper not in OPS and helper not in dir(importlib.import_module("minigan.ops")):
                found.append(f"where `{helper}` is: {inline(said)}\n")
    for shared, function in op.shared.items():
        found.append(f"Computed once for several rules, `{shared}`:\n\n```python\n{sources.rule_of(function).text}\n```\n")
    return found


def _arguments(op: Op) -> list[str]:
    parameters = [*inspect.signature(op.forward).parameters.values()]
    return [p.name if p.kind is not p.VAR_POSITIONAL else f"each of {p.name}" for p in parameters if p.kind is not p.KEYWORD_ONLY]


def _kept(op: Op) -> str:
    names = [p.name for p in inspect.signature(op.forward).parameters.values()]
    kept = [f"`{name}`" for name, keeps in zip(names, op.keeps, strict=False) if keeps]
    kept += ["the result"] if op.keeps_output else []
    return " and ".join(kept) or "nothing"


def _domain(op: Op) -> str:
    """Where it is tested, of an op for which its record says so; "" if random normal numbers do."""
    if op.domain == (-2.0, 2.0) and not op.kinks:
        return ""
    low, high = op.domain
    kinks = f", without a derivative at {' and '.join(f'{kink:g}' for kink in op.kinks)}" if op.kinks else ""
    return f"{low:g} to {high:g}{kinks}"


def _tested(op: Op, outside: bool) -> str:
    rows = op_table.TABLE[op.name]
    times = "once" if len(rows) == 1 else f"{len(rows)} times"
    said = f"{times}, to second order" if rows[0].differentiable else f"{times}, that it gives no gradient"
    return said + ("; no step of random programs" if outside else "")


def typeset(formula: str) -> str:
    """A formula as HTML: exponents above, indices and signs as they are printed in books."""
    text = html.escape(formula, quote=False)
    for plain, sign in SIGNS.items():
        text = text.replace(html.escape(plain, quote=False), sign)
    text = re.sub(r"\^\(([^)]*)\)", r"<sup>\1</sup>", text)
    return re.sub(r"\^(-?\w+)", r"<sup>\1</sup>", text).replace("<sup>-", "<sup>−")
