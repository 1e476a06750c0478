"""The formula sheet: every op of the registry with its formula, its rules as they are written, and its checks."""

import html
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby

import op_table
import public
import source
from prose import inline

from minigan.backend import Array
from minigan.explain import sources
from minigan.op import OPS, Op
from minigan.processes import ALONE

MINUS = "\u2212"
SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", " - ": f" {MINUS} ", "...": "…"}
ABOVE = """# Formula sheet

Every op that minigan has, {count} of them, as its record says: what it computes, and the rule of each argument, in the
words of its source. A rule maps the cotangent `g` of the result to the gradient of the argument; `y` is the result;
where these letters name arguments, the cotangent is `h`. Rules are written in ops of this sheet, so that a rule of a
rule is one too, and gradients of any order follow.

- **Kept** is what stays in memory for the rules after the forward pass, and no more.
- **Cost** is the number of floating-point operations, as the op's record counts them.
- **Domain** is the interval in which random arguments are drawn in tests, and the points where there is no derivative.
- **Tested** says how often the op stands in the table over which every check of ops runs
  (`tests/support/op_table.py`): gradients to second order against finite differences, and a captured replay, which has
  to be the op's result to the bit. {drawn} of the ops are steps of random programs too, whose values and
  gradients to second order are compared with finite differences and with PyTorch's.

Rules are shown as their files have them, but for the underscores that mark what is private or not read.
"""
OF_ALL = {"to", "astype"}  # no steps of random programs, beside those over processes (tests/ops/test_programs.py)


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of the sheet."""
    yield "formulas.md", _sheet()


def _sheet() -> str:
    outside = OF_ALL | {*op_table.over(ALONE)}
    lines = [ABOVE.format(count=len(OPS), drawn=len(OPS) - len(outside))]
    for module, ops in groupby(sorted(OPS.values(), key=lambda op: _place(op.__module__)), lambda op: op.__module__):
        listed = [*ops]
        about = public.first_paragraph(inspect.cleandoc(importlib.import_module(module).__doc__ or ""))
        lines += [f"## {inline(re.split(r'[.:] |[.:]$', about)[0])}", ""]
        lines += [":::{container} names", *(f"[`{op.name}`](#op-{op.name})" for op in listed), ":::", ""]
        for op in listed:
            lines += [_entry(op, op.name in outside), ""]
    return "\n".join(lines)


@cache
def _offered() -> frozenset[str]:
    return frozenset(name.name for name in public.names("minigan"))


def _place(module: str) -> int:
    """Where a file of ops stands among them: in the order in which the ops were recorded, which is that of reading."""
    return list(dict.fromkeys(op.__module__ for op in OPS.values())).index(module)


def _entry(op: Op, outside: bool) -> str:
    lines = [f"(op-{op.name})=", f"### {op.name}", "", f'<p class="formula">{typeset(op.formula)}</p>', ""]
    if text := public.own_document(op):
        lines += [inline(text), ""]
    lines += [*_rules(op), ""]
    facts = [("Kept", _kept(op)), ("Cost", f"`{sources.rule_of(op.flops).formula}`")]
    facts += [("Domain", domain)] if (domain := _domain(op)) else []
    facts += [("Offered as", f"{{py:obj}}`mg.{op.name} <minigan.{op.name}>`")] if op.name in _offered() else []
    facts += [("Tested", _tested(op, outside)), ("Source", source.link(op, ""))]
    lines += [":::{container} facts", "; ".join(f"**{name}** {value}" for name, value in facts) + ".", ":::"]
    return "\n".join(lines)


def _rules(op: Op) -> list[str]:
    """A table of the rules that are one expression, and the source of the others and of what they share."""
    if all(rule is None for rule in op.rules):
        return ["No rule: its derivative is 0, or there is none."]
    table, blocks = ["| gradient of | is |", "|---|---|"], []
    for name, rule in zip(_arguments(op), op.rules, strict=False):
        if rule is None:
            table += [f"| `{name}` | 0 |"] if name in _arrays(op) else []
            continue
        read = sources.rule_of(rule)
        table.append(f"| `{name}` | <code>{html.escape(read.formula).replace('|', '&#124;')}</code> |")
        if read.text and not read.text.startswith("lambda") and _is_long(read.text):
            blocks.append(read.text)
        blocks += _helpers(op, read)
    blocks += [f"# {name}, computed once for several rules\n{sources.rule_of(f).text}" for name, f in op.shared.items()]
    return [*table, *(f"\n```python\n{block}\n```" for block in dict.fromkeys(blocks))]


def _is_long(text: str) -> bool:
    """Does a function do more than return an expression, which then stands in the table?"""
    return len([line for line in text.splitlines() if line.startswith("    ")]) > 1


def _helpers(op: Op, read: sources.Rule) -> list[str]:
    """The source of the functions beside an op that its rule calls and that are no ops."""
    module = importlib.import_module(op.__module__)
    found = [vars(module).get(f"_{name}") for name, _ in read.helpers]
    return [inspect.getsource(helper).rstrip() for helper in found if inspect.isfunction(helper)]


def _arguments(op: Op) -> list[str]:
    """The names of the arguments that rules are for; of a variadic op, which has one for all, that of them together."""
    names = [*inspect.signature(op.forward).parameters]
    return names[-1:] if op.variadic else names


def _arrays(op: Op) -> set[str]:
    """The names of the arguments that are arrays; the others are numbers, shapes, geometries."""
    return {p.name for p in inspect.signature(op.forward).parameters.values() if p.annotation is Array}


def _kept(op: Op) -> str:
    arrays = _arrays(op)
    kept = [f"`{name}`" for name, keeps in zip(_arguments(op), op.keeps, strict=False) if keeps and name in arrays]
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
    return re.sub(r"\^(-?\w+)", r"<sup>\1</sup>", text).replace("<sup>-", f"<sup>{MINUS}")
