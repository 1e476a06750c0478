"""The reference: a page for each module that offers names, made of signatures and docstrings."""

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

import public
import source
from prose import code, escaped, inline, markdown
from public import Name

from minigan.op import Op

PAGES = "reference"
FIRST = ("minigan.tensor", "minigan.grad")  # files that others follow from
FEW = 6  # names that need no list above them
LONG = 300  # letters of a constant's value that are shown


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of each page of the reference, its index first."""
    yield f"{PAGES}/index.md", _index()
    for room in public.rooms():
        yield f"{PAGES}/{page_of(room)}.md", _page(room)


def page_of(room: str) -> str:
    """The name of a module's page: gan.losses; mg for the package itself."""
    return room.removeprefix("minigan.") if room != "minigan" else "mg"


def short(room: str) -> str:
    """A module as programs write it."""
    return room.replace("minigan", "mg", 1)


@cache
def homes() -> dict[Any, Name]:
    """The names under which what several modules offer is documented, by what they are: there where it is defined."""
    found: dict[Any, Name] = {}
    for name in public.everything():
        if name.kind != "data":
            held = found.get(id(name.value))
            if held is None or (not held.defined.startswith(held.room + ".") and name.defined.startswith(name.room)):
                found[id(name.value)] = name
    return found


@cache
def anchors() -> dict[str, str]:
    """The whole name of what has an entry, by each way in which a text may name it."""
    found: dict[str, str] = {}
    for name in public.everything():
        if homes().get(id(name.value), name) == name:
            for written in (name.full, name.full.removeprefix("minigan."), name.full.replace("minigan", "mg", 1)):
                if "." in written:  # else the name of a parameter as often as not
                    found.setdefault(written, name.full)
    return found


def _index() -> str:
    lines = [
        "# Reference",
        "",
        "Every public name, as its own docstring describes it. `import minigan as mg` comes first.",
    ]
    lines += ["", "```{toctree}", ":hidden:", "", *(f"{short(room)} <{page_of(room)}>" for room in public.rooms())]
    lines += ["commands/index", "presets", "```", "", "| module | what it has |", "|---|---|"]
    for room in public.rooms():
        lines.append(f"| [`{short(room)}`]({page_of(room)}.md) | {inline(public.first_paragraph(_about(room)))} |")
    lines += ["", "The program `minigan` has [commands](commands/index.md), and [presets](presets.md) to train."]
    lines += ["{ref}`All names by letter <genindex>`."]
    return "\n".join(lines)


def _about(room: str) -> str:
    about = inspect.cleandoc(importlib.import_module(room).__doc__ or "").removeprefix("minigan: ")
    return about[:1].upper() + about[1:]


def _page(room: str) -> str:
    names = public.names(room)
    about = _about(room)
    lines = [f"# {short(room)}", "", f"```{{py:module}} {room}", "```", "", markdown(about, _linked(room)), ""]
    elsewhere = [name for name in names if homes().get(id(name.value), name) != name]
    here = [name for name in names if name not in elsewhere]
    groups = _groups(room, here)
    if len(here) > FEW:
        links = [f"{{py:obj}}`{name.name} <{name.full}>`" for name in here]
        lines += [":::{container} names", " ".join(links), ":::", ""]
    for defined, members in groups:
        if len(groups) > 1:
            lines += [f"## {inline(_heading(defined))}", ""]
        for name in members:
            lines += [entry(name), ""]
    if elsewhere:
        lines += ["## Further names", "", "Of what other entries describe:", ""]
        for name in elsewhere:
            home = homes()[id(name.value)]
            lines.append(f"- `{name.name}`: {{py:obj}}`{short(home.full)} <{home.full}>`")
    return "\n".join(lines)


def _groups(room: str, names: list[Name]) -> list[tuple[str, list[Name]]]:
    """The names by the file that defines them, in the order in which these first come up, but for those of FIRST."""
    order = list(dict.fromkeys([*FIRST, *(name.defined for name in names)]))
    ordered = sorted(names, key=lambda name: order.index(name.defined))
    return [(defined, list(members)) for defined, members in groupby(ordered, lambda name: name.defined)]


def _heading(module: str) -> str:
    """What a module says of itself in its first sentence, without its end."""
    about = public.first_paragraph(_about(module))
    return re.split(r"(?<=\w)[.:;] |\.$|:$", about)[0]


def entry(name: Name) -> str:
    """A name with its signature and all that is said of it."""
    if name.kind == "class":
        return _class(name)
    if name.kind == "function":
        body = f"{_said(name)}\n\n{source.link(name.value)}"
        return _directive("function", f"{name.name}{signature(name.value)}", name.room, body, fence=":::")
    value = repr(name.value) if not callable(name.value) else _type(name.value)
    body = _said(name)
    if " at 0x" not in value and len(value) <= LONG:
        body += f"\n\n```python\n{name.name} = {value}\n```"
    elif isinstance(name.value, dict | frozenset | set | list | tuple):
        body += f"\n\nIt has {', '.join(code(str(key)) for key in name.value if isinstance(key, str))}."
    return _directive("data", name.name, name.room, body, fence=":::")


def signature(value: Any) -> str:
    """The parameters and the result of a function or class, with types by their short names."""
    try:
        found = inspect.signature(value)
    except ValueError:  # a class that takes what its base in C takes
        return "()"
    parameters = [_shown(p) for p in found.parameters.values() if p.name != "self"]
    result = found.return_annotation
    silent = result in (found.empty, None) or inspect.isclass(value)
    return str(inspect.Signature(parameters)) + ("" if silent else f" -> {_type(result)}")


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter that shows itself with short types, and with the names of functions."""
    if parameter.annotation is not parameter.empty:
        parameter = parameter.replace(annotation=_Written(_type(parameter.annotation)))
    return parameter.replace(default=_default(parameter))


class _Written(str):
    """Text that shows itself without quotes, as types do in a signature."""

    def __repr__(self) -> str:
        return str(self)


def _type(annotation: Any) -> str:
    """A type without the modules of its parts."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text.replace("'", ""))


def _default(parameter: inspect.Parameter) -> Any:
    value = parameter.default
    if value is parameter.empty or (" at 0x" not in repr(value) and not isinstance(value, Op)):
        return value
    return _Written(getattr(value, "__name__", "...").replace("<lambda>", "..."))


def _said(name: Name) -> str:
    """What is said of a name, as Markdown; of an op that has no docstring, its formula and where its rules are."""
    text = public.document(name)
    if isinstance(name.value, Op) and not public.own_document(name.value):
        return f"{escaped(text)}, element by element. [Its rules](#op-{name.value.name})."
    return markdown(text, _linked(name.room))


def _class(name: Name) -> str:
    value = name.value
    body = [_said(name)]
    bases = [homes()[id(base)] for base in value.__bases__ if id(base) in homes()]
    if bases:
        body.append("Is a " + ", ".join(f"{{py:obj}}`{short(b.full)} <{b.full}>`" for b in bases) + ".")
    if rows := public.fields(value):
        body.append("\n".join(_field(*row, name.room) for row in rows))
    body.append(source.link(value))
    for method, item in public.methods(value):
        plain = item.__func__ if isinstance(item, classmethod | staticmethod) else item
        said = public.own_document(plain) or public.own_document(_twin(method))
        kind = type(item).__name__ if isinstance(item, property | classmethod | staticmethod) else "method"
        shown = f"{method}{signature(getattr(value, method))}" if kind != "property" else method
        body.append(_directive(kind, shown, "", markdown(said, _linked(name.room)), fence=":::"))
    return _directive("class", f"{name.name}{signature(value)}", name.room, "\n\n".join(body), fence="::::")


def _twin(method: str) -> Any:
    """The function of the package that a Tensor's method is, if it has no docstring of its own."""
    return getattr(importlib.import_module("minigan"), method, None)


def _field(field: str, annotation: str, comment: str, room: str) -> str:
    return f"- `{field}`: `{annotation}`" + (f", {inline(comment, _linked(room))}" if comment else "")


def _directive(kind: str, shown: str, room: str, body: str, *, fence: str) -> str:
    option = f":module: {room}\n" if room else ":no-contents-entry:\n"  # a method, of which a page has hundreds
    return f"{fence}{{py:{kind}}} {shown}\n{option}\n{body}\n{fence}"


def _linked(room: str) -> Any:
    """How spans of code are shown on a module's page: what names an entry leads to it."""

    def linked(text: str) -> str:
        target = anchors().get(f"{room}.{text}") or anchors().get(text)
        return f"{{py:obj}}`{text} <{target}>`" if target else code(text)

    return linked
