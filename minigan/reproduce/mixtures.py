"""Which modes of a mixture in the plane a method reaches: what the tables `ring` and `grid` share.

Lin et al. 2018 (PacGAN), section 4.1, after Srivastava et al. 2017 (VEEGAN): 2 500 samples; one is good if it lies
within three deviations of its nearest mode, a mode counts if it has a good one, and the good ones' shares of the modes
are compared with equal ones by reverse KL.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import data, viz
from ..gan import Moves, ScoreGame, Sight, Turn, alternate, losses, normal_latent, penalties
from ..metrics import mode_coverage
from ..models import maxout2d
from ..optim import Adam, Schedule, linear
from ..random import Stream
from .cell import Cell
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Value

POINTS = 100_000  # of the training set


class Mixture(NamedTuple):
    """Equally likely Gaussians in the plane."""

    points: Callable[[int, int], np.ndarray]  # of (how many, seed)
    centres: np.ndarray
    std: float
    reach: float  # of a picture, from its middle


RING = Mixture(
    lambda n, seed: data.gaussians_ring(n, radius=1.0, std=0.01, seed=seed)[0], data.ring_centres(radius=1.0), 0.01, 1.4
)
GRID = Mixture(lambda n, seed: data.gaussians_grid(n, std=0.05, seed=seed)[0], data.grid_centres(), 0.05, 5.0)

SOURCE = (
    "Lin, Khetan, Fanti and Oh, PacGAN: The power of two samples in generative adversarial networks, NeurIPS 2018 "
    "(arXiv 1712.04086), table 1"
)
NOTES = [
    "The paper has means of ten runs; its table has ALI too, which is not computed here: ring 6.6 ± 0.3 modes, "
    "97.6 ± 0.4 % good, 0.36 ± 0.04 nats; grid 24.1 ± 0.4, 95.7 ± 0.6 %, 0.14 ± 0.03.",
    "The figures of the unrolled GAN are of Srivastava et al. 2017 (VEEGAN, arXiv 1705.07761), table 1, whose networks "
    "are others; the plain GAN of that table reaches 1 mode of the ring and 3.3 of the grid.",
]

COLUMNS = [
    Column("modes", "modes", ".1f", "high"),
    Column("good", "good samples, %", ".1f", "high"),
    Column("reverse_kl", "reverse KL, nats", ".2f", "low"),
]

FULL: dict[str, Any] = {
    "steps": 400_000,
    "batch_size": 100,  # packs
    "lr": 1e-4,
    "decay": False,  # of the learning rate, linearly to nothing
    "width": 400,
    "d_width": 200,
    "loss": "nonsaturating",
    "pack": 1,
    "penalty": None,
    "penalty_weight": 0.0,
    "unroll": 0,
    "turns": "at once",  # or so many steps of D for each of G, on the same batch
    "drawn": 2500,  # samples that are scored
    "looks": 20,  # times at which they are
}

SHORT: dict[str, Any] = {**FULL, "steps": 20_000, "width": 128, "d_width": 64, "lr": 7e-4, "decay": True}
TRIAL = {"steps": 10, "batch_size": 8, "width": 8, "d_width": 8, "looks": 2, "drawn": 100}

_ALWAYS = (
    "batch norm in the generator is over all points of a step at once; with packs, the paper's code takes each point's "
    "place in its pack for a batch of its own",
    "the methods beside GAN and PacGAN are not in the paper; they have the same networks and optimizers",
)
PROTOCOLS = {
    "short": Protocol(
        SHORT,
        3,
        (
            "20 000 steps instead of 400 000, with a learning rate that falls from 7e-4 linearly to nothing instead of "
            "1e-4 throughout",
            "networks a third as wide (generator 4 x 128, discriminator 3 x 64 maxout units), which take a tenth of "
            "the work",
            *_ALWAYS,
        ),
        "about 12 minutes on two cores; a cell of R1 takes 2, of RpGAN 4, of WGAN-GP 11, of unrolled 5 15 minutes",
    ),
    "full": Protocol(FULL, 10, _ALWAYS, "about 3 hours a cell on one core, 60 for all on two"),
}
"""How the tables are computed: in minutes, and as in the paper."""


def play(mixture: Mixture) -> Callable[[Cell], Mapping[str, Value]]:
    """What computes a cell on that mixture."""

    def cell(given: Cell) -> Mapping[str, Value]:
        steps, looks, drawn = (given.settings[name] for name in ("steps", "looks", "drawn"))
        game = build(given.settings, given.seed, given.device)
        points = mixture.points(POINTS, given.seed)
        size = given.settings["batch_size"] * given.settings["pack"]
        batches = data.shuffled_batches(points, size, seed=given.seed, device=given.device)
        way: list[tuple[float, ...]] = list(given.recall("way").get("way", []))
        for step in given.train(game, batches, steps, {steps * k // looks for k in range(looks + 1)}):
            way = [row for row in way if row[0] < step]
            way.append((step, *scored(game.sample(drawn, at=step).numpy(), mixture).values()))
            given.keep("way", way=np.array(way))
        samples = game.sample(drawn, at=steps).numpy()
        given.keep("samples", samples=samples)
        return scored(samples, mixture)

    return cell


def scored(samples: np.ndarray, mixture: Mixture) -> dict[str, float]:
    """The measures of samples (N, 2), in the order of COLUMNS."""
    found = mode_coverage(samples, mixture.centres, mixture.std)
    return {"modes": found.modes, "good": 100 * found.good, "reverse_kl": found.reverse_kl}


def build(settings: Mapping[str, Any], seed: int, device: str = "cpu") -> ScoreGame:
    """The game of these settings: maxout2d's networks, Adam with beta1 0.8 for both, N(0, 1)^2 noise."""
    pack, at_once = settings["pack"], settings["turns"] == "at once"
    G, D = maxout2d(width=settings["width"], d_width=settings["d_width"], pack=pack, rng=Stream(seed))
    G.to(device)
    D.to(device)
    optimizers = [Adam(player.parameters(), settings["lr"], (0.8, 0.999)) for player in (G, D)]
    decay = linear(1, 0, settings["steps"])
    return ScoreGame(
        G,
        D,
        loss=losses.LOSSES[settings["loss"]],
        latent=normal_latent(2),
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
        schedules=[Schedule(optimizer, decay) for optimizer in optimizers if settings["decay"]],
        schedule=[Turn("simultaneous_turn")] if at_once else alternate(settings["turns"]),
        penalty=penalties.PENALTIES.get(settings["penalty"]),
        penalty_weight=settings["penalty_weight"],
        sight=Sight(pack=pack),
        moves=Moves(unroll=settings["unroll"]),
        seed=seed,
    )


def rows(published: Mapping[str, Sequence[Figure]]) -> list[Row]:
    """The methods, with the papers' figures of modes, good samples and reverse KL."""

    def row(name: str, about: str, usual: bool = False, **settings: Any) -> Row:
        figures = zip(COLUMNS, published.get(name, ()), strict=False)
        return Row(name, settings, {column.name: figure for column, figure in figures}, about, usual)

    return [
        row("GAN", "non-saturating loss; both players move at once", True),
        *(row(f"PacGAN{m}", f"D sees {m} points at once", True, pack=m) for m in (2, 3, 4)),
        row("unrolled 5", "G looks five steps of D ahead (Metz et al. 2017)", unroll=5, turns=1),
        row(
            "R1",
            "the slope at real points is penalised, gamma 1 (Mescheder et al. 2018)",
            penalty="r1",
            penalty_weight=0.5,
        ),
        row(
            "WGAN-GP",
            "five steps of the critic for each of G, penalty weight 1",
            loss="wasserstein",
            penalty="gradient_penalty",
            penalty_weight=1.0,
            turns=5,
        ),
        row(
            "RpGAN R1+R2",
            "relativistic loss, both penalties, gamma 1 each (R3GAN: Huang et al. 2024)",
            loss="relativistic",
            penalty="r1_r2",
            penalty_weight=0.5,
        ),
    ]


def pictures(mixture: Mixture) -> Callable[[Results, Path], list[Picture]]:
    """What draws the samples of each method, and how it came to them."""

    def draw(results: Results, folder: Path) -> list[Picture]:
        real = mixture.points(1000, 0)
        found = [(row, held) for row in results.rows for held in results.of(row)[:1]]
        if not found:
            return []
        panels = [viz.Panel("data", {"real": real, "generated": real[:0]}, _limits(mixture))]
        for row, result in found:
            numbers = {c.name: result.numbers[c.name] for c in COLUMNS}
            told = f"{numbers['modes']:.0f} modes, {numbers['good']:.0f}% good, KL {numbers['reverse_kl']:.2f}"
            clouds = {"real": real, "generated": result.kept("samples")["samples"][:1000]}
            panels.append(viz.Panel(f"{row.name}, seed {result.seed}", clouds, _limits(mixture), note=told))
        viz.panels(panels, folder / "samples.png", columns=min(len(panels), 5), size=2.7)
        first = Picture(folder / "samples.png", "1 000 samples of each method on 1 000 points of the data.")
        return [first, _along_the_way(results, folder / "way.png")]

    return draw


def _limits(mixture: Mixture) -> tuple[float, float, float, float]:
    return (-mixture.reach, mixture.reach, -mixture.reach, mixture.reach)


def _along_the_way(results: Results, path: Path) -> Picture:
    """The three measures over the steps: each seed faint, their mean strong."""
    figure = viz.empty_figure(figsize=(13, 3.6), layout="constrained")
    axes = [figure.add_subplot(1, 3, k + 1, title=column.title, xlabel="step") for k, column in enumerate(COLUMNS)]
    for k, row in enumerate(results.rows):
        ways = [result.kept("way")["way"] for result in results.of(row)]
        for n, axis in enumerate(axes, 1):
            for way in ways:
                axis.plot(way[:, 0], way[:, n], color=f"C{k}", alpha=0.25, linewidth=0.8)
            if ways:
                mean = np.mean([way[:, n] for way in ways], axis=0)
                axis.plot(ways[0][:, 0], mean, color=f"C{k}", linewidth=2, label=row.name)
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.locator_params(axis="x", nbins=5)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False)
    viz.save_figure(figure, path)
    return Picture(path, "The measures along the way: each seed, and in strong lines the mean over seeds.")
