"""Formulas of pages as MathML, which browsers draw by themselves: no script, no font from elsewhere."""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def within(self: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def displayed(self: Any, node: nodes.math_block) -> None:
    """A formula in lines of its own, which scroll within themselves where they are too wide."""
    self.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", (within, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
