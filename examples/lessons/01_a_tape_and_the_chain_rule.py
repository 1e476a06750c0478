# %% [markdown]
# # 1. A tape and the chain rule
#
# A computation is a list of small steps. Write the list down while it runs, and the derivative of the result with
# respect to anything in it is one walk back along the list: at each step, multiply by what that step does to a small
# change, and where a value was used twice, add. That is all that reverse-mode differentiation is.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg

lesson = Lesson("01_a_tape_and_the_chain_rule")

# %% [markdown]
# Take y = (w x + b)^2 - x, with x = 3, w = 0.5, b = 1. x is used twice.

# %%
x, w, b = (mg.tensor(np.array(value)) for value in (3.0, 0.5, 1.0))
with mg.explain.record() as tape:
    for name, tensor in {"x": x, "w": w, "b": b}.items():
        tape.name(tensor, name)
    y = tape.name(mg.square(w * x + b) - x, "y")
    slopes = mg.grad(y, [x, w, b])
tape.print()

# %% [markdown]
# Read the first part downwards: it is the formula, step by step. Read the second: it starts with dy/dy = 1 and walks
# the first part upwards. `square` at h3 was given 2.5, so a change of its input is multiplied by 2 * 2.5 = 5.
# `multiply` passes to each factor the other one. And x, which was used twice, gets two contributions, 5 * 0.5 and -1,
# added up.
#
# By hand: dy/dx = 2 (w x + b) w - 1, dy/dw = 2 (w x + b) x, dy/db = 2 (w x + b).

# %%
by_hand = [2 * 2.5 * 0.5 - 1, 2 * 2.5 * 3, 2 * 2.5]
for name, slope, ours in zip("xwb", slopes, by_hand, strict=True):
    print(f"dy/d{name}: minigan {slope.item():g}, by hand {ours:g}")
    assert slope.item() == ours

# %% [markdown]
# Nothing in this is special to numbers: with matrices each step's derivative is a matrix too, too large to write down,
# but its product with what comes back from above is as cheap as the step itself. So one walk gives the derivatives with
# respect to a million weights, for a few times the cost of the formula. Below, that ratio for a network.

# %%
network = mg.nn.Sequential(*(m for _ in range(6) for m in (mg.nn.Linear(256, 256), mg.nn.Tanh())))
with mg.explain.record() as tape:
    mg.grad(mg.sum(network(mg.ones((64, 256)))), network.parameters())
forward, backward = (sum(step.flops for step in tape.pass_of(order)) for order in (0, 1))
weights = network.num_parameters()
print(f"\n{weights:,} derivatives for {backward / forward:.1f} times the work of the formula")
print(tape.summary())

# %% [markdown]
# The figure is the tape of a smaller one: forward in blue, and below each step what the walk back made of it in orange.

# %%
tiny = mg.nn.Linear(1, 1)
tiny.rename("layer")
with mg.explain.record() as tape:
    loss = tape.name(mg.mean(mg.square(mg.tanh(tiny(tape.name(mg.ones((2, 1)), "x"))) - 1)), "loss")
    mg.grad(loss, tiny.parameters())
lesson.figure(tape.figure())

# %% [markdown]
# **Exercise.** z = x exp(w x) at x = 0.5, w = 2. Replace the zeros by the two factors and the sum of a walk back by
# hand: d exp(u)/du at u = w x, du/dx, and then dz/dx, which has a contribution from each use of x.

# %%
answer = {"dexp/du": 0.0, "du/dx": 0.0, "dz/dx": 0.0}


def check(answer: dict[str, float]) -> str:
    x, w = (mg.tensor(np.array(v)) for v in (0.5, 2.0))
    right = {"dexp/du": float(np.exp(1.0)), "du/dx": 2.0, "dz/dx": mg.grad(x * mg.exp(w * x), x).item()}
    wrong = [name for name, value in right.items() if abs(answer[name] - value) > 1e-3]
    return f"{' and '.join(wrong)} are not right yet (three digits will do)." if wrong else ""


lesson.exercise(check, answer)
