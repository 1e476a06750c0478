"""Which loss draws best? The ranking of Lucic et al. 2018 on MNIST and Fashion-MNIST, by our own Frechet distance.

Each loss has the settings of its own paper, as Lucic et al. list them, on the same layers for all but BEGAN's.
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, optim, viz
from ..data import Batches
from ..gan import BEGAN, Moves, ScoreGame, alternate, losses, penalties, uniform_latent
from ..metrics import spearman
from ..random import Stream
from .cell import Cell
from .images import curves, draw_strips, frechet, keep_samples, learnt, made, moments, note, strips
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

SIDE, Z_DIM = 32, 64


def game(given: Cell) -> ScoreGame:
    """The row's game at its start."""
    s = given.settings
    rng = Stream(given.seed, "weights")
    if s["loss"] == "began":
        players = models.began(SIDE, Z_DIM, width=s["width"], rng=rng)
    else:
        norm = None if s["penalty"] else "batch"
        players = models.dcgan(SIDE, Z_DIM, channels=1, width=s["width"], norm=norm, rng=rng)
    G, D = players
    G.to(given.device)
    D.to(given.device)
    make: Any = partial(optim.RMSProp, lr=s["lr"]) if s["clip"] else partial(optim.Adam, lr=s["lr"], betas=s["betas"])
    parts: dict[str, Any] = {
        "latent": uniform_latent(Z_DIM),
        "generator_optimizer": make(G.parameters()),
        "discriminator_optimizer": make(D.parameters()),
        "seed": given.seed,
    }
    if s["loss"] == "began":
        return BEGAN(G, D, gamma=s["gamma"], **parts)
    return ScoreGame(
        G,
        D,
        loss=losses.LOSSES[s["loss"]],
        penalty=penalties.PENALTIES.get(s["penalty"]),
        moves=Moves(clip=s["clip"] or None),
        schedule=alternate(d_steps=s["d_steps"]),
        **parts,
    )


def cell(given: Cell) -> Mapping[str, Value]:
    """The least distance on the way, as Lucic et al. report the best, and the last."""
    s = given.settings
    played = game(given)
    batches = Batches(learnt(s["data"], s["drawn"], SIDE).drawn, s["batch"], seed=given.seed, device=given.device)
    for step in given.train(played, batches, s["steps"], moments(s["steps"], s["looks"])):
        images = made(played, s["samples"])
        note(given, step, frechet=frechet(given, images))
        keep_samples(given, images)
    distance = given.recall("curve")["frechet"]
    return {"best": float(distance.min()), "last": float(distance[-1])}


def agreement(results: Results, data: str) -> tuple[list[Row], np.ndarray, np.ndarray, float]:
    """(the rows of a data set that have a mean, our distances, the paper's, Spearman's correlation of the two).

    The correlation is not a number for fewer than three rows.
    """
    best = results.table.columns[0]
    means = {row.name: results.summary(row, best) for row in results.rows if row.settings["data"] == data}
    rows = [row for row in results.rows if means.get(row.name) is not None]
    ours = np.array([float(mean.value) for row in rows if (mean := means[row.name]) is not None])
    theirs = np.array([float(row.published["fid"].value) for row in rows])
    return rows, ours, theirs, spearman(ours, theirs) if len(rows) > 2 else math.nan


def pictures(results: Results, folder: Path) -> list[Picture]:
    """Our distances against the paper's, the way there, and samples."""
    shown = strips(results, 20)
    sets = [data for data in SETS if any(row.settings["data"] == data for row in results.rows if row.name in shown)]
    if not sets:
        return []
    figure = viz.empty_figure(figsize=(5.4 * len(sets), 8.2 + 0.4 * 7), layout="constrained")
    cells = figure.subfigures(3, len(sets), squeeze=False, height_ratios=[4.1, 3.3, 0.4 * 7])
    for k, data in enumerate(sets):
        rows, ours, theirs, rank = agreement(results, data)
        axes = cells[0, k].subplots()
        axes.scatter(theirs, ours, s=28, c=[f"C{list(LOSSES).index(row.settings['name'])}" for row in rows])
        for row, x, y in zip(rows, theirs, ours, strict=True):
            axes.annotate(row.settings["name"], (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set_xlabel("the paper's FID, Inception's features")
        axes.set_ylabel("ours, the judge's features")
        axes.set_yscale("log")
        told = "" if math.isnan(rank) else f": rank correlation {rank:+.2f}"
        axes.set_title(f"{SETS[data]}{told}", fontsize=10)
        axes = cells[1, k].subplots()
        for row in rows:
            colour = f"C{list(LOSSES).index(row.settings['name'])}"
            for n, (steps, values) in enumerate(curves(results, row, "frechet")):
                axes.plot(steps, values, color=colour, linewidth=1, label="" if n else row.settings["name"])
        axes.set_yscale("log")
        axes.set_xlabel("steps of the generator")
        axes.set_title("our Frechet distance on the way", fontsize=10)
        axes.legend(fontsize=7, frameon=False, ncols=2)
        for each in (cells[0, k].axes[0], axes):
            each.spines[["top", "right"]].set_visible(False)
        here = {row.settings["name"]: shown[row.name] for row in rows if row.name in shown}
        draw_strips(cells[2, k].subplots(max(len(here), 1), 1, squeeze=False)[:, 0], here)
    path = folder / "losses.png"
    viz.save_figure(figure, path)
    return [Picture(path, "Both rankings, our distance on the way, a line for each seed, and samples of the first.")]


# --- the losses ---------------------------------------------------------------------------------------------------

SETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
SLOW: dict[str, Any] = {"lr": 1e-4}
LOSSES: dict[str, tuple[dict[str, Any], tuple[float, float], tuple[float, float]]] = {
    "MM GAN": ({"loss": "minimax"}, (9.8, 0.9), (29.6, 1.6)),
    "NS GAN": ({"loss": "nonsaturating"}, (6.8, 0.5), (26.5, 1.6)),
    "LSGAN": ({"loss": "lsgan"}, (7.8, 0.6), (30.7, 2.2)),
    "WGAN": ({"loss": "wasserstein", "clip": 0.01, "lr": 5e-5, "d_steps": 5}, (6.7, 0.4), (21.5, 1.6)),
    "WGAN-GP": (
        {"loss": "wasserstein", "penalty": "gradient_penalty", "d_steps": 5, "betas": [0.5, 0.9], **SLOW},
        (20.3, 5.0),
        (24.5, 2.1),
    ),
    "DRAGAN": ({"loss": "nonsaturating", "penalty": "dragan", **SLOW}, (7.6, 0.4), (27.7, 1.2)),
    "BEGAN": ({"loss": "began", **SLOW}, (13.1, 1.0), (22.9, 0.9)),
}
"""Each loss: its settings, and the paper's FID on MNIST and on Fashion-MNIST, with their deviations over seeds."""


def _rows() -> list[Row]:
    found = []
    for place, (data, called) in enumerate(SETS.items()):
        for name, (settings, *fids) in LOSSES.items():
            published = {"fid": Figure(*fids[place])}
            found.append(Row(f"{name} on {called}", {**settings, "data": data, "name": name}, published))
    return found


TABLE = Table(
    name="losses",
    title="Seven losses on the same layers",
    source="Lucic et al. 2018, are GANs created equal?, the best FID of each loss, arXiv:1711.10337",
    about=(
        "Given enough tuning, the paper finds, no loss is clearly best. Its distances are in features of Inception, "
        "which are not had here: they stand beside ours as context, to be compared in their order alone."
    ),
    columns=[
        Column("best", "our Frechet, the least", ".1f"),  # of two data sets: no row is best of all
        Column("last", "our Frechet, the last", ".1f"),
        Column("fid", "FID", ".1f", measured=False),
    ],
    rows=_rows(),
    short=Protocol(
        {
            "drawn": 0,
            "batch": 64,
            "steps": 5000,
            "looks": 10,
            "samples": 5000,
            "width": 16,
            "lr": 2e-4,
            "betas": [0.5, 0.999],
            "clip": 0.0,
            "penalty": "",
            "d_steps": 1,
            "gamma": 0.5,
        },
        seeds=3,
        takes="an hour and a half a seed on one core, two data sets together",
        deviations=[
            "one setting for each loss, its own paper's, instead of the best of a hundred; three seeds instead of 50",
            "5000 steps of batches of 64, some five epochs, instead of twenty epochs",
            "DCGAN's layers, of 16 to 128 maps, instead of InfoGAN's; BEGAN's autoencoder at that width",
            "no batch norm in a discriminator whose loss has a penalty",
            "the distance is in the features of a classifier of the same images, not of Inception; ± of the paper is "
            "the deviation over seeds",
        ],
    ),
    full=None,
    trial={"drawn": 60, "batch": 4, "steps": 2, "looks": 1, "samples": 12, "width": 2},
    cell=cell,
    pictures=pictures,
)
