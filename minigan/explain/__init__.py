"""The lens on a computation: what was computed, from what, by which rule, across every order of derivative.

    with mg.explain.record() as tape:
        score = critic(tape.name(x, "x"))
        slope = mg.grad(score.sum(), x, create_graph=True)
        penalty = ((slope * slope).sum() ** 0.5 - 1) ** 2
        mg.grad(penalty, critic.parameters())
    tape.print()
    tape.to_html("critic.html")

A tape has each step of every pass, the rule that it came from, and its numbers.
"""

from ..recording import pass_name
from .page import to_html
from .picture import dot, figure, to_png, to_svg
from .recorder import record, trace
from .tape import Gradient, Step, Tape, Value, Why
from .text import listing, summary

__all__ = ["Gradient", "Step", "Tape", "Value", "Why", "pass_name", "record", "trace"]

_METHODS = {
    **{"print": listing, "summary": summary, "to_html": to_html},
    **{"figure": figure, "to_svg": to_svg, "to_png": to_png, "to_dot": dot},
}
for _name, _function in _METHODS.items():
    setattr(Tape, _name, _function)
