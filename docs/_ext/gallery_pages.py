"""The gallery: the tables of examples/README.md, a page for each section, a card for each row of one with commands."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "README.md"
IMAGE = re.compile(r'<img src="([^"]+)" width="(\d+)" alt="([^"]*)">')
LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)")
BEGINNING = """Every system that can be trained, every study and what they drew, in sections. A card has a command to
copy into a terminal, in the checkout, and what it gave. What holds for all of them stands below the sections."""
COVERS = {"How it works": 2}  # which picture of a section stands for it on the first page, if not the first


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs, text) of the gallery's pages, the first one first."""
    opening, *rest = re.split(r"^## ", SOURCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {title: body for title, _, body in (part.partition("\n") for part in rest)}
    yield "gallery/index.md", _index(opening, sections)
    for title, body in sections.items():
        yield f"gallery/{slug(title)}.md", f"# {title}\n\n{_section(body)}"


def slug(title: str) -> str:
    """The name of a section's page."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _index(opening: str, sections: dict[str, str]) -> str:
    _, text = opening.split("\n", 1)
    lines = ["# Gallery", "", "```{toctree}", ":hidden:", "", *(slug(title) for title in sections), "```", ""]
    lines += [BEGINNING, "", "::::::{container} cards", ""]
    for title, body in sections.items():
        images = IMAGE.findall(body)
        cover = images[min(COVERS.get(title, 0), len(images) - 1)] if images else None
        lines += [":::::{container} card", *([f"{_image(*cover)}", ""] if cover else [])]
        lines += [f"**[{title}]({slug(title)}.md)**", "", _counted(body), ":::::", ""]
    return "\n".join([*lines, "::::::", "", _text(text)])


def _counted(body: str) -> str:
    rows = len(re.findall(r"^\|", body, re.MULTILINE)) - 2 * len(re.findall(r"^\|-", body, re.MULTILINE))
    what = "commands" if re.search(r"^\|.*\| command \|", body, re.MULTILINE) else "rows"
    pictures = len(IMAGE.findall(body))
    return f"{rows} {what}" + (f", {pictures} pictures" if pictures else "")


def _section(body: str) -> str:
    """A section's text with its tables: cards if a table has commands, else the table."""
    done = []
    for block in re.split(r"\n{2,}", body.strip()):
        is_table = block.startswith("|")
        done.append(_cards(block) if is_table and "command" in _cells(block.split("\n")[0]) else _text(block))
    return "\n\n".join(done)


def _cells(row: str) -> list[str]:
    """The cells of a table's row, whose bars within code are none of its own."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def _cards(table: str) -> str:
    """A card for each row: the picture, what it is, its command, and what the other columns say."""
    head, _, *rows = table.split("\n")
    columns = _cells(head)
    lines = ["::::::{container} cards", ""]
    for row in rows:
        lines += _card(dict(zip(columns, _cells(row), strict=True)), columns)
    return "\n".join([*lines, "::::::"])


def _card(cells: dict[str, str], columns: list[str]) -> list[str]:
    pictures = IMAGE.findall(cells.get("picture", ""))
    rest = IMAGE.sub("", cells.get("picture", "")).strip()
    lines = [":::::{container} card", ""]
    lines += [f"{_image(*picture)}\n" for picture in pictures]
    title = cells[columns[0]]
    lines += [f"**{_text(title[:1].upper() + title[1:])}**", ""]
    if command := cells.get("command"):
        lines += [_command(command), ""]
    others = {"source": "{}", "minutes": "{} minutes", "Fréchet": "Fréchet distance {}"}
    facts = [said.format(_text(cells[c])) for c, said in others.items() if cells.get(c)]
    lines += [" · ".join(facts).replace("· 1 minutes", "· 1 minute"), ""]
    lines += [_text(cells["number"][:1].upper() + cells["number"][1:]), ""] if cells.get("number") else []
    return [*lines, *([_text(rest), ""] if rest else []), ":::::", ""]


def _command(cell: str) -> str:
    """A command that is all of a cell as a block that can be copied."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return f"```text\n{found[1]}\n```" if found else _text(cell)


def _image(source: str, width: str, alt: str) -> str:
    return f'![{alt}](../../examples/{source}){{width="100%"}}'  # a width makes Sphinx link it to the file


def _text(text: str) -> str:
    """Text of the page, whose links go to other pages of the site, or are the paths of files."""
    return LINK.sub(_link, IMAGE.sub(lambda found: _image(*found.groups()), text))


def _link(found: re.Match[str]) -> str:
    text, target, _ = found.groups()
    if "://" in target or f"!{found[0]}" in found.string:
        return found[0]
    if target == "lessons/README.md":
        return f"[{text}](../lessons/index.md)"
    if target.startswith("gallery/"):
        return f'<a href="../{Path(target).name}">{text}</a>'
    path = (SOURCE.parent / target).resolve().relative_to(ROOT)
    return f"{text} (`{path}`)" if str(path) not in text else text
