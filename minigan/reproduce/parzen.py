"""The number of the first GAN paper: MNIST's log-likelihood under a Parzen window of samples (Goodfellow et al. 2014).

A figure to compare with old tables, which ranks no models: `metrics.parzen_log_likelihood` says why.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import models, optim, viz
from ..data import Batches, held_out
from ..gan import ScoreGame, Turn, losses, uniform_latent
from ..metrics import Estimate, parzen_log_likelihood, parzen_sigma
from ..random import Stream
from .cell import Cell
from .images import curves, keep_samples, learnt, made, moments, note, over_strips, strips
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

DECAY, LEAST = 1.000004, 1e-6  # of the learning rate: by so much each step, down to so little
MOMENTA, LAST_EPOCH = (0.5, 0.7), 250  # the momentum, from the first epoch to this one
SEARCHED = 1000  # validation images that sigma is searched on; as many others are watched on the way


class Momentum(optim.Schedule):
    """Sets the momentum of an SGD: along a line from the first of MOMENTA, in epoch 1, to the last in LAST_EPOCH."""

    def __init__(self, optimizer: optim.SGD, per_epoch: int) -> None:
        self.sgd = optimizer
        self.per_epoch = per_epoch

    def set(self, step: int) -> None:
        """Set it for this step, counted from 0."""
        share = min(max((step / self.per_epoch - 1) / (LAST_EPOCH - 1), 0.0), 1.0)
        self.sgd.momentum = MOMENTA[0] + share * (MOMENTA[1] - MOMENTA[0])


def game(given: Cell, images: np.ndarray) -> ScoreGame:
    """The game of the paper's code at its start: both players move at once, G by the non-saturating loss.

    D's loss is half of the usual there, which is half the learning rate here. Noise has a variance of 1.
    """
    s = given.settings
    G, D = models.goodfellow28(rng=Stream(given.seed, "weights"))
    shares = np.clip(images.reshape(len(images), -1).mean(0) / 255, 1e-7, 1 - 1e-7)
    G.parameters()[-1].copy_(np.log(shares / (1 - shares)).astype("float32"))  # so the first samples are the mean image
    G.to(given.device)
    D.to(given.device)
    g_optimizer = optim.SGD(G.parameters(), s["lr"], MOMENTA[0])
    d_optimizer = optim.SGD(D.parameters(), s["lr"] / 2, MOMENTA[0])
    per_epoch = len(images) // s["batch"]
    schedules: list[optim.Schedule] = []
    for optimizer in (g_optimizer, d_optimizer):
        falling = optim.Schedule(optimizer, lambda step: max(DECAY**-step, LEAST / s["lr"]))
        schedules += [falling, Momentum(optimizer, per_epoch)]
    found = ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(100, -math.sqrt(3), math.sqrt(3)),
        generator_optimizer=g_optimizer,
        discriminator_optimizer=d_optimizer,
        schedule=[Turn("one_pass_turn")],  # with what D dropped of the fakes for both
        schedules=schedules,
        seed=given.seed,
    )
    found.graphs = False  # a replay would keep the momentum that it was recorded with
    return found


def likelihood(samples: np.ndarray, validation: np.ndarray, test: np.ndarray) -> tuple[Estimate, float]:
    """(the log-likelihood of the test images, sigma) of points in [0, 1]."""
    sigma = parzen_sigma(samples, validation)
    return parzen_log_likelihood(samples, test, sigma), sigma


def cell(given: Cell) -> Mapping[str, Value]:
    """The log-likelihood at the end of the game, or of real images in the place of samples."""
    s = given.settings
    samples = learnt(s["data"], s["drawn"])
    cut = len(samples.drawn) * 5 // 6  # 50 000 of MNIST
    images, left = samples.drawn[:cut], _points(samples.drawn[cut:])
    validation, watched = np.array_split(left[: 2 * SEARCHED], 2)
    test = _points(held_out(samples, few=bool(s["drawn"]))[0])
    if s["real"]:
        chosen = images[Stream(given.seed, "real").permutation(cut)[: s["samples"]]]
        keep_samples(given, chosen)
        return _numbers(*likelihood(_points(chosen), validation, test))
    played = game(given, images)
    batches = Batches(images, s["batch"], seed=given.seed, device=given.device)
    steps = s["epochs"] * batches.per_epoch
    for step in given.train(played, batches, steps, moments(steps, s["looks"])):
        points = _points(made(played, s["samples"]))
        found, _ = likelihood(points, validation, watched)
        note(given, step, validation=found.value, epoch=step / batches.per_epoch)
    drawn = made(played, s["samples"])
    keep_samples(given, drawn)
    return _numbers(*likelihood(_points(drawn), validation, test))


def _numbers(found: Estimate, sigma: float) -> dict[str, Value]:
    return {"likelihood": found.value, "error": found.error, "sigma": sigma}


def _points(images: np.ndarray) -> np.ndarray:
    """Images as points of [0, 1]^784: of bytes, or of floats in [-1, 1]."""
    rows = images.reshape(len(images), -1)
    return rows / np.float32(255) if rows.dtype == np.uint8 else (rows + 1) / 2


def pictures(results: Results, folder: Path) -> list[Picture]:
    """The likelihood of validation images on the way, and samples."""
    shown = strips(results, 14)
    if not shown:
        return []
    figure, (axes,) = over_strips(shown, 8, 3.0)
    for k, row in enumerate(results.rows):
        for n, (_, values) in enumerate(curves(results, row, "validation")):
            epochs = curves(results, row, "epoch")[n][1]
            axes.plot(epochs, values, "o-", color=f"C{k}", markersize=3, label="" if n else row.name)
    axes.axhline(PAPER, color="0.4", linewidth=0.8, linestyle=":", label="the paper's, on test images")
    axes.set_xlabel("epochs")
    axes.set_title("log-likelihood of validation images, nats", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    path = folder / "likelihood.png"
    viz.save_figure(figure, path)
    return [Picture(path, "The log-likelihood on the way, and what the windows stand on: samples of the first seed.")]


PAPER = 225.0
UNLIKE = [
    "the data's last sixth validates; ± is the standard error over seeds, the paper's is over test images",
    "momentum adds up gradients, the learning rate comes after; in the paper's code it comes before",
]
SHORT = {"data": "mnist", "drawn": 0, "batch": 100, "epochs": 50, "looks": 10, "samples": 10_000, "lr": 0.1, "real": 0}
TABLE = Table(
    name="parzen",
    title="MNIST's log-likelihood under a Parzen window of samples",
    source="Goodfellow et al. 2014, generative adversarial nets, table 1, arXiv:1406.2661",
    about=(
        "A Gaussian about each of 10 000 samples, as wide as validation images like best, and under these the mean log "
        "density of the test images. Real images in the place of samples show what the number is worth: it is "
        "biased, and what scores above them is no better than they are."
    ),
    columns=[
        Column("likelihood", "log-likelihood, nats", ".1f", "high"),
        Column("error", "error over test images", ".1f"),
        Column("sigma", "sigma", ".3f"),
    ],
    rows=[
        Row("adversarial nets", {}, {"likelihood": Figure(PAPER, 2.0)}, "two layers of 1200, maxout against them"),
        Row("training images", {"real": 1}, {}, "10 000 real images in the place of samples"),
    ],
    short=Protocol(
        SHORT,
        seeds=3,
        takes="half an hour a seed on one core",
        deviations=[
            "50 epochs, so that the momentum only reaches 0.54; how long the paper's run was is not stated",
            *UNLIKE,
        ],
    ),
    full=Protocol({**SHORT, "epochs": 500, "looks": 50}, seeds=1, deviations=UNLIKE, takes="some hours"),
    trial={"drawn": 240, "epochs": 1, "looks": 1, "samples": 100},
    cell=cell,
    pictures=pictures,
    notes=[
        "The other rows of the paper's table: deep belief network 138 ± 2, stacked contractive autoencoder 121 ± 1.6, "
        "deep generative stochastic network 214 ± 1.1.",
        "On faces (TFD) the paper has 1909 ± 66, 2110 ± 50, 1890 ± 29 and 2057 ± 26; they are not computed here.",
        "Why the number ranks no models: Theis, van den Oord and Bethge 2016, arXiv:1511.01844.",
    ],
)
