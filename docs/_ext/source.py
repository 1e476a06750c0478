"""The source of minigan as pages with numbered lines, and the links that lead to them."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import public

Pages = Iterator[tuple[str, dict[str, Any], str]]
_linked: set[Path] = set()  # files that a link leads to


def link(value: Any, up: str = "../") -> str:
    """HTML that leads from a page, `up` from the top, to the line where something of minigan is defined; "" if none."""
    place = line_of(value)
    if place is None:
        return ""
    path, line = place
    _linked.add(path)
    shown = f"{path.as_posix()}:{line}"
    return f'<a class="source" href="{up}source/{path.with_suffix(".html").as_posix()}#line-{line}">{shown}</a>'


def line_of(value: Any) -> tuple[Path, int] | None:
    """(file below the package's parent, line) of a class, function, property or op; None for what has no source."""
    value = value.fget if isinstance(value, property) else getattr(value, "forward", value)
    try:
        value = inspect.unwrap(value)
        file, (lines, line) = inspect.getsourcefile(value), inspect.getsourcelines(value)
    except (TypeError, OSError):
        return None
    if file is None or not Path(file).resolve().is_relative_to(public.PACKAGE):
        return None
    below = next((k for k, text in enumerate(lines) if text.lstrip().startswith(("def ", "class "))), 0)
    return Path(file).resolve().relative_to(public.PACKAGE.parent), line + below


def collected(_app: Any) -> Pages:
    """A page for each file that a link leads to, for Sphinx."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    formatter = HtmlFormatter(linenos="inline", lineanchors="line", anchorlinenos=True, wrapcode=True)
    for path in sorted(_linked):
        name = path.as_posix()
        text = highlight((public.PACKAGE.parent / path).read_text(encoding="utf-8"), PythonLexer(), formatter)
        body = f'<h1>{name}</h1><div class="highlight-python notranslate">{text}</div>'
        yield f"source/{name.removesuffix('.py')}", {"title": name, "body": body, "parents": []}, "page.html"
