"""What minigan offers: its modules, their names in the order of their files, where each is defined and what it says."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any

import minigan
from minigan.op import Op

PACKAGE = Path(minigan.__file__).parent
NOT_OFFERED = {"startup", "unknown"}  # what __init__ files import for themselves


@dataclass(frozen=True)
class Name:
    """A public name: the module that offers it, what it is, the module that defines it."""

    room: str
    name: str
    value: Any
    defined: str

    @property
    def full(self) -> str:
        """As a program writes it, with the package's whole name."""
        return f"{self.room}.{self.name}"

    @property
    def kind(self) -> str:
        """Class, function or data, of which a reference says different things."""
        if inspect.isclass(self.value) and not isinstance(self.value, GenericAlias):
            return "class"
        alias = type(self.value).__module__ in ("types", "typing", "collections.abc") and not _has_code(self.value)
        return "function" if callable(self.value) and not alias else "data"


@cache
def rooms() -> tuple[str, ...]:
    """The modules that offer names: minigan, those that it loads on first use, and the modules that these offer."""
    found = ["minigan", "minigan.errors"]
    for short in sorted({*minigan._ON_FIRST_USE} - {"command"}):  # which has no names, but commands
        found.append(f"minigan.{short}")
        found += [f"minigan.{short}.{name}" for name in _imports(f"minigan.{short}") if _is_module(short, name)]
    return tuple(found)


@cache
def names(room: str) -> tuple[Name, ...]:
    """What a module offers, modules left out: what its file imports if it is a table of names, else what it defines."""
    module = importlib.import_module(room)
    listed = getattr(module, "__all__", None)
    given = list(listed) if listed else [*_imports(room), *_definitions(room)]
    if room == "minigan":
        given += minigan._SHORT
    found = []
    for name in dict.fromkeys(given):
        value = getattr(module, name)
        if not isinstance(value, ModuleType):
            found.append(Name(room, name, value, _defining(room, name, value)))
    return tuple(found)


def everything() -> Iterator[Name]:
    """Every public name of every module."""
    for room in rooms():
        yield from names(room)


def document(name: Name) -> str:
    """What is said of a name: its docstring, or what stands beside a constant in its file; "" if nothing is."""
    if name.kind == "data":
        return _beside(name.defined, name.name) or _of_type(name.value)
    return own_document(name.value) or (name.value.formula if isinstance(name.value, Op) else "")


def own_document(value: Any) -> str:
    """The docstring that is written for this class or function; those that dataclasses and tuples make are none."""
    text = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    if inspect.isclass(value) and (text.startswith(f"{value.__name__}(") or text == value.__mro__[1].__doc__):
        return ""
    return text


def fields(value: type) -> list[tuple[str, str, str]]:
    """(name, type, comment) of the fields of a dataclass or named tuple, as its file has them."""
    if not (hasattr(value, "__dataclass_fields__") or hasattr(value, "_fields")):
        return []
    held = {*getattr(value, "__dataclass_fields__", ()), *getattr(value, "_fields", ())}
    classes = {node.name: node for node in _tree(value.__module__).body if isinstance(node, ast.ClassDef)}
    found = []
    for item in classes[value.__name__].body if value.__name__ in classes else []:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id in held:
            name = item.target.id
            found.append((name, ast.unparse(item.annotation), _comment(value.__module__, item)))
    return found


def methods(value: type) -> list[tuple[str, Any]]:
    """(name, function, property, class or static method) of what a class itself defines and does not hide."""
    held = getattr(value, "__dataclass_fields__", {})
    found = []
    for name, item in vars(value).items():
        plain = item.__func__ if isinstance(item, classmethod | staticmethod) else item
        if not name.startswith("_") and name not in held and (inspect.isfunction(plain) or isinstance(plain, property)):
            found.append((name, item))
    return found


def first_paragraph(text: str) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join(text.split("\n\n")[0].split())


def file_of(module: str) -> Path:
    """The file of a module of minigan."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _has_code(value: Any) -> bool:
    return inspect.isroutine(inspect.unwrap(value))


def _is_module(short: str, name: str) -> bool:
    return isinstance(getattr(importlib.import_module(f"minigan.{short}"), name), ModuleType)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def _imports(module: str) -> list[str]:
    """The names that an __init__ file has of other modules of minigan; none of another file."""
    if file_of(module).name != "__init__.py":
        return []
    nodes = [node for node in _tree(module).body if isinstance(node, ast.ImportFrom) and node.level]
    found = [a.asname or a.name for node in nodes for a in node.names]
    return [name for name in found if not name.startswith("_") and name not in NOT_OFFERED]


def _definitions(module: str) -> list[str]:
    """The names that a file defines at its top, but for hidden ones and for those of types."""
    found: list[str] = []
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found += _targets(node)
    values = vars(importlib.import_module(module))
    hidden = {n for n in found if n.startswith("_") or type(values[n]).__module__ == "typing"}
    return [n for n in found if n not in hidden | NOT_OFFERED]


def _defining(room: str, name: str, value: Any) -> str:
    """The module whose file says what the name is."""
    if inspect.isclass(value) or isinstance(value, Op) or _has_code(value):
        found = getattr(inspect.unwrap(value), "__module__", None) or type(value).__module__
        return found if found.startswith("minigan") else room
    for node in _tree(room).body:
        if isinstance(node, ast.ImportFrom) and node.level and any((a.asname or a.name) == name for a in node.names):
            package = room if file_of(room).name == "__init__.py" else room.rpartition(".")[0]
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            return _defining(".".join([*parent, *([node.module] if node.module else [])]), name, value)
    return room


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """The names that a statement gives a value to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _beside(module: str, name: str) -> str:
    """What is written beside a constant: the string that follows it, the comment on its line or in the line above."""
    body = _tree(module).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in _targets(node):
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return inspect.cleandoc(str(following.value.value))
            return _comment(module, node)
    return ""


def _comment(module: str, node: ast.stmt) -> str:
    """The comment at the end of a statement's first or last line, or in the line above it; "" if there is none."""
    lines = file_of(module).read_text(encoding="utf-8").splitlines()
    for number in (node.end_lineno or node.lineno, node.lineno):
        _, mark, comment = lines[number - 1].partition("  # ")
        if mark and not comment.startswith(("noqa", "type:")):
            return comment
    above = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
    return above.removeprefix("# ") if above.startswith("# ") and not above.startswith("# ---") else ""


def _of_type(value: Any) -> str:
    """What the type of a constant says, if it is one of minigan's."""
    return own_document(type(value)) if type(value).__module__.startswith("minigan") else ""
