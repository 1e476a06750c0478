# %% [markdown]
# # 8. Second order goes wrong: three mistakes in a penalty
#
# A gradient penalty asks more of a rule than training does. Three mistakes that ordinary training forgives: a rule
# whose gradient is right and whose gradient's gradient is not; a length that has no slope where it is zero; a norm
# over the wrong axis. Nothing crashes (or all of it does, much later). The first two are found by `gradcheck`, the
# third by none: only a case with a known answer finds it.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import viz

lesson = Lesson("08_second_order_goes_wrong")
x = mg.tensor(np.random.default_rng(0).normal(0, 1, (4, 5)))

# %% [markdown]
# **A detached mean.** The variance is mean((x - mean(x))^2). Its derivative with respect to the mean happens to be
# zero, so one may think the mean a constant and cut it off: the gradient stays exact. Its own derivative does not.


# %%
def variance(x, mean=lambda m: m):
    return mg.mean(mg.square(x - mean(mg.mean(x, axis=1, keepdims=True))), axis=1)


def with_a_detached_mean(x):
    return variance(x, lambda m: m.detach())


# %% [markdown]
# **A missing epsilon.** The length of a slope that is zero has no derivative: sqrt has an infinite one at 0, times 0 is
# nan, and one such sample is enough to destroy every weight. With an epsilon below the root the answer is 0.


# %%
def length(eps):
    return lambda x: mg.sqrt(mg.sum(mg.square(x), axis=1) + eps)


still = mg.tensor(np.vstack([np.zeros((1, 5)), x.numpy()[1:]]))
with np.errstate(all="ignore"):
    for eps in (0.0, 1e-12):
        found = mg.grad(mg.sum(length(eps)(still)), still).numpy()
        print(f"eps {eps:g}: the gradient at the sample with no slope is {found[0]}")


# %% [markdown]
# **A norm over the wrong axis.** Each sample's slope has a length, and the penalty averages (length - 1)^2 over
# samples. One norm of the whole batch is an honest function too, and its derivatives are right to any order. But for
# the critic C(x) = x_1 each slope has length 1, and the penalty has to be 0.


# %%
def penalty(slope, axis):
    return mg.mean(mg.square(mg.sqrt(mg.sum(mg.square(slope), axis=axis) + 1e-12) - 1)).item()


batches = (1, 4, 16, 64)
slopes = [mg.tensor(np.eye(5)[np.zeros(n, int)]) for n in batches]
per_sample, at_once = ([penalty(slope, axis) for slope in slopes] for axis in (1, None))
print(f"4 slopes of length 1: penalty per sample {per_sample[1]:.3f}, of the batch at once {at_once[1]:.3f}")


# %% [markdown]
# The figure, left: difference quotients asked about the first and the second derivative. Right: the wrong axis.


# %%
def errors(f):
    """How far the first and second derivative of f along a direction are from difference quotients, relatively."""
    c, direction = np.random.default_rng(1).normal(0, 1, 4), np.random.default_rng(2).normal(0, 1, x.shape)
    value = lambda at: mg.sum(f(at) * mg.tensor(c))
    first = lambda at: mg.sum(mg.grad(value(at), at, create_graph=True) * mg.tensor(direction))
    second = lambda at: mg.sum(mg.grad(first(at), at) * mg.tensor(direction))
    moved = lambda f, e: f(mg.tensor(x.numpy() + e * direction)).item()
    quotients = [(moved(f, 1e-5) - moved(f, -1e-5)) / 2e-5 for f in (value, first)]
    return [abs(claim(x).item() - q) / abs(q) for claim, q in zip((first, second), quotients, strict=True)]


cases = {"variance": variance, "detached mean": with_a_detached_mean, "length": length(1e-12)}
figure = viz.empty_figure(figsize=(10, 3.4), layout="constrained")
axes = figure.add_subplot(1, 2, 1, yscale="log", ylim=(1e-13, 10), title="off the difference quotient, relatively")
for k, (name, f) in enumerate(cases.items()):
    found = errors(f)
    print(f"{name:14} first derivative off by {found[0]:.0e}, second by {found[1]:.0e}")
    axes.bar([k - 0.2, k + 0.2], np.maximum(found, 2e-13), 0.38, color=["tab:blue", "tab:orange"])
axes.set_xticks(range(len(cases)), list(cases))
axes.bar(0, 0, color="tab:blue", label="first derivative")
axes.bar(0, 0, color="tab:orange", label="second")
axes.legend(fontsize="small")
axes = figure.add_subplot(1, 2, 2, xscale="log", xlabel="samples in the batch", title="penalty where each slope is 1")
axes.plot(batches, per_sample, "o-", label="a norm for each sample")
axes.plot(batches, at_once, "s-", label="one norm of the whole batch")
axes.legend(fontsize="small")
lesson.figure(figure)


# %% [markdown]
# **Exercise.** This squared distance from the batch's middle passes `gradcheck(order=1)` and fails order two. Mend it.


# %%
def answer(x):
    return mg.sum(mg.square(x - mg.mean(x, axis=0).detach()))


def check(spread) -> str:
    mg.testing.gradcheck(spread, x, order=1)
    try:
        mg.testing.gradcheck(spread, x, order=2)
    except mg.errors.GradcheckError as error:
        return str(error)
    right = float(np.square(x.numpy() - x.numpy().mean(0)).sum())
    return "" if np.isclose(spread(x).item(), right) else "its derivatives agree, its value is another."


lesson.exercise(check, answer)
