"""The code of a page of the documentation, run from top to bottom: `python tests/support/page_blocks.py PAGE`.

All ```python blocks of a page share one namespace, in order, in the folder where this is started. Of a ```console block
the lines that begin with "$ " are run, each of which is a `minigan` or a `python` command; ```console status=1 says how
they end if not with 0. A ```text block is what the block before it prints: see `unlike`. What cannot run here (pip,
mpiexec, a GPU) stands in an ```sh block, which nobody runs. `examples` in the folder leads to those of the checkout.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 0.02  # by which a number with a point may be off, relative to it; numbers without one are exact
HUNG = 120  # seconds
ANYTHING = "..."  # in a line any text; alone in a line any lines

_FENCE = re.compile(r"^(?P<fence>```+)(?P<about>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_PROMPT = "$ "


class Block(NamedTuple):
    """A fenced block of a page: its language, what else its first line says, its text, the line where that begins."""

    language: str
    about: str
    code: str
    line: int


class Wrong(AssertionError):
    """A block that does not do what its page says."""


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        language, _, about = match["about"].strip().partition(" ")
        found.append(Block(language, about, match["code"], text.count("\n", 0, match.start("code")) + 1))
    return found


def run(page: Path) -> None:
    """Run a page's blocks in this folder. Wrong, with the page's line, at the first that fails or prints another."""
    if not Path("examples").exists():
        Path("examples").symlink_to(ROOT / "examples")
    namespace: dict[str, object] = {"__name__": "__page__"}
    listed = blocks(page.read_text(encoding="utf-8"))
    for block, following in zip(listed, [*listed[1:], None], strict=True):
        if block.language not in ("python", "console"):
            continue
        where = f"{page.name}, line {block.line}"
        printed = _python(block, where, namespace) if block.language == "python" else _console(block, where)
        if following is not None and following.language == "text" and (why := unlike(following.code, printed)):
            raise Wrong(f"{page.name}, line {following.line}: {why}\n--- it printed:\n{printed}")


def _python(block: Block, where: str, namespace: dict[str, object]) -> str:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(block.code, where, "exec"), namespace)
    except Exception as error:
        raise Wrong(f"{where}: {type(error).__name__}: {error}\n{block.code}") from error
    return printed.getvalue()


def _console(block: Block, where: str) -> str:
    """What the commands of the block print."""
    commands = [line.removeprefix(_PROMPT) for line in block.code.splitlines() if line.startswith(_PROMPT)]
    if not commands:
        raise Wrong(f'{where}: no line begins with "{_PROMPT}"')
    expected = int(re.sub("^status=", "", block.about or "0"))
    return "".join(_command(command, expected, where) for command in commands)


def _command(command: str, expected: int, where: str) -> str:
    program, *words = shlex.split(command, comments=True)
    if program not in ("minigan", "python"):
        raise Wrong(f"{where}: neither minigan nor python, so it belongs into an sh block: {command}")
    call = [sys.executable, *(["-m", "minigan"] if program == "minigan" else []), *words]
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        call,
        env={**os.environ, "PYTHONPATH": search, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HUNG,
    )
    if done.returncode != expected:
        raise Wrong(f"{where}: {command} ended with {done.returncode} instead of {expected}\n{done.stdout}")
    return done.stdout


# --- what a block is to print -------------------------------------------------------------------------------------


def unlike(expected: str, printed: str) -> str:
    """How what was printed differs from what a page says, "" if it does not.

    Lines are compared one by one, spaces alike however many there are. A number that is written with a point may be off
    by TOLERANCE of it; ANYTHING stands for any text in a line and, alone in it, for any lines.
    """
    wanted, found = (text.rstrip().splitlines() for text in (expected, printed))
    if _fit(wanted, found):
        return ""
    plain = next((line for line in wanted if line.strip() != ANYTHING and not any(_fits(line, f) for f in found)), None)
    return f"nothing printed is like {plain!r}" if plain is not None else "the lines are others, or in another order"


def _fit(wanted: Sequence[str], found: Sequence[str]) -> bool:
    if not wanted:
        return not found
    if wanted[0].strip() == ANYTHING:
        return any(_fit(wanted[1:], found[k:]) for k in range(len(found) + 1))
    return bool(found) and _fits(wanted[0], found[0]) and _fit(wanted[1:], found[1:])


def _fits(wanted: str, found: str) -> bool:
    """Is a printed line what the page has for it?"""
    numbers: list[str] = []

    def pattern(piece: str) -> str:
        if piece == ANYTHING:
            return ".*?"
        if re.fullmatch(_NUMBER, piece):
            numbers.append(piece)
            return f"({_NUMBER})"
        return r"\s+".join(map(re.escape, re.split(r"\s+", piece)))

    pieces = re.split(f"({re.escape(ANYTHING)}|{_NUMBER})", wanted.strip())
    match = re.fullmatch("".join(map(pattern, pieces)), found.strip())
    return match is not None and all(map(_near, numbers, match.groups()))


def _near(wanted: str, found: str) -> bool:
    if "." not in wanted and "e" not in wanted:
        return wanted == found
    return abs(float(found) - float(wanted)) <= TOLERANCE * abs(float(wanted))


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]).resolve())
    except Wrong as wrong:
        sys.exit(str(wrong))
