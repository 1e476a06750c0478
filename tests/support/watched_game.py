"""A small game whose discriminator remembers what it was shown."""

import minigan as mg
from minigan.gan import ScoreGame, losses


class Watched(mg.nn.Module):
    """A critic that remembers what it was shown."""

    def __init__(self):
        self.linear, self.seen = mg.nn.Linear(64, 1), []

    def forward(self, x):
        self.seen.append(x)
        return self.linear(mg.tanh(x.reshape(len(x), -1)))


def game(schedule=None, loss=losses.nonsaturating, **options):
    """A game of images of 8x8 pixels in float64, which is played and not replayed."""
    mg.random.seed(1)
    G = mg.nn.Sequential(mg.nn.Linear(3, 64), mg.nn.Tanh(), mg.nn.Unflatten(1, (1, 8, 8))).to(dtype="float64")
    D = Watched().to(dtype="float64")
    made = ScoreGame(
        *(G, D),
        loss=loss,
        latent=mg.gan.normal_latent(3, dtype="float64"),
        generator_optimizer=mg.optim.SGD(G.parameters(), 1.0),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 1.0),
        schedule=schedule,
        **options,
    )
    made.graphs = False
    return made
