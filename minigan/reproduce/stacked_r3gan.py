"""Stacked MNIST with R3GAN's residual networks: what a loss that compares pairs is worth beside one that does not.

The study of losses of Huang et al. 2024 (R3GAN), whose code is not published, at a size for a CPU. Modes are counted as
in `stacked`.
"""

from functools import partial

from .. import models, optim
from ..gan import ScoreGame, Turn, losses, normal_latent, penalties
from ..random import Stream
from . import stacked
from .cell import Cell
from .stacked import MODES
from .table import Column, Figure, Protocol, Row, Table

Z_DIM = 64


def game(given: Cell) -> ScoreGame:
    """The row's game at its start."""
    s = given.settings
    G, D = models.r3gan(28, Z_DIM, channels=3, width=s["width"], blocks=s["blocks"], rng=Stream(given.seed, "weights"))
    G.to(given.device)
    D.to(given.device)
    adam = partial(optim.Adam, lr=s["lr"], betas=(0.0, 0.99))
    return ScoreGame(
        G,
        D,
        loss=losses.LOSSES[s["loss"]],
        latent=normal_latent(Z_DIM),
        generator_optimizer=adam(G.parameters()),
        discriminator_optimizer=adam(D.parameters()),
        schedule=[Turn("shared_turn")],
        penalty=penalties.PENALTIES[s["penalty"]],
        penalty_weight=s["gamma"] / 2,
        ema=optim.EMA(G, s["ema"]),
        seed=given.seed,
    )


SHORT = {
    "data": "mnist",
    "drawn": 0,
    "batch": 64,
    "steps": 5_000,
    "looks": 5,
    "samples": 25_600,
    "width": 8,
    "blocks": 1,
    "pack": 1,
    "loss": "relativistic",
    "penalty": "r1_r2",
    "gamma": 1.0,
    "lr": 1e-3,
    "ema": 0.998,
}
UNLIKE = [
    "networks of 26 000 and 24 000 weights, one block at each size; the paper does not say how large its are",
    "learning rate 1e-3 and gamma 1, which stay as they are, and G's average weights; the paper's settings are unknown",
    "channels are read by the judge that ships; the paper's classifier is another",
]
TABLE = Table(
    name="stacked-r3gan",
    title="Stacked MNIST with R3GAN's networks and losses: modes found of 1000",
    source="Huang et al. 2024, The GAN is dead; long live the GAN, section 2, arXiv:2501.05441",
    about=(
        "The same players, penalties and steps; what differs is whether D is asked how real a sample is, or how much "
        "more real than a fake. Without a pair to compare with, D may put a threshold between all real samples and "
        "all fakes, which leaves G free to gather its samples in few modes."
    ),
    columns=[Column("modes", "modes", ".1f", "high"), Column("kl", "KL", ".3f", "low")],
    rows=[
        Row("RpGAN+R1+R2", {}, {"modes": Figure(MODES), "kl": Figure(0.078)}, "R3GAN's loss"),
        Row(
            "GAN+R1+R2",
            {"loss": "nonsaturating"},
            {"modes": Figure(693), "kl": Figure(0.927, None, "remembered")},
            "the non-saturating loss with the same penalties",
        ),
        Row("RpGAN+R1", {"penalty": "r1"}, {}, "no penalty on fakes; the paper says that it fails", usual=False),
        Row("GAN+R1", {"loss": "nonsaturating", "penalty": "r1"}, {}, "likewise", usual=False),
    ],
    short=Protocol(
        SHORT,
        seeds=3,
        deviations=["5 000 steps of 64 images, three seeds", *UNLIKE],
        takes="a quarter of an hour a seed of each method on one core",
    ),
    full=Protocol(
        {**SHORT, "width": 64, "blocks": 2, "steps": 50_000, "looks": 50, "lr": 2e-4},
        seeds=3,
        deviations=UNLIKE[1:],
        takes="days on two cores, hours on a GPU",
    ),
    trial={"drawn": 60, "batch": 4, "steps": 2, "looks": 2, "samples": 8},
    cell=partial(stacked.cell, make=game),
    pictures=stacked.pictures,
    notes=[
        "R3GAN's authors were asked for this study's code (their issue 23); these are not their networks or settings."
    ],
)
