"""Pages that are one file: templates that lie beside the code, and what goes into them."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from . import disk


def text_of(package: str, name: str) -> str:
    """The text of a file of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with the part of that name in place of each {{name}}; KeyError if there is none."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def embedded(content: Mapping[str, Any]) -> str:
    """JSON for a <script> element, which no text in it can end; ValueError for NaN and infinity."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def write(path: Path, page: str) -> None:
    """Write the page in UTF-8; a lone surrogate, which names of files and JSON can hold, becomes a question mark."""
    disk.write(path, page.encode("utf-8", "replace"))
