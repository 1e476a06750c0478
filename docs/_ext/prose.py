"""The plain text of docstrings as Markdown: paragraphs, lists, displays, `code` and nothing else."""

import re
from collections.abc import Callable

Linked = Callable[[str], str]  # what is between backticks, to the Markdown that stands for it
SPECIAL = re.compile(r"([\\*_{}\[\]<>#|~$^!])")
ITEM = re.compile(r"(- |\d+\. )")


def escaped(text: str) -> str:
    """Text in which no letter means anything to Markdown."""
    return SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """A span of code."""
    return f"`{text}`"


def inline(text: str, linked: Linked = code) -> str:
    """A line or more, whose spans between backticks are code."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(linked(part) if k % 2 else escaped(part) for k, part in enumerate(parts))


def markdown(text: str, linked: Linked = code) -> str:
    """A docstring as Markdown; an indented block is a display, shown as it stands."""
    done: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.split("\n")
        if lines[0].startswith("    "):
            done.append(_display(lines))
        else:
            done.append("\n".join(_paragraph(lines, linked)))
    return "\n\n".join(done)


def _paragraph(lines: list[str], linked: Linked) -> list[str]:
    """The lines of a paragraph or of a list, of which an item may go on in lines that are indented."""
    spans = inline("\n".join(lines), linked).split("\n")
    if not ITEM.match(lines[0]) and not any(ITEM.match(line) for line in lines):
        return [line.strip() for line in spans]
    first = next(k for k, line in enumerate(lines) if ITEM.match(line))
    found = [line.strip() for line in spans[:first]] + ([""] if first else [])
    for line, shown in zip(lines[first:], spans[first:], strict=True):
        found.append(shown if ITEM.match(line) else f"  {shown.strip()}")
    return found


def _display(lines: list[str]) -> str:
    dedented = [line.removeprefix("    ") for line in lines]
    language = "python" if any(re.match(r"(with |import |\w+ = \w+\.)", line) for line in dedented) else "text"
    return "\n".join([f"```{language}", *dedented, "```"])
