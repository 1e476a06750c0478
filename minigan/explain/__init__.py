"""The lens on a computation: what was computed, from what, by which rule, across every order of derivative.

with mg.explain.record() as tape:
    score = critic(tape.name(x, "x"))
    slope = mg.grad(score.sum(), x, create_graph=True)
    penalty = ((slope * slope).sum() ** 0.5 - 1) ** 2
    mg.grad(penalty, critic.parameters())
tape.print()
tape.to_html("critic.html")
"""

from .recorder import record, trace
from .tape import Gradient, Step, Tape, Value, Why, pass_name

__all__ = ["Gradient", "Step", "Tape", "Value", "Why", "pass_name", "record", "trace"]
