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
    """A gradient rule as it is written: its parameters, what it returns, where it stands, what else it calls."""

    parameters: tuple[str, ...]  # without the "_" of those it does not read
    formula: str
    source: Source
    text: str  # all of it
    helpers: tuple[tuple[str, str], ...] = ()  # functions of its own module that it calls: name, what they say


@cache
def shown(path: str) -> str:
    """A file's name as a reader knows it: minigan/ops/linalg.py, or the name alone outside the package."""
    resolved = Path(path).resolve()
    if resolved.is_relative_to(PACKAGE):
        return (Path("minigan") / resolved.relative_to(PACKAGE)).as_posix()
    return resolved.name


def caller() -> Source:
    """The innermost line outside the engine that led here: of a loss, a penalty, a script."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not _inside(code.co_filename):
            function = "" if code.co_name == "<module>" else code.co_qualname.replace(".<locals>", "")
            return line_of(code.co_filename, frame.f_lineno, function)
        frame = frame.f_back
    return Source("", 0, "")


def line_of(path: str, line: int, function: str = "") -> Source:
    """That line of a file."""
    return Source(shown(path), line, linecache.getline(path, line).strip(), function)


@cache
def _inside(path: str) -> bool:
    resolved = Path(path).resolve()
    return resolved.is_relative_to(PACKAGE) and resolved.relative_to(PACKAGE).parts[0] in ENGINE


@cache
def definition(function: Callable[..., Any]) -> Source:
    """The line where a function begins, below its decorators."""
    code = inspect.unwrap(function).__code__
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    offset = next((k for k, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    return line_of(code.co_filename, code.co_firstlineno + offset)


@cache
def engine(doing: str) -> Source:
    """The line of the engine that adds contributions up ("add"), or sums over broadcast axes ("unbroadcast")."""
    path = str(PACKAGE / "grad.py")
    text = {"add": "held + contribution", "unbroadcast": "reshape(sum(g, axes), shape)"}[doing]
    return line_of(path, next(k for k, line in enumerate(linecache.getlines(path), 1) if text in line))


@cache
def rule_of(function: Callable[..., Any]) -> Rule:
    """What a rule says, read from its source; one of several statements is shown as a call, with its text beside it."""
    code = function.__code__
    parameters = tuple(name.lstrip("_") for name in inspect.signature(function).parameters)
    node = _node(code)
    if node is None:  # there is no source to read
        return Rule(parameters, _call(function, parameters), definition(function), "")
    lines = linecache.getlines(code.co_filename)[node.lineno - 1 : node.end_lineno]
    body = node.body if isinstance(node, ast.Lambda) else _only_return(node)
    if isinstance(node, ast.Lambda):
        text = ast.unparse(node)
    else:
        text = textwrap.dedent("".join(lines)).rstrip()
    if body is None:
        return Rule(parameters, _call(function, parameters), definition(function), text, _helpers(function, node))
    formula = ast.unparse(_Plain().visit(copy.deepcopy(body)))
    return Rule(parameters, formula, line_of(code.co_filename, body.lineno), text, _helpers(function, body))


def _call(function: Callable[..., Any], parameters: tuple[str, ...]) -> str:
    name = "rule" if function.__name__ == "<lambda>" else function.__name__.lstrip("_")
    return f"{name}({', '.join(parameters)})"


def _helpers(function: Callable[..., Any], node: ast.AST) -> tuple[tuple[str, str], ...]:
    """(name, first line of what it says) of each function that a rule calls."""
    called = [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    found = {}
    for name in dict.fromkeys(called):
        other = function.__globals__.get(name)
        about = str(getattr(other, "__doc__", None) or getattr(other, "formula", "")).strip().split("\n")[0]
        if about and not isinstance(other, type):
            found[name.lstrip("_")] = about
    return tuple(found.items())


class _Plain(ast.NodeTransformer):
    """Names without the underscores that mark what is private or not read."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(node.id.lstrip("_"), node.ctx)


Function = ast.Lambda | ast.FunctionDef


@cache
def _functions(path: str) -> list[Function]:
    """Every function in a file, or in a cell of a notebook; none if there is no text of it, or none that parses."""
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except SyntaxError:
        return []
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def _node(code: CodeType) -> Function | None:
    """The function with this code: of that name and those parameters, whose body holds all its instructions."""
    at = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    for node in _functions(code.co_filename):
        if isinstance(node, ast.FunctionDef):
            if node.name == code.co_name and code.co_firstlineno in range(_first(node), node.lineno + 1):
                return node
            continue
        body = node.body
        first, last = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
        names = [a.arg for a in node.args.args] + ([node.args.vararg.arg] if node.args.vararg else [])
        if names == list(code.co_varnames[: len(names)]) and at and all(first <= place <= last for place in at):
            return node
    return None


def _first(node: ast.FunctionDef) -> int:
    """The line where a function and its decorators begin."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _only_return(node: ast.FunctionDef) -> ast.expr | None:
    """What a function returns, if that is all it does."""
    statements = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if len(statements) == 1 and isinstance(statements[0], ast.Return):
        return statements[0].value
    return None
