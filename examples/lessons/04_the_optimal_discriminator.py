# %% [markdown]
# # 4. The optimal discriminator, and what it can tell
#
# For a fixed generator the best discriminator is D(x) = p(x) / (p(x) + q(x)), p the density of the data and q that of
# the samples. With it, D's loss is 2 ln 2 - 2 JS(p, q): the generator descends the Jensen-Shannon divergence. That is a
# fine thing to descend while p and q overlap. Where they do not, it is ln 2 however far apart they are.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import viz
from minigan.gan import losses, penalties

lesson = Lesson("04_the_optimal_discriminator")
rng = np.random.default_rng(0)


# %% [markdown]
# Train a discriminator between N(-1, 1) and N(1, 1), and compare it with the best one.


# %%
def normal(x, mean):
    return np.exp(-((x - mean) ** 2) / 2) / np.sqrt(2 * np.pi)


mg.random.seed(0)
D = mg.nn.Sequential(mg.nn.Linear(1, 32), mg.nn.Tanh(), mg.nn.Linear(32, 1))
optimizer, history = mg.optim.Adam(D.parameters(), 1e-2), []
for _ in range(lesson.steps(1000)):
    real, fake = (mg.tensor(rng.normal(mean, 1, (256, 1)).astype(np.float32)) for mean in (-1, 1))
    loss = losses.minimax.discriminator(D(real), D(fake))
    optimizer.step(mg.grad(loss, D.parameters()))
    history.append(loss.item())
x = np.linspace(-5, 5, 201)
p, q = normal(x, -1), normal(x, 1)
learned = mg.sigmoid(D(mg.tensor(x[:, None].astype(np.float32)))).numpy().ravel()
js = 0.5 * np.trapezoid(p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)), x)
print(f"for |x| < 3 the learned D is at most {abs(learned - p / (p + q))[abs(x) < 3].max():.3f} from p / (p + q)")
print(f"its loss, over the last steps: {np.mean(history[-300:]):.3f}; 2 ln 2 - 2 JS = {2 * np.log(2) - 2 * js:.3f}")

# %% [markdown]
# Now two parallel lines in the plane: the data at x = 0, the samples at x = theta, both with y uniform on [0, 1]. At
# theta = 0 they are the same and every distance is 0. At any other theta nothing overlaps: KL(p, q), which asks how
# likely q finds p's points, is infinite, and JS is ln 2, near or far: neither has a slope to descend. The Wasserstein
# distance, the mean way that p's points have to go, is |theta|. A discriminator finds the one; a critic whose slope a
# penalty keeps at 1 the other.


# %%
def estimate(theta, loss, weight):
    """What a small network finds between the two lines; `weight` is that of its gradient penalty."""
    mg.random.seed(1)
    C = mg.nn.Sequential(mg.nn.Linear(2, 32), mg.nn.LeakyReLU(0.2), mg.nn.Linear(32, 1))
    optimizer = mg.optim.Adam(C.parameters(), 1e-2, (0.0, 0.9))
    for k in range(lesson.steps(300)):
        heights = rng.uniform(0, 1, (2, 64)).astype(np.float32)
        lines = [np.stack([np.full(64, at, np.float32), h], 1) for at, h in zip((0, theta), heights, strict=True)]
        real, fake = map(mg.tensor, lines)
        found = loss.discriminator(C(real), C(fake))
        bound = weight * penalties.gradient_penalty(C, real, fake, rng=mg.random.Stream(k)) if weight else 0.0
        optimizer.step(mg.grad(found + bound, C.parameters()))
    return -found.item() if weight else np.log(2) - found.item() / 2


thetas = np.linspace(-1, 1, 3 if lesson.dry_run else 9)
by_js = [estimate(theta, losses.minimax, 0.0) for theta in thetas]
by_w = [estimate(theta, losses.wasserstein, 10.0) for theta in thetas]
for theta, j, w in zip(thetas, by_js, by_w, strict=True):
    print(f"theta {theta:+.2f}: JS found {j:.3f} of {np.log(2):.3f}, Wasserstein {w:.3f} of {abs(theta):.2f}")

# %%
figure = viz.empty_figure(figsize=(10, 3.6), layout="constrained")
axes = figure.add_subplot(1, 2, 1, xlabel="x", title="D between two Gaussians")
axes.plot(x, p, color="grey", label="p and q")
axes.plot(x, q, color="grey")
axes.plot(x, p / (p + q), "k--", label="p / (p + q)")
axes.plot(x, learned, color="tab:blue", label="learned")
axes.legend(fontsize="small")
axes = figure.add_subplot(1, 2, 2, xlabel="theta", title="two parallel lines, theta apart")
axes.plot(thetas, by_js, "o", color="tab:blue", label="JS, found and true")
axes.plot([-1, 0, 0, 0, 1], np.log(2) * np.array([1, 1, 0, 1, 1]), color="tab:blue", alpha=0.4)
axes.plot(thetas, by_w, "s", color="tab:orange", label="Wasserstein distance, found and true")
axes.plot([-1, 0, 1], [1, 0, 1], color="tab:orange", alpha=0.4)
axes.legend(fontsize="small")
lesson.figure(figure)

# %% [markdown]
# **Exercise.** p = (1/2, 1/2, 0) and q = (0, 1/2, 1/2) on three points, one apart. Give JS (in nats) and the
# Wasserstein distance.

# %%
answer = {"js": 0.0, "wasserstein": 0.0}


def check(answer: dict[str, float]) -> str:
    p, q = np.array([0.5, 0.5, 0]), np.array([0, 0.5, 0.5])
    half = lambda a: np.sum(a[a > 0] * np.log(2 * a[a > 0] / (p + q)[a > 0])) / 2
    right = {"js": half(p) + half(q), "wasserstein": np.abs(np.cumsum(p - q)).sum()}
    wrong = [name for name, value in right.items() if abs(answer[name] - value) > 1e-3]
    return f"{' and '.join(wrong)}: not right yet (three digits will do)." if wrong else ""


lesson.exercise(check, answer)
