"""Short code in a line of text is kept in one piece: a browser would break `--steps` behind its first dash."""

from typing import Any

from docutils import nodes

LONGEST = 30  # letters that fit into a line of a telephone


def mark(_app: Any, doctree: nodes.document, _page: str) -> None:
    """Give short spans of code the class that site.css does not break."""
    for span in doctree.findall(nodes.literal):
        if len(span.astext()) <= LONGEST:
            span["classes"].append("short")


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
