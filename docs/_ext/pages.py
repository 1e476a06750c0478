"""The Sphinx extension that writes the pages which are made of code, before anything is read."""

from pathlib import Path
from typing import Any

import commands
import formulas
import gallery_pages
import lessons
import reference
import source

MAKERS = (reference, commands, formulas, gallery_pages, lessons)
FOLDERS = ("reference", "gallery", "lessons")  # wholly made: what is no longer written there is taken away


def write(docs: Path) -> None:
    """Write every page that is made below this folder, and take away those of an earlier time."""
    made = {docs / path: text.rstrip() + "\n" for maker in MAKERS for path, text in maker.pages()}
    for folder in FOLDERS:
        for path in (docs / folder).rglob("*.*"):
            if path not in made:
                path.unlink()
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir)))
    app.connect("html-collect-pages", source.collected)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
