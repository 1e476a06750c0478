"""Which curves tell how good the samples are? The Wasserstein estimate does; the JS estimate and G's cost do not.

Figures 3, 4 and 8 of the WGAN paper (Arjovsky et al. 2017) on MNIST instead of bedrooms, in one command:

    WGAN with the generator without convolutions (4 layers of 512 ReLU units)   estimate: E C(real) - E C(fake)
    WGAN with a DCGAN generator                                                  the same
    GAN with a DCGAN generator    JS estimate: ln 2 - D's loss / 2;   generator's cost: -E ln D(fake)

All play against the same DCGAN critic, without a sigmoid for WGAN. Quality is the Frechet distance between features
of generated and of held-out real digits, in a small classifier fitted beforehand: lower is better. Each curve, median
filtered as in the paper, is compared with it by Spearman's rank correlation: 1 means that they fall together.

As in the paper: weights clipped to 0.01, RMSProp, 5 critic steps, a critic that is trained before the generator
first moves. To fit into minutes: maps of 16 to 128 channels, batches of 32, RMSProp at 5e-4 instead of 5e-5. With a
gradient penalty and Adam instead of clipping, both generators learned less in the same minutes, so clipping it is.

An estimate tells nothing until its critic has learned: clipped, it needs some 40 rounds against the MLP generator even
after --warm-up, and these count in the correlation too. A longer --warm-up takes them away.
"""

import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigan as mg
from minigan import viz
from minigan.data import Samples, held_out, load_images
from minigan.gan import Moves, ScoreGame, Turn, alternate, losses, normal_latent
from minigan.metrics import frechet_distance, median_filter, spearman
from minigan.training import Options, Settings, positive, studies

SHAPE = (1, 32, 32)
WIDTH = 16
Z_DIM = 100
LOOKS = 24  # moments at which the samples are measured
MEASURED = 1000  # how many
STRIP = 8  # samples that are shown at each of three moments


class Run(NamedTuple):
    """What one game leaves: at each step its estimate and G's cost; at some, the samples and their distance."""

    estimate: np.ndarray
    cost: np.ndarray
    looks: np.ndarray
    distance: np.ndarray
    samples: list[np.ndarray]


class Panel(NamedTuple):
    """A curve that might tell how good a run's samples are."""

    name: str
    run: Run
    curve: np.ndarray
    smooth: np.ndarray
    rank: float  # Spearman's correlation with the distance


def critic() -> mg.nn.Module:
    return mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH).discriminator


def mlp() -> mg.nn.Module:
    """WGAN's generator. He's scales for its ReLU layers: PyTorch's make every sample begin as the same picture."""
    G = mg.models.mlp512(32, Z_DIM, channels=1).generator
    dense = [layer for layer in G.modules() if isinstance(layer, mg.nn.Linear)]
    for layer in dense[:-1]:
        mg.nn.init.kaiming_normal_(layer.weight)
    mg.nn.init.normal_(dense[-1].weight, 0.0, 0.02)
    return G


def dcgan() -> mg.nn.Module:
    return mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH).generator


def wgan(G: mg.nn.Module, samples: Samples, settings: Settings) -> ScoreGame:
    """A game whose critic has already been trained against the generator as it is."""
    extra = settings.extra
    D = critic()
    parts: dict = {
        "loss": losses.wasserstein,
        "latent": normal_latent(Z_DIM),
        "moves": Moves(clip=extra["clip"]),
        "generator_optimizer": mg.optim.RMSProp(G.to(settings.device).parameters(), extra["lr"]),
        "discriminator_optimizer": mg.optim.RMSProp(D.to(settings.device).parameters(), extra["lr"]),
        "seed": settings.seed,
    }
    alone = ScoreGame(G, D, **parts, schedule=[Turn("discriminator_turn")])
    steps = 2 if settings.dry_run else extra["warm_up"]
    for _ in studies.play(alone, samples, settings, steps, label="critic alone"):
        pass
    return ScoreGame(G, D, **parts, schedule=alternate(d_steps=extra["d_steps"]))


def gan(G: mg.nn.Module, samples: Samples, settings: Settings) -> ScoreGame:
    """The standard game: the non-saturating loss, and Adam as in the DCGAN paper."""
    D = critic()
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=normal_latent(Z_DIM),
        generator_optimizer=mg.optim.Adam(G.to(settings.device).parameters(), 2e-4, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.to(settings.device).parameters(), 2e-4, (0.5, 0.999)),
        seed=settings.seed,
    )


def js_estimate(d_loss: np.ndarray) -> np.ndarray:
    """(value of the game + ln 4) / 2, the Jensen-Shannon divergence if D is at its optimum; the value is -d_loss."""
    return math.log(2) - d_loss / 2


RUNS = {
    "wgan_mlp": ("WGAN, MLP generator", mlp, wgan),
    "wgan_dcgan": ("WGAN, DCGAN generator", dcgan, wgan),
    "gan_dcgan": ("GAN, DCGAN generator", dcgan, gan),
}


def play(name: str, samples: Samples, quality: Callable[[np.ndarray], float], settings: Settings) -> Run:
    """One of RUNS, watched."""
    label, generator, make = RUNS[name]
    mg.random.seed(settings.seed)
    game = make(generator(), samples, settings)
    steps = settings.steps or 0
    looks = sorted({max(1, round(steps * k / LOOKS)) for k in range(1, LOOKS + 1)})
    log, distance, shown = [], [], []
    for step, losses_now in studies.play(game, samples, settings, label=label):
        log.append((losses_now["d_loss"], losses_now["g_loss"]))
        if step in looks:
            images = game.sample(64 if settings.dry_run else MEASURED).numpy()
            distance.append(quality(images))
            shown.append(viz.to_uint8(images[:STRIP]))
    d_loss, g_loss = np.array(log).T
    estimate = -d_loss if make is wgan else js_estimate(d_loss)
    return Run(estimate, g_loss, np.array(looks), np.array(distance), shown)


def panel(name: str, run: Run, curve: np.ndarray) -> Panel:
    smooth = median_filter(curve, max(1, len(curve) // LOOKS) | 1)
    return Panel(name, run, curve, smooth, spearman(smooth[run.looks - 1], run.distance))


def study(settings: Settings, folder: Path) -> dict[str, float]:
    samples = load_images(settings.data, studies.FEW if settings.dry_run else None, SHAPE)
    settings.data = samples.name
    judge = studies.quick_judge(samples, settings)
    real = judge.features(held_out(samples, few=settings.dry_run)[0][:MEASURED])

    def quality(images: np.ndarray) -> float:
        return frechet_distance(judge.features(studies.centre(images)), real)

    runs = {name: play(name, samples, quality, settings) for name in RUNS}
    panels = {
        "wgan_mlp_wasserstein": panel("Wasserstein estimate", runs["wgan_mlp"], runs["wgan_mlp"].estimate),
        "wgan_dcgan_wasserstein": panel("Wasserstein estimate", runs["wgan_dcgan"], runs["wgan_dcgan"].estimate),
        "gan_dcgan_js": panel("JS estimate", runs["gan_dcgan"], runs["gan_dcgan"].estimate),
        "gan_dcgan_generator_cost": panel("generator's cost", runs["gan_dcgan"], runs["gan_dcgan"].cost),
    }
    draw(list(panels.values()), [RUNS[n][0] for n in ("wgan_mlp", "wgan_dcgan", "gan_dcgan", "gan_dcgan")], folder)
    with (folder / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["run", "step", "estimate", "generator_cost", "frechet_distance"])
        for name, run in runs.items():
            at = run.looks - 1
            columns = zip(run.looks, run.estimate[at], run.cost[at], run.distance, strict=True)
            rows.writerows([name, *row] for row in columns)
    return {
        **{f"spearman_{name}": p.rank for name, p in panels.items()},
        **{f"frechet_{name}_{when}": run.distance[k] for name, run in runs.items() for when, k in ENDS.items()},
    }


ENDS = {"first": 0, "last": -1}


def draw(panels: list[Panel], titles: list[str], folder: Path) -> None:
    """The curves above, each over its distance; below, samples of the three runs at three moments."""
    figure = viz.empty_figure(figsize=(12, 6.4), layout="constrained")
    cells = figure.add_gridspec(4, 4, height_ratios=[4.2, 1, 1, 1])
    for k, (p, title) in enumerate(zip(panels, titles, strict=True)):
        axes = figure.add_subplot(cells[0, k])
        steps = np.arange(1, len(p.curve) + 1)
        axes.plot(steps, p.curve, color="#1f77b4", alpha=0.25, linewidth=0.6)
        axes.plot(steps, p.smooth, color="#1f77b4", linewidth=2)
        low, high = np.nanpercentile(p.curve, [1, 99])
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        axes.set_xlabel("generator steps")
        axes.set_title(f"{title}\nrank correlation {p.rank:+.2f}", fontsize=10)
        axes.set_ylabel(p.name, color="#1f77b4")
        other = axes.twinx()
        other.plot(p.run.looks, p.run.distance, "o-", color="#d95f02", markersize=3, linewidth=1)
        other.set_ylim(bottom=0)
        if k == 3:
            other.set_ylabel("Frechet distance of samples", color="#d95f02")
        for a in (axes, other):
            a.spines["top"].set_visible(False)
    for k, place in enumerate([cells[1:, 0], cells[1:, 1], cells[1:, 2:]]):
        run = panels[k].run
        rows = place.subgridspec(3, 1)
        last = len(run.looks) - 1
        for row, look in enumerate([last // 8, last // 3, last]):
            axes = figure.add_subplot(rows[row])
            shown = run.samples[look][: STRIP if k == 2 else STRIP // 2]
            axes.imshow(viz.grid(shown, len(shown), gap=1), cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
            axes.set_title(f"step {run.looks[look]}: distance {run.distance[look]:.0f}", fontsize=8, pad=2)
    viz.save_figure(figure, folder / "wasserstein_curve.png")


def options() -> Options:
    p = studies.parser("wasserstein_curve", __doc__, steps=400, batch_size=32)
    p.add_argument("--clip", type=float, default=0.01, help="limit of the critic's weights (default: 0.01)")
    p.add_argument("--lr", type=float, default=5e-4, help="RMSProp's learning rate in WGAN (default: 0.0005)")
    p.add_argument("--d-steps", type=positive, default=5, help="critic steps for each of G (default: 5)")
    p.add_argument(
        "--warm-up", type=positive, default=150, metavar="STEPS", help="critic alone at first (default: 150)"
    )
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
