# %% [markdown]
# # 5. The Dirac-GAN: which methods converge
#
# The smallest GAN there is (Mescheder et al. 2018): the data is the point 0, the generator the point theta, the
# discriminator the line psi x. Both ought to end at 0. Where they go is a field of arrows in the plane, and near (0, 0)
# its Jacobian decides: eigenvalues with a negative real part pull inwards, imaginary ones only turn. Each has a closed
# form; here the library differentiates the losses twice and finds the same numbers.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import viz
from minigan.gan import losses, penalties

lesson = Lesson("05_the_dirac_gan")


# %%
def field(theta, psi, loss=losses.nonsaturating, r1=0.0, noise=0.0):
    """(-dLg/dtheta, -dLd/dpsi): where each player goes, as a graph that can be differentiated again."""
    offsets = mg.tensor(np.array([[noise], [-noise]]))  # points with exactly this variance
    theta_moves, psi_moves = mg.tensor(np.zeros(())), mg.tensor(np.zeros(()))  # each takes the other as given
    real, fake = offsets, mg.reshape(theta + theta_moves, (1, 1)) + offsets
    critic = lambda x: x * (psi + psi_moves)
    d_loss = loss.discriminator(critic(real), critic(fake))
    if r1:
        d_loss = d_loss + 0.5 * r1 * penalties.r1(critic, real, fake)
    g_loss = loss.generator(critic(fake), critic(real))
    return -mg.grad(g_loss, theta_moves, create_graph=True), -mg.grad(d_loss, psi_moves, create_graph=True)


def consensus(theta, psi, gamma):
    """The field, less gamma times the slope of half its squared length (Mescheder et al. 2017)."""
    v = field(theta, psi)
    pull = mg.grad(0.5 * (v[0] * v[0] + v[1] * v[1]), [theta, psi], create_graph=True)
    return v[0] - gamma * pull[0], v[1] - gamma * pull[1]


def eigenvalues(f):
    """Of the Jacobian of the field f at (0, 0)."""
    at = [mg.tensor(np.zeros(())) for _ in range(2)]
    return np.linalg.eigvals(np.array([[slope.item() for slope in mg.grad(v, at)] for v in f(*at)]))


root = lambda x: np.sqrt(complex(x))
methods = {  # the field, and its eigenvalues in closed form
    "non-saturating": (lambda *x: field(*x), (root(-1 / 4), -root(-1 / 4))),
    "Wasserstein": (lambda *x: field(*x, loss=losses.wasserstein), (1j, -1j)),
    "R1, gamma 0.5": (lambda *x: field(*x, r1=0.5), (-1 / 4 + root(-3 / 16), -1 / 4 - root(-3 / 16))),
    "R1, gamma 2": (lambda *x: field(*x, r1=2.0), (-1 + root(3 / 4), -1 - root(3 / 4))),
    "instance noise 1": (lambda *x: field(*x, noise=1.0), (-1 / 4 + root(-3 / 16), -1 / 4 - root(-3 / 16))),
    "consensus 1": (lambda *x: consensus(*x, 1.0), (-1 / 4 + 0.5j, -1 / 4 - 0.5j)),
}
for name, (f, closed) in methods.items():
    found = sorted(eigenvalues(f), key=lambda v: (v.imag, v.real))
    expected = sorted(closed, key=lambda v: (v.imag, v.real))
    print(
        f"{name:18} " + "  ".join(f"{v:.6f}" for v in found),
        " closed form off by",
        f"{max(map(abs, np.subtract(found, expected))):.0e}",
    )

# %% [markdown]
# Training takes steps, it does not follow arrows. Alternating steps keep a pure rotation a rotation; simultaneous ones
# turn it into an outward spiral. So the Wasserstein GAN circles for ever, although its losses are those of the theory:
# the theory takes the critic to be optimal at each moment. The non-saturating one closes in ever more slowly, for its
# arrows near the middle only turn.


# %%
def path(f, steps, h=0.2):
    """Alternating steps from (1, 1): psi moves, then theta sees where it went."""
    at, seen = np.array([1.0, 1.0]), []
    for _ in range(steps):
        seen.append(at.copy())
        at[1] += h * f(*map(mg.tensor, at))[1].item()
        at[0] += h * f(*map(mg.tensor, at))[0].item()
    return np.array(seen)


ticks = np.linspace(-1.6, 1.6, 5 if lesson.dry_run else 13)
figure = viz.empty_figure(figsize=(10, 6.6), layout="constrained")
for k, (name, (f, _)) in enumerate(methods.items()):
    axes = figure.add_subplot(2, 3, k + 1, title=name, xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")
    arrows = np.array([[[v.item() for v in f(mg.tensor(t), mg.tensor(p))] for t in ticks] for p in ticks])
    lengths = np.linalg.norm(arrows, axis=2, keepdims=True) + 1e-9
    axes.quiver(ticks, ticks, *np.moveaxis(arrows / lengths**0.6, 2, 0), color="#9aa5b1", pivot="mid")
    way = path(f, lesson.steps(150))
    axes.plot(*way.T, ".-", color="tab:orange", markersize=3, linewidth=0.8)
    axes.plot(0, 0, "k+", markersize=12)
    axes.set(xlabel="theta" if k > 2 else "", ylabel="psi" if k % 3 == 0 else "")
    print(f"{name:18} after {len(way)} steps {np.linalg.norm(way[-1]):.4f} from the equilibrium")
lesson.figure(figure)

# %% [markdown]
# **Exercise.** With R1 the eigenvalues are -gamma/2 +- sqrt(gamma^2/4 - 1/4). Which gamma brings the slower of the two
# as far inwards as it can come (and makes the field turn no more)?

# %%
answer = 0.5


def check(gamma: float) -> str:
    found = eigenvalues(lambda *x: field(*x, r1=float(gamma)))
    slowest = max(found.real)
    return "" if slowest < -0.499 else f"at {gamma:g} the slower one has a real part of {slowest:.3f}; it can be lower."


lesson.exercise(check, answer)
