"""Stacked MNIST with a weak discriminator: how many of a thousand modes a generator finds, and what helps it.

Unrolled GANs (Metz et al. 2017, table of section 3.3) and PacGAN (Lin et al. 2018, table 3) take the same small
networks, with a discriminator of a quarter or a half of the generator's maps. A mode is a triple of digits, as the
judge that ships reads each channel.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import judge, models, optim, viz
from ..data import Stacks
from ..data.stacked import together
from ..gan import Moves, ScoreGame, Sight, Turn, losses, normal_latent
from ..metrics import class_balance
from ..random import Stream
from .cell import Cell
from .images import curves, keep_samples, learnt, made, moments, note, over_strips, strips
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

Z_DIM = 256
MODES = 1000


def game(given: Cell) -> ScoreGame:
    """The row's game at its start."""
    s = given.settings
    G, D = models.stacked28(
        Z_DIM,
        width=s["width"],
        pack=s["pack"],
        rng=Stream(given.seed, "weights"),
    )
    G.to(given.device)
    D.to(given.device)
    adam = partial(optim.Adam, betas=(0.5, 0.99))
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=normal_latent(Z_DIM),
        generator_optimizer=adam(G.parameters(), s["g_lr"]),
        discriminator_optimizer=adam(D.parameters(), s["d_lr"]),
        schedule=[Turn("shared_turn")],  # both on the same noise, as in PacGAN's code
        sight=Sight(pack=s["pack"]),
        moves=Moves(unroll=s["unroll"]),
        seed=given.seed,
    )


def modes(images: np.ndarray, device: str = "cpu") -> tuple[int, float]:
    """(triples of digits found among stacks (N, 3, 28, 28), KL of their shares from equal ones)."""
    classes = judge.load("digits", device).predict(images.reshape(-1, 1, *images.shape[2:]))
    found = class_balance(together(classes.reshape(len(images), -1)), MODES)
    return found.modes, found.kl


def cell(given: Cell, make: Callable[[Cell], ScoreGame] = game) -> Mapping[str, Value]:
    """Modes and KL, at its end, of the row's game that `make` begins."""
    s = given.settings
    played = make(given)
    values = learnt(s["data"], s["drawn"]).values
    batches = Stacks(values, s["batch"] * s["pack"], seed=given.seed, device=given.device)
    numbers: dict[str, float] = {}
    for step in given.train(played, batches, s["steps"], moments(s["steps"], s["looks"])):
        images = made(played, s["samples"])
        found, kl = modes(images, given.device)
        numbers = {"modes": float(found), "kl": kl}
        note(given, step, **numbers)
        keep_samples(given, images)
    return numbers


def pictures(results: Results, folder: Path) -> list[Picture]:
    """Modes against steps, and samples."""
    shown = strips(results, 22)
    if not shown:
        return []
    figure, both = over_strips(shown, 10, 3.7, columns=2, strip=0.42)
    for axes, name, title in zip(both, ("modes", "kl"), ("modes, of 1000", "KL, nats"), strict=True):
        for k, row in enumerate(results.rows):
            for n, (steps, values) in enumerate(curves(results, row, name)):
                label = "" if n else row.name
                axes.plot(steps, values, "o-", color=f"C{k}", markersize=3, linewidth=1, label=label)
        axes.set_xlabel("steps of the generator")
        axes.set_title(title, fontsize=11)
        axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False)
    path = folder / "modes.png"
    viz.save_figure(figure, path)
    return [Picture(path, "Modes found on the way, a line for each seed, and samples of each method's first seed.")]


# --- the methods --------------------------------------------------------------------------------------------------


def _row(
    name: str, published: Mapping[str, Figure] | None = None, about: str = "", usual: bool = True, **settings: Any
) -> Row:
    return Row(name, settings, published or {}, about, usual)


def _found(modes: float, modes_error: float, kl: float, kl_error: float) -> dict[str, Figure]:
    return {"modes": Figure(modes, modes_error), "kl": Figure(kl, kl_error)}


SHORT = {
    "data": "mnist",
    "drawn": 0,
    "batch": 128,
    "steps": 25_000,
    "looks": 5,
    "samples": 25_600,
    "width": 2,
    "pack": 1,
    "unroll": 0,
    "g_lr": 1e-4,
    "d_lr": 2e-4,
}
UNLIKE = [
    "samples by G's running averages of batch norm; the paper's code samples with each batch's own statistics",
    "the packs of a batch pass through G together, and share its batch norm; there each place of a pack has a pass of "
    "its own",
    "channels are read by the judge that ships; the paper's classifier is another",
]
TABLE = Table(
    name="stacked-mnist",
    title="Stacked MNIST: modes found of 1000",
    source="Lin et al. 2018, PacGAN, table 3, arXiv:1712.04086; Metz et al. 2017, unrolled GANs, arXiv:1611.02163",
    about=(
        "Three random digits are an image's red, green and blue, so that there are a thousand modes. A discriminator "
        "far weaker than the generator is easily satisfied by few of them. Seeing several images at once, or looking "
        "some of its own steps ahead, makes it notice."
    ),
    columns=[Column("modes", "modes", ".1f", "high"), Column("kl", "KL", ".2f", "low")],
    rows=[
        _row("DCGAN", _found(78.5, 17.56, 5.21, 0.19), "D has 2, 4 and 8 maps: a quarter of G's"),
        _row("PacDCGAN2", _found(484.5, 32.99, 2.61, 0.22), "D sees two images at once", pack=2),
        _row("PacDCGAN3", _found(601.3, 32.18, 2.00, 0.17), "D sees three images at once", False, pack=3),
        _row("PacDCGAN4", _found(667.4, 29.00, 1.81, 0.15), "D sees four images at once", pack=4),
        _row(
            "unrolled 1",
            _found(65.4, 34.75, 5.91, 0.14),
            "G's gradient runs through one imagined step of D",
            False,
            unroll=1,
        ),
        _row(
            "unrolled 5",
            _found(236.4, 63.30, 4.67, 0.43),
            "G's gradient runs through five imagined steps of D",
            unroll=5,
        ),
        _row(
            "unrolled 10",
            _found(327.2, 74.67, 4.66, 0.46),
            "G's gradient runs through ten imagined steps of D",
            False,
            unroll=10,
        ),
        _row("DCGAN half", _found(487.7, 34.59, 2.24, 0.15), "D has 4, 8 and 16 maps: a half of G's", False, width=4),
        _row(
            "PacDCGAN2 half", _found(840.7, 15.92, 1.00, 0.05), "that D sees two images at once", False, width=4, pack=2
        ),
        _row(
            "PacDCGAN4 half",
            _found(820.2, 25.50, 1.15, 0.14),
            "that D sees four images at once",
            False,
            width=4,
            pack=4,
        ),
    ],
    short=Protocol(
        SHORT,
        seeds=3,
        deviations=[
            "25 000 steps instead of 500 000, three seeds instead of the fifty runs of the paper's code",
            *UNLIKE,
        ],
        takes="eleven minutes a seed of DCGAN on one core, m times that with packs of m, forty for five unrolled steps",
    ),
    full=Protocol(
        {**SHORT, "steps": 500_000, "looks": 50},
        seeds=50,
        deviations=UNLIKE,
        takes="four hours a seed of DCGAN on one core",
    ),
    trial={"drawn": 60, "batch": 4, "steps": 2, "looks": 2, "samples": 8},
    cell=cell,
    pictures=pictures,
    notes=[
        "The paper's figures of unrolled GANs are those of Metz et al.; its authors' own DCGAN finds 78.5 modes where "
        "Metz et al. found 30.6.",
    ],
)
