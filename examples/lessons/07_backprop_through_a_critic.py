# %% [markdown]
# # 7. Backprop through a critic, by hand and by minigan
#
# The critic C(x) = v . tanh(W x + b), one point x. The penalty is P = (|dC/dx| - 1)^2. Training needs dP/dW, dP/db
# and dP/dv: derivatives of something that is made of a derivative. By hand it takes two walks. The first goes from C
# back to x; everything it computes is then a formula like any other, and the second walk goes from P back through
# that formula.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg

lesson = Lesson("07_backprop_through_a_critic")
rng = np.random.default_rng(3)
W, b, v, x = rng.normal(0, 1, (3, 2)), rng.normal(0, 1, 3), rng.normal(0, 1, 3), rng.normal(0, 1, 2)

# %% [markdown]
# **Forward:** a = W x + b, h = tanh(a), C = v . h
#
# **First backward:** dC/dh = v, and d tanh(a)/da = 1 - h^2, so with s = v (1 - h^2), element by element,
# dC/da = s and dC/dx = W^T s. Call that slope g.
#
# **Forward again:** n = |g|, P = (n - 1)^2

# %%
h = np.tanh(W @ x + b)
s = v * (1 - h**2)
g = W.T @ s
n = np.sqrt(g @ g)
P = (n - 1) ** 2
print(f"C = {v @ h:.6f}, dC/dx = {g}, n = {n:.6f}, P = {P:.6f}")

# %% [markdown]
# **Second backward**, from P: dP/dn = 2 (n - 1), dn/dg = g / n. So u = dP/dg = 2 (n - 1) g / n.
#
# - g = W^T s is used with W: dP/dW gets s u^T, and with s: dP/ds = W u.
# - s = v (1 - h^2): dP/dv = (1 - h^2) dP/ds, and dP/dh = -2 v h dP/ds.
# - h = tanh(a), in the *forward* pass: dP/da = (1 - h^2) dP/dh. Here the second walk leaves the first one and goes on
#   through the network itself.
# - a = W x + b: dP/db = dP/da, and W gets a *second* contribution, dP/da x^T. W was used twice.

# %%
u = 2 * (n - 1) * g / n
ds = W @ u
da = (1 - h**2) * (-2 * v * h * ds)
by_hand = {"W": np.outer(s, u) + np.outer(da, x), "b": da, "v": (1 - h**2) * ds}

# %% [markdown]
# The same by minigan, in two lines: one for each walk.

# %%
tensors = {name: mg.tensor(value) for name, value in {"W": W, "b": b, "v": v, "x": x}.items()}
with mg.explain.record() as tape:
    Wt, bt, vt, xt = (tape.name(tensor, name) for name, tensor in tensors.items())
    score = tape.name(mg.sum(vt * mg.tanh(Wt @ xt + bt)), "C")
    slope = mg.grad(score, xt, create_graph=True)  # the first walk
    penalty = tape.name(mg.square(mg.sqrt(mg.sum(slope * slope)) - 1), "P")
    by_minigan = mg.grad(penalty, [Wt, bt, vt])  # the second
for (name, ours), theirs in zip(by_hand.items(), by_minigan, strict=True):
    print(f"dP/d{name}: by hand and by minigan {abs(ours - theirs.numpy()).max():.0e} apart")

# %% [markdown]
# The tape shows where the purple walk goes: through the orange one, and at h into the blue one. What it reads there
# must still be in memory, as it was: that is what a penalty costs.

# %%
tape.print()
print(tape.summary())
lesson.figure(tape.figure())

# %% [markdown]
# **Exercise.** For leaky ReLU instead of tanh, s = v m with m = 1 where a > 0, else 0.2. What are dP/db and the second
# contribution to dP/dW? Write `answer(W, b, v, x)`, which gives (dP/dW, dP/db, dP/dv).


# %%
def answer(W, b, v, x):
    m = np.where(W @ x + b > 0, 1.0, 0.2)
    g = W.T @ (v * m)
    u = 2 * (np.sqrt(g @ g) - 1) * g / np.sqrt(g @ g)
    return np.outer(v * m, u), m * (W @ u), m * (W @ u)


def check(answer) -> str:
    Wt, bt, vt, xt = map(mg.tensor, (W, b, v, x))
    slope = mg.grad(mg.sum(vt * mg.leaky_relu(Wt @ xt + bt, 0.2)), xt, create_graph=True)
    right = mg.grad(mg.square(mg.sqrt(mg.sum(slope * slope)) - 1), [Wt, bt, vt])
    names = ("dP/dW", "dP/db", "dP/dv")
    wrong = [k for k, a, r in zip(names, answer(W, b, v, x), right, strict=True) if abs(a - r.numpy()).max() > 1e-9]
    return f"{' and '.join(wrong)}: not right yet." if wrong else ""


lesson.exercise(check, answer)
