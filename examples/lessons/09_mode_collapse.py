# %% [markdown]
# # 9. Mode collapse on a ring, and what helps
#
# Eight Gaussians on a ring. The generator's first samples are one point; it moves to where the discriminator says
# "real", which is a mode; the discriminator learns to say no there; the generator moves on, to the next. It never has a
# reason to be in two places at once: at each moment one point is best, and where all its samples are the same, the
# slope that it gets is the same for all.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import data, viz
from minigan.gan import Moves, ScoreGame, Sight, losses, normal_latent, penalties
from minigan.metrics import mode_coverage

lesson = Lesson("09_mode_collapse")
centres, STD = data.ring_centres(), 0.05

# %% [markdown]
# Three ways out:
#
# - **unrolling** (Metz et al. 2017): G looks at the score that D will give after five more steps of its own, through
#   whose updates the gradient flows. Jumping to a mode does not pay, for D would follow.
# - **packing** (Lin et al. 2018): D sees two samples at once; two fakes from one mode are no pair of real ones.
# - **R1** (Mescheder et al. 2018): a penalty on D's slope at real points; it damps the circling of lesson 5. Here D is
#   the slower player, so that it is not the cure.


# %%
def game(pack=1, unroll=0, **remedy):
    mg.random.seed(0)
    G, D = mg.models.mlp2d(16, pack=pack, generator_std=0.02)
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=normal_latent(16),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 5e-4, (0.5, 0.999)),
        sight=Sight(pack=pack),
        moves=Moves(unroll=unroll),
        seed=0,
        **remedy,
    )


remedies = {
    "nothing": game(),
    "unroll 5": game(unroll=5),
    "pack 2": game(pack=2),
    "R1": game(penalty=penalties.r1, penalty_weight=1.0),
}

# %% [markdown]
# Each plays 1 600 rounds on the same points. A sample is good within three deviations of a mode; reverse KL compares
# the modes' shares with equal ones: 0 at best, ln 8 = 2.08 if all is in one.

# %%
points = data.gaussians_ring(50_000, std=STD, seed=0)[0]
rounds = lesson.steps(1600)
drawn = []
for name, played in remedies.items():
    batches = data.shuffled_batches(points, 128, seed=0)
    for k in range(1, rounds + 1):
        played.play(batches)
        if k in (rounds // 2, 3 * rounds // 4, rounds):
            samples = played.sample(2500).numpy()
            found = mode_coverage(samples, centres, STD)
            note = f"{found.modes} modes, {found.good:.0%} good, KL {found.reverse_kl:.2f}"
            clouds = {"real": points[:800], "generated": samples[:500]}
            drawn.append(viz.Panel(f"{name}, round {k}", clouds, (-2.8, 2.8, -2.8, 2.8), note=note))
    shares = np.sort(mode_coverage(samples, centres, 1.0).histogram / len(samples))[::-1]
    print(f"{name:9} {note}; the two fullest modes have {shares[:2].sum():.0%} of the samples")

# %% [markdown]
# Look at the first row from left to right: the plain GAN's samples gather at a few modes, in opposite pairs, and not
# at the same ones each time. (Opposite, because a tanh network whose biases have hardly moved is nearly odd: G(-z) is
# about -G(z).) Unrolled, they are everywhere. Packed, they are spread too, and less sharp.

# %%
lesson.figure(viz.panel_figure(drawn, columns=3, size=2.2))

# %% [markdown]
# **Exercise.** Write `answer(samples)`, which tells collapse from samples alone, without knowing the modes: a number
# that is larger for varied samples. (D's loss does not tell: it is how far D is ahead, not how much G has covered.)


# %%
def answer(samples: np.ndarray) -> float:
    return 0.0


def check(diversity) -> str:
    rng = np.random.default_rng(0)
    at = lambda modes: centres[rng.choice(modes, 500)] + rng.normal(0, STD, (500, 2))
    values = [diversity(at(list(modes))) for modes in ([0], [0, 4], [0, 2, 4, 6], range(8))]
    shown = ", ".join(f"{value:.3g}" for value in values)
    return "" if values == sorted(set(values)) else f"for 1, 2, 4 and 8 modes it gives {shown}: it should rise."


lesson.exercise(check, answer)
