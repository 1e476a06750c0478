# %% [markdown]
# # 2. Checking a gradient, and how a wrong one looks
#
# A derivative is a claim about what happens if something moves a little. So move it a little and look: the difference
# quotient (f(x + e) - f(x - e)) / 2e must agree. A wrong rule is off by the same amount whatever e is; a right one is
# off by the rounding of the difference (about 1e-16 / e) plus what the curve bends (about e^2), and there is a valley
# between the two, near e = 1e-5, where nine digits agree. A check that knows this valley cannot be fooled easily.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import viz

lesson = Lesson("02_checking_a_gradient")


# %% [markdown]
# `with_slope(value, slope, x)` computes the one and claims the other: its derivative is `slope`, right or wrong. It is
# how a wrong rule is made here; in real code it is a forgotten factor, a sign, a mask that is a pixel off.


# %%
def with_slope(value, slope, x):
    return value.detach() + slope.detach() * (x - x.detach())


rules = {
    "softplus, right": lambda x: mg.softplus(x),
    "a sign forgotten": lambda x: with_slope(mg.softplus(x), mg.sigmoid(-x), x),
    "1% too large": lambda x: with_slope(mg.softplus(x), 1.01 * mg.sigmoid(x), x),
    "off for x > 1 alone": lambda x: with_slope(mg.softplus(x), mg.sigmoid(mg.where(x > 1, 1.0, x)), x),
}

# %% [markdown]
# `mg.testing.gradcheck` compares one number with one number: the derivative along a random direction of a random
# weighting of the result. Here is what it says of each.

# %%
x = mg.tensor(np.random.default_rng(0).normal(0, 1, 20))
for name, f in rules.items():
    try:
        mg.testing.gradcheck(f, x, order=1)
        print(f"{name:20} agrees")
    except mg.errors.GradcheckError as error:
        print(f"{name:20} {error}")


# %% [markdown]
# The figure shows the valley: the error of the claimed slope against the step e. The right rule's falls and rises; the
# wrong ones' stay where they are. "1% too large" hides behind rounding only where e is smaller than 1e-13 or so.


# %%
def error_at(f, e):
    """How far the claimed derivative of sum(f(x)) along one direction is from the difference quotient, relatively."""
    direction = np.random.default_rng(1).normal(0, 1, x.shape)
    claimed = float((mg.grad(mg.sum(f(x)), x).numpy() * direction).sum())
    moved = [mg.sum(f(mg.tensor(x.numpy() + sign * e * direction))).item() for sign in (1, -1)]
    return abs(claimed - (moved[0] - moved[1]) / (2 * e)) / abs(claimed)


steps = 10.0 ** np.arange(-14, 0.01, 0.5)
figure = viz.empty_figure(figsize=(7, 4), layout="constrained")
axes = figure.add_subplot(xscale="log", yscale="log", xlabel="step e of the difference", ylabel="relative error")
for name, f in rules.items():
    axes.plot(steps, [max(error_at(f, e), 1e-16) for e in steps], marker=".", label=name)
axes.plot(steps, 1e-16 / steps, ":", color="grey", label="rounding: 1e-16 / e")
axes.set_ylim(1e-13, 10)
axes.legend(fontsize="small")
lesson.figure(figure)

# %% [markdown]
# Order two is the same check of the gradient itself: `gradcheck(f, x, order=2)`. It is what a gradient penalty needs,
# and it finds rules whose first derivative is right and whose second is not; lesson 8 shows one.
#
# **Exercise.** The rule below claims a slope for log(cosh(x)). Correct it.

# %%
answer = lambda x: mg.tanh(x) * mg.tanh(x)


def check(slope) -> str:
    try:
        mg.testing.gradcheck(lambda x: with_slope(mg.log((mg.exp(x) + mg.exp(-x)) * 0.5), slope(x), x), x, order=1)
    except mg.errors.GradcheckError as error:
        return str(error)
    return ""


lesson.exercise(check, answer)
