"""A run that takes milliseconds, and what its folder holds afterwards."""

import csv

import minigan as mg
from minigan import training
from minigan.gan import ScoreGame, losses, uniform_latent
from minigan.training import checkpoint


def build(settings):
    """A game small enough to train in milliseconds."""
    mg.random.seed(settings.seed)
    G = mg.nn.Sequential(mg.nn.Linear(4, 784), mg.nn.BatchNorm1d(784), mg.nn.Tanh(), mg.nn.Unflatten(1, (1, 28, 28)))
    D = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(784, 8), mg.nn.Dropout(0.2), mg.nn.Linear(8, 1))
    G.to(settings.device)
    D.to(settings.device)
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(4),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
        seed=settings.seed,
        ema=mg.optim.EMA(G, 0.9),
    )


def settings(out, **options):
    return training.Settings(**{"name": "tiny", "out": str(out), "epochs": 3, "batch_size": 16, **options})


def rows(folder):
    with (folder / "log.csv").open() as lines:
        return list(csv.DictReader(lines))


def newest(folder):
    return checkpoint.load(checkpoint.find(folder / "checkpoints")[-1])[0]


def without_clock(folder):
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows(folder)]
