"""A tape that the tests of `explain` look at, and how they find a value in one."""

import numpy as np

import minigan as mg
from minigan import explain


def penalised(device="cpu"):
    """(tape, critic, real, fake) of a gradient penalty and its gradient, in float64."""
    mg.random.seed(0)
    critic = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Tanh(), mg.nn.Linear(3, 1))
    critic.rename("D")
    critic.to(device, "float64")
    real, fake = (mg.tensor(np.array([[a, b], [b, -a]])).to(device) for a, b in ((0.5, -1.0), (1.5, 0.3)))
    with explain.record() as tape:
        tape.name(real, "real"), tape.name(fake, "fake")
        penalty = mg.gan.penalties.gradient_penalty(critic, real, fake, rng=mg.random.Stream(1))
        mg.grad(tape.name(penalty, "penalty"), critic.parameters())
    return tape, critic, real, fake


def by_name(tape):
    return {value.name: value for value in tape.values}
