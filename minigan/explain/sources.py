"""Where a step comes from: the text of an op's rule, and the line of a program that asked for the step."""

import ast
import copy
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent
ENGINE = {"op.py", "grad.py", "tensor.py", "ops", "nn", "explain"}  # between a program and the op it asks for


class Source(NamedTuple):
    """A line of a program: its file (below the package: minigan/...), its number, its text, the function it is in."""

    file: str
    line: int
    text: str
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Rule(NamedTuple):
    """A gradient rule as it is written: its parameters, what it returns, and where it stands."""

    parameters: tuple[str, ...]  # without the "_" of those it does not read
    formula: str
    source: Source


def shown(path: str) -> str:
    """A file's name as a reader knows it: minigan/ops/linalg.py, or the name alone outside the package."""
    resolved = Path(path)
    if resolved.is_relative_to(PACKAGE):
        return (Path("minigan") / resolved.relative_to(PACKAGE)).as_posix()
    return resolved.name


def caller() -> Source:
    """The innermost line outside the engine that led here: of a loss, a penalty, a script."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        inside = _inside(path)
        if not inside:
            function = frame.f_code.co_name
            text = linecache.getline(path, frame.f_lineno).strip()
            return Source(shown(path), frame.f_lineno, text, "" if function == "<module>" else function)
        frame = frame.f_back
    return Source("", 0, "")


@cache
def _inside(path: str) -> bool:
    resolved = Path(path)
    return resolved.is_relative_to(PACKAGE) and resolved.relative_to(PACKAGE).parts[0] in ENGINE


def definition(function: Callable[..., Any]) -> Source:
    """The line where a function of the package begins, below its decorators."""
    code = inspect.unwrap(function).__code__
    lines = inspect.getsource(function).splitlines()
    offset = next((k for k, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    return Source(shown(code.co_filename), code.co_firstlineno + offset, lines[offset].strip())


@cache
def rule_of(function: Callable[..., Any]) -> Rule:
    """What a rule says, read from its source; a rule of several statements is shown by its name."""
    code = function.__code__
    parameters = tuple(name.lstrip("_") for name in inspect.signature(function).parameters)
    body = _lambda_body(code) if function.__name__ == "<lambda>" else _single_return(function)
    if body is None:
        return Rule(parameters, f"{function.__name__.lstrip('_')}({', '.join(parameters)})", definition(function))
    formula = ast.unparse(_Plain().visit(copy.deepcopy(body)))
    line = body.lineno
    return Rule(
        parameters, formula, Source(shown(code.co_filename), line, linecache.getline(code.co_filename, line).strip())
    )


class _Plain(ast.NodeTransformer):
    """Names without the underscores that mark what is private or not read."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(node.id.lstrip("_"), node.ctx)


@cache
def _lambdas(path: str) -> list[ast.Lambda]:
    return [
        node for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))) if isinstance(node, ast.Lambda)
    ]


def _lambda_body(code: CodeType) -> ast.expr | None:
    """The body of the lambda with this code: the one whose lines and columns hold all its instructions."""
    at = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column is not None]
    for node in _lambdas(code.co_filename):
        body = node.body
        first = body.lineno, body.col_offset
        last = body.end_lineno or body.lineno, body.end_col_offset or 0
        names = [a.arg for a in node.args.args] + ([node.args.vararg.arg] if node.args.vararg else [])
        if names == list(code.co_varnames[: len(names)]) and all(first <= p <= last for p in at if p[1]):
            return body
    return None


def _single_return(function: Callable[..., Any]) -> ast.expr | None:
    """What a function returns, if that is all it does."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    statements = [s for s in tree.body[0].body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    if len(statements) == 1 and isinstance(statements[0], ast.Return) and statements[0].value is not None:
        ast.increment_lineno(statements[0], function.__code__.co_firstlineno - 1)
        return statements[0].value
    return None
