"""Does a loss tell how good samples are? Figures 3 and 4 of the WGAN paper (Arjovsky et al. 2017) on MNIST.

Each game is looked at now and then: what its discriminator estimates, what the generator's cost is, and how far its
samples are from held-out images in a classifier's features. Rank correlations say which curves fall together.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import models, optim, viz
from ..data import Batches, scaled
from ..gan import Moves, ScoreGame, Turn, alternate, losses, normal_latent
from ..gan.rehearsal import rehearsal
from ..metrics import spearman
from ..random import Stream
from ..recording import no_grad
from ..tensor import tensor
from .cell import Cell
from .images import curves, draw_strips, frechet, keep_samples, learnt, made, moments, note, strips
from .results import Results
from .table import Column, Picture, Protocol, Row, Table, Value

SIDE, Z_DIM = 32, 100
ASKED = 512  # images and samples by which a discriminator's estimate is taken


def game(given: Cell, batches: Batches) -> ScoreGame:
    """The row's game at its start; a critic has already learnt against the generator as it is."""
    s = given.settings
    rng = Stream(given.seed, "weights")
    D = models.dcgan(SIDE, Z_DIM, channels=1, width=s["width"], rng=rng).discriminator
    make = models.mlp512 if s["generator"] == "mlp" else models.dcgan
    G = make(SIDE, Z_DIM, channels=1, width=s["width"], rng=rng).generator
    G.to(given.device)
    D.to(given.device)
    wasserstein = s["loss"] == "wasserstein"
    parts: dict = {
        "loss": losses.LOSSES[s["loss"]],
        "latent": normal_latent(Z_DIM),
        "moves": Moves(clip=s["clip"] if wasserstein else None),
        "generator_optimizer": _optimizer(G, s, wasserstein),
        "discriminator_optimizer": _optimizer(D, s, wasserstein),
        "seed": given.seed,
    }
    if wasserstein:
        alone = ScoreGame(G, D, **parts, schedule=[Turn("discriminator_turn")])
        for _ in range(s["warm_up"]):
            alone.play(batches)
    return ScoreGame(G, D, **parts, schedule=alternate(d_steps=s["d_steps"] if wasserstein else 1))


def _optimizer(player: object, s: Mapping, wasserstein: bool) -> optim.Optimizer:
    params = player.parameters()  # type: ignore[attr-defined]
    return optim.RMSProp(params, s["lr"]) if wasserstein else optim.Adam(params, 2e-4, (0.5, 0.999))


def estimate(played: ScoreGame, real: np.ndarray) -> tuple[float, float]:
    """(what the discriminator estimates, the generator's cost) on these images; the game is left as it was.

    The Wasserstein estimate is E C(real) - E C(fake); the Jensen-Shannon divergence is estimated by ln 2 less half of
    the discriminator's loss, and would be that if it were at its best.
    """
    z = played.latent(len(real), played.stream("asked"))
    with rehearsal(played), no_grad():
        x = tensor(scaled(real), device=played.step.device)
        r, f = played.discriminator(x), played.discriminator(played.generator(z.to(x.device)))
        d_loss, cost = played.loss.discriminator(r, f).item(), played.loss.generator(f, r).item()
    return (math.log(2) - d_loss / 2 if played.loss.logistic else -d_loss), cost


def cell(given: Cell) -> Mapping[str, Value]:
    """How the estimate and the generator's cost follow the distance, and the distance at the end."""
    s = given.settings
    images = learnt(s["data"], s["drawn"], SIDE).drawn
    batches = Batches(images, s["batch"], seed=given.seed, device=given.device)
    played = game(given, batches)
    for step in given.train(played, batches, s["steps"], moments(s["steps"], s["looks"])):
        found, cost = estimate(played, images[:ASKED])
        drawn = made(played, s["samples"])
        note(given, step, estimate=found, cost=cost, frechet=frechet(given, drawn))
        keep_samples(given, drawn)
    curve = given.recall("curve")
    return {
        "estimate": spearman(curve["estimate"], curve["frechet"]),
        "cost": spearman(curve["cost"], curve["frechet"]),
        "first": float(curve["frechet"][0]),
        "frechet": float(curve["frechet"][-1]),
    }


def pictures(results: Results, folder: Path) -> list[Picture]:
    """Estimate, cost and distance of each row's first seed, and its samples."""
    shown = strips(results, 12)
    rows = [row for row in results.rows if row.name in shown]
    if not rows:
        return []
    figure = viz.empty_figure(figsize=(3.4 * len(rows), 6.0), layout="constrained")
    cells = figure.subplots(3, len(rows), squeeze=False, height_ratios=[3, 3, 0.7])
    for k, row in enumerate(rows):
        steps, distance = curves(results, row, "frechet")[0]
        for axes, name, colour in zip(cells[:2, k], ("estimate", "cost"), ("#1f77b4", "#2a9d5c"), strict=True):
            values = curves(results, row, name)[0][1]
            axes.plot(steps, values, color=colour, linewidth=2)
            other = axes.twinx()
            other.plot(steps, distance, "o-", color="#d95f02", markersize=3, linewidth=1)
            other.set_ylim(bottom=0)
            what = row.about if name == "estimate" else "generator's cost"
            axes.set_title(f"{what}\nrank correlation {spearman(values, distance):+.2f}", fontsize=9)
            axes.set_xlabel("steps of the generator")
            for each in (axes, other):
                each.spines["top"].set_visible(False)
            if k == len(rows) - 1:
                other.set_ylabel("Frechet distance", color="#d95f02")
        draw_strips([cells[2, k]], {row.name: shown[row.name]})
    path = folder / "curves.png"
    viz.save_figure(figure, path)
    caption = "What a game tells of itself, and in orange how far its samples are from real digits: the first seeds."
    return [Picture(path, caption)]


SHORT = {
    "data": "mnist",
    "drawn": 0,
    "batch": 32,
    "steps": 1000,
    "looks": 24,
    "samples": 2000,
    "width": 16,
    "loss": "wasserstein",
    "generator": "dcgan",
    "clip": 0.01,
    "lr": 5e-4,
    "d_steps": 5,
    "warm_up": 150,
}
GAN = {"loss": "nonsaturating"}
UNLIKE = [
    "the critic is trained alone before the first step of the generator, and not again for 100 steps in each of the "
    "first 25 and each 500th",
    "estimates are taken on 512 images at each look instead of each batch and a median filter",
    "the GAN moves by Adam(2e-4, 0.5), as DCGAN's authors have it",
]
TABLE = Table(
    name="wasserstein",
    title="Which curves tell how good the samples are?",
    source="Arjovsky et al. 2017, Wasserstein GAN, figures 3 and 4, arXiv:1701.07875",
    about=(
        "The paper shows on bedrooms, without numbers, that the critic's estimate of the Wasserstein distance falls as "
        "samples improve, and that the estimate of the Jensen-Shannon divergence does not. Here it is Spearman's rank "
        "correlation with the Frechet distance, on MNIST: 1 if a curve falls whenever samples improve."
    ),
    columns=[
        Column("estimate", "estimate and distance", "+.2f", "high"),
        Column("cost", "generator's cost and distance", "+.2f"),
        Column("first", "distance at first", ".0f"),
        Column("frechet", "distance at the end", ".1f", "low"),
    ],
    rows=[
        Row("WGAN MLP", {"generator": "mlp"}, {}, "Wasserstein estimate"),
        Row("WGAN DCGAN", {}, {}, "Wasserstein estimate"),
        Row("GAN MLP", {**GAN, "generator": "mlp"}, {}, "JS estimate"),
        Row("GAN DCGAN", GAN, {}, "JS estimate"),
        Row("WGAN MLP too fast", {"generator": "mlp", "lr": 2e-2}, {}, "Wasserstein estimate", usual=False),
    ],
    short=Protocol(
        SHORT,
        seeds=3,
        takes="five minutes a seed on one core",
        deviations=[
            "MNIST with a border instead of bedrooms of 64x64; maps of 16 to 128 channels instead of 64 to 512",
            "batches of 32 instead of 64, RMSProp at 5e-4 instead of 5e-5, 1000 steps of the generator",
            *UNLIKE,
        ],
    ),
    full=Protocol(
        {**SHORT, "batch": 64, "steps": 20_000, "width": 64, "lr": 5e-5, "warm_up": 2500},
        seeds=1,
        deviations=["MNIST with a border instead of bedrooms of 64x64; 20 000 steps of the generator", *UNLIKE],
        takes="a day on a CPU",
    ),
    trial={"drawn": 64, "batch": 4, "steps": 3, "looks": 3, "samples": 20, "width": 2, "d_steps": 1, "warm_up": 1},
    cell=cell,
    pictures=pictures,
)
