# %% [markdown]
# # 8. Second order goes wrong: three mistakes that first order forgives
#
# A layer can have the right value and the right gradient, and still ruin every gradient penalty: because its gradient,
# differentiated again, is wrong. Nothing crashes; the critic only learns something else. `gradcheck` to order two finds
# it, and here is how each mistake looks.

# %%
import numpy as np
from matplotlib.figure import Figure

import minigan as mg

lesson = mg.explain.Lesson("08_second_order_goes_wrong")
x = mg.tensor(np.random.default_rng(0).normal(0, 1, (4, 5)))

# %% [markdown]
# **A detached mean.** The variance is mean((x - mean(x))^2). Its derivative with respect to the mean happens to be
# zero, so one may think the mean a constant and cut it off: the gradient stays exact. Its own derivative does not.


# %%
def variance(x):
    return mg.mean(mg.square(x - mg.mean(x, axis=1, keepdims=True)), axis=1)


def variance_with_a_detached_mean(x):
    return mg.mean(mg.square(x - mg.mean(x, axis=1, keepdims=True).detach()), axis=1)


# %% [markdown]
# **A norm over the wrong axis.** The slope of one sample has a length; a penalty averages (length - 1)^2 over
# samples. One norm over the whole batch asks something else of every sample. Both are honest functions, whose
# gradients are right to any order, so no gradcheck can complain. What tells them apart is a case with a known answer:
# for the critic C(x) = x_1 each slope has length 1, and the penalty is 0.


# %%
def penalty(slope, axis):
    return mg.mean(mg.square(mg.sqrt(mg.sum(mg.square(slope), axis=axis) + 1e-12) - 1))


slope_of_one = mg.tensor(np.eye(5)[np.zeros(4, int)])
print(
    f"|slope| = 1 everywhere: penalty per sample {penalty(slope_of_one, 1).item():.3f}, of the whole batch at once "
    f"{penalty(slope_of_one, None).item():.3f} = (sqrt(4) - 1)^2"
)

# %% [markdown]
# **A missing epsilon.** The length of a slope that is zero has no derivative: sqrt(0) gives 0 and then g / 0 = nan,
# and one such sample is enough to destroy every weight. With an epsilon below the root the answer is 0.


# %%
def length(eps):
    return lambda x: mg.sqrt(mg.sum(mg.square(x), axis=1) + eps)


still = mg.tensor(np.vstack([np.zeros((1, 5)), x.numpy()[1:]]))
with np.errstate(all="ignore"):
    for eps in (0.0, 1e-12):
        found = mg.grad(mg.sum(length(eps)(still)), still).numpy()
        print(f"eps {eps:g}: the gradient at the sample with no slope is {found[0]}")

# %% [markdown]
# The figure asks difference quotients about the first two derivatives of each function.


# %%
def errors(f):
    """How far the first and second derivative of f along a direction are from difference quotients, relatively."""
    rng = np.random.default_rng(1)
    c = mg.tensor(rng.normal(0, 1, f(x).shape))
    direction = rng.normal(0, 1, x.shape)
    first = lambda at: float((mg.grad(mg.sum(f(at) * c), at).numpy() * direction).sum())

    def second(at):
        g = mg.grad(mg.sum(f(at) * c), at, create_graph=True)
        return float((mg.grad(mg.sum(g * mg.tensor(direction)), at).numpy() * direction).sum())

    moved = lambda e: mg.tensor(x.numpy() + e * direction)
    value = lambda at: mg.sum(f(at) * c).item()
    found = []
    for claimed, lower in ((first(x), value), (second(x), first)):
        quotient = (lower(moved(1e-5)) - lower(moved(-1e-5))) / 2e-5
        found.append(abs(claimed - quotient) / abs(quotient))
    return found


cases = {
    "variance": variance,
    "with a detached mean": variance_with_a_detached_mean,
    "length, eps 1e-12": length(1e-12),
}
found = {name: errors(f) for name, f in cases.items()}
for name, (first, second) in found.items():
    print(f"{name:24} first derivative off by {first:.0e}, second by {second:.0e}")
figure = Figure(figsize=(7, 3.4), layout="constrained")
axes = figure.add_subplot(yscale="log", ylim=(1e-13, 10), ylabel="off the difference quotient, relatively")
for k, order in enumerate(("first derivative", "second derivative")):
    heights = [max(found[name][k], 2e-13) for name in cases]
    axes.bar(np.arange(len(cases)) + 0.4 * k - 0.2, heights, 0.38, bottom=1e-13, label=order)
axes.set_xticks(range(len(cases)), list(cases))
axes.axhline(1e-5, color="grey", linestyle=":")
axes.legend(fontsize="small")
lesson.figure(figure)

# %% [markdown]
# **Exercise.** This layer norm passes `gradcheck(order=1)`? Try; then mend it, so that order two agrees as well.


# %%
def answer(x):
    centred = x - mg.mean(x, axis=1, keepdims=True)
    return centred / mg.sqrt(variance(x).detach() + 1e-5).reshape(-1, 1)


def check(layer_norm) -> str:
    try:
        mg.testing.gradcheck(layer_norm, x, order=2)
    except mg.errors.GradcheckError as error:
        return str(error)
    right = mg.nn.LayerNorm(5)
    right.to("cpu", "float64")
    return (
        "" if np.allclose(layer_norm(x).numpy(), right(x).numpy()) else "its derivatives agree, its values are others."
    )


lesson.exercise(check, answer)
