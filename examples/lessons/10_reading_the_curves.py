# %% [markdown]
# # 10. Reading the curves: what the losses of a GAN mean
#
# In other learning a falling loss is good news. In a GAN each loss depends on the other player: G's falls because G got
# better, or because D got worse. What each can tell is where it *stands*: at equilibrium, samples and data alike, the
# best D says the same everywhere, and its loss has a known value.
#
# | loss | D's loss at equilibrium | what else it says |
# |---|---|---|
# | non-saturating | 2 ln 2 = 1.386 | far below: D wins, G's gradients are noise; G's own loss is then large |
# | least squares | 1/4 (each half 1/2 (1/2)^2) | likewise |
# | hinge | 2 | likewise |
# | Wasserstein, with a penalty | 0 | -D's loss estimates the distance of samples and data: it *falls* as G learns |

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import data, viz
from minigan.gan import ScoreGame, alternate, losses, normal_latent, penalties
from minigan.metrics import median_filter, spearman

lesson = Lesson("10_reading_the_curves")
points = data.curve("quadratic", 20_000, seed=0)
points = ((points - points.mean(0)) / points.std(0)).astype(np.float32)


# %% [markdown]
# Four games on points of a parabola, and beside each loss the truth: the sliced Wasserstein distance of 2 000 samples,
# the mean over 50 directions of the exact distance along one.


# %%
def truth(samples):
    directions = np.random.default_rng(1).normal(0, 1, (2, 50))
    directions /= np.linalg.norm(directions, axis=0)
    ours, theirs = (np.sort(x @ directions, axis=0) for x in (samples, points[:2000]))
    return float(abs(ours - theirs).mean())


def game(loss, d_steps=1, **bound):
    mg.random.seed(0)
    G, D = mg.models.mlp2d(4, width=64, activation=lambda: mg.nn.LeakyReLU(0.2))
    betas = (0.0, 0.9) if bound else (0.5, 0.999)
    g, d = (mg.optim.Adam(player.parameters(), 1e-3, betas) for player in (G, D))
    parts = {"loss": loss, "latent": normal_latent(4), "schedule": alternate(d_steps=d_steps)}
    return ScoreGame(G, D, generator_optimizer=g, discriminator_optimizer=d, **parts, **bound)


bound = {"penalty": penalties.gradient_penalty, "penalty_weight": 1.0, "d_steps": 5}
games = {
    "non-saturating": (game(losses.nonsaturating), 2 * np.log(2)),
    "least squares": (game(losses.lsgan), 0.25),
    "hinge": (game(losses.hinge), 2.0),
    "Wasserstein": (game(losses.wasserstein, **bound), 0.0),
}

# %%
rounds, every = lesson.steps(1500), 25
figure = viz.empty_figure(figsize=(11, 6), layout="constrained")
for k, (name, (played, equilibrium)) in enumerate(games.items()):
    batches = data.shuffled_batches(points, 128, seed=0)
    d_loss, g_loss, quality = [], [], []
    for step in range(rounds):
        shown = played.play(batches)
        d_loss.append(shown["d_loss"].item())
        g_loss.append(shown["g_loss"].item())
        if step % every == 0:
            quality.append(truth(played.sample(2000).numpy()))
    smooth = median_filter(np.array(d_loss), 51 if rounds > 51 else 1)
    axes = figure.add_subplot(2, 2, k + 1, title=name, xlabel="round" if k > 1 else "")
    axes.plot(smooth, color="tab:blue", label="D's loss")
    axes.plot(median_filter(np.array(g_loss), 51 if rounds > 51 else 1), color="tab:grey", label="G's loss")
    axes.axhline(equilibrium, color="tab:blue", linestyle=":", label=f"D's at equilibrium: {equilibrium:.3g}")
    other = axes.twinx()
    other.plot(np.arange(0, rounds, every), quality, color="tab:orange")
    other.set(ylim=(0, None), ylabel="distance to the data" if k % 2 else "")
    if k == 0:
        axes.plot([], [], color="tab:orange", label="distance to the data (right)")
        axes.legend(fontsize="small")
    curves = {"-D's loss": -smooth, "G's loss": np.array(g_loss)}
    told = {
        what: spearman(curve[::every], np.array(quality)) if rounds > every else 0.0 for what, curve in curves.items()
    }
    print(f"{name}: distance {quality[0]:.2f} to {quality[-1]:.3f}; D's loss ends at {smooth[-1]:.2f}")
    print(
        "    rank correlation with the distance: " + ", ".join(f"{what} {value:+.2f}" for what, value in told.items())
    )
lesson.figure(figure)

# %% [markdown]
# On a curve this easy each D's loss comes to its equilibrium as the samples arrive. But only the Wasserstein one says
# how far there is to go; the others would stand there as well for a G that is merely as bad as its D is. Images are
# where that shows: `python examples/wasserstein_curve.py`. And G's loss of the Wasserstein game drifts: a critic has no
# zero.
#
# How to tell that training works: D's loss stands near its equilibrium and not at 0; samples of a *fixed* noise change
# and get better, and different noise gives different samples; a Wasserstein estimate falls. How to tell that it does
# not: D's loss near 0 and G's growing (D has won: weaken D, or penalise it); all samples alike (lesson 9); a
# Wasserstein estimate that is negative or jumps (the critic is not near its optimum: more critic steps).
#
# **Exercise.** Non-saturating, no penalty. D scores every real sample +3 and every fake -3. What are D's loss and G's
# loss? (Then D has won, and this is how it looks.)

# %%
answer = {"d_loss": 1.386, "g_loss": 0.693}


def check(answer: dict[str, float]) -> str:
    real, fake = mg.full((8, 1), 3.0), mg.full((8, 1), -3.0)
    loss = losses.nonsaturating
    right = {"d_loss": loss.discriminator(real, fake).item(), "g_loss": loss.generator(fake).item()}
    wrong = [name for name, value in right.items() if abs(answer[name] - value) > 0.01]
    return f"{' and '.join(wrong)}: not right yet (two digits will do)." if wrong else ""


lesson.exercise(check, answer)
