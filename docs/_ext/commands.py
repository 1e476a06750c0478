"""What the program `minigan` says of its commands and presets: a page for each `minigan NAME --help`, and a table."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

from prose import inline

from minigan.command import judging, recipe
from minigan.command.cli import COMMANDS, main
from minigan.command.presets import PRESETS

WIDTH = "90"  # letters of a line of help
PRESETS_ABOVE = """# Presets

What `minigan train NAME` trains: the systems of documents and papers, as values of its options. Any of them can be
given anew behind the name, and `minigan config NAME` prints all. `best` and some others go by the data, or by other
options, in more than what stands here.
"""
PRINTED_ABOVE = """## As printed

With `--as-printed` these have what their source prints, and should not be done:
"""
PARTS = {"judge": judging.COMMANDS}  # commands that have commands of their own


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of each page about the program."""
    yield "reference/commands/index.md", _index()
    for name, (_, about) in COMMANDS.items():
        yield f"reference/commands/{name}.md", _page(name, about)
    yield "reference/presets.md", _presets()


def helped(*words: str) -> str:
    """What `minigan WORDS --help` prints."""
    out = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return out.getvalue().rstrip()


def _index() -> str:
    lines = ["# Commands", "", f"```text\n{helped()}\n```", "", "```{toctree}", ":hidden:", ""]
    lines += [*COMMANDS, "```", "", "| command | what it does |", "|---|---|"]
    lines += [f"| [`minigan {name}`]({name}.md) | {inline(about)} |" for name, (_, about) in COMMANDS.items()]
    return "\n".join(lines)


def _page(name: str, about: str) -> str:
    lines = [f"# minigan {name}", "", f"{inline(about[:1].upper() + about[1:])}.", ""]
    lines += [f"```text\n{helped(name)}\n```"]
    for part in PARTS.get(name, ()):
        lines += ["", f"## minigan {name} {part}", "", f"```text\n{helped(name, part)}\n```"]
    return "\n".join(lines)


def _presets() -> str:
    options = {a.dest: a.option_strings[0] for a in recipe.options([])._actions if a.option_strings}
    lines = [
        PRESETS_ABOVE,
        ":::{container} wide",
        "",
        "| preset | what it is | source | options |",
        "|---|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        set_here = _flags(preset.options, options)
        lines.append(f"| `{name}` | {inline(preset.about)} | {inline(preset.source)} | {set_here} |")
    lines += [
        ":::",
        "",
        PRINTED_ABOVE,
        ":::{container} wide",
        "",
        "| preset | what is printed | options |",
        "|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        if preset.as_printed:
            lines.append(f"| `{name}` | {inline(preset.mistakes)} | {_flags(preset.as_printed, options)} |")
    return "\n".join([*lines, ":::"])


def _flags(values: dict[str, Any], options: dict[str, str]) -> str:
    """Values of options as a command line has them."""
    words = [
        options[name] if value is True else f"{options[name]} {'none' if value is None else value}"
        for name, value in values.items()
        if value is not False
    ]
    return " ".join(f"`{word}`" for word in words)
