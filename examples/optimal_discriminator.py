"""What becomes of the generator's gradient when the discriminator is trained to its optimum.

Figures 2 and 3 of Arjovsky and Bottou 2017 on MNIST: a DCGAN is trained for a little, for ten times and for twenty-five
times as long (the paper: 1, 10 and 25 epochs; here 40, 400 and 1000 steps at the defaults). Each time its generator is
held still and a new discriminator is trained against it, and the gradient with respect to the generator's weights is
measured on the way, for both costs that a generator can have:

    minimax            E ln(1 - D(G(z)))    its gradient vanishes as D becomes sure
    non-saturating    -E ln D(G(z))         its gradient does not; it grows, and its variance with it, until D saturates

The norm is that of the mean gradient over 8 batches, the variance the mean squared distance of a batch's gradient
from that mean; metrics.json has how many times its first value each becomes. So a generator learns neither from a
perfect discriminator nor from a poor one: the case for WGAN.
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigan as mg
from minigan import viz
from minigan.data import Samples, load_images
from minigan.gan import ScoreGame, Turn, losses, uniform_latent
from minigan.training import Options, Settings, positive, studies

SHAPE = (1, 32, 32)
WIDTH = 16
Z_DIM = 100
STAGES = {"1": 1, "10": 10, "25": 25}  # how long the generator was trained, in units of settings.steps / 25
COSTS = {"minimax": losses.minimax, "nonsaturating": losses.nonsaturating}
COLORS = ["#1f77b4", "#d95f02", "#1b9e77"]


class Watched(NamedTuple):
    """What is measured while a new discriminator learns: arrays over its steps, and what the generator draws."""

    steps: np.ndarray
    norms: dict[str, np.ndarray]
    variances: dict[str, np.ndarray]
    images: np.ndarray


PANELS: dict[str, tuple[str, Callable[[Watched], np.ndarray]]] = {
    "minimax_norm": ("norm, minimax cost", lambda seen: seen.norms["minimax"]),
    "nonsaturating_norm": ("norm, non-saturating cost", lambda seen: seen.norms["nonsaturating"]),
    "nonsaturating_variance": ("variance, non-saturating cost", lambda seen: seen.variances["nonsaturating"]),
}


def adam(player: mg.nn.Module) -> mg.optim.Adam:
    return mg.optim.Adam(player.parameters(), 2e-4, (0.5, 0.999))


def game(G: mg.nn.Module, settings: Settings, schedule: list[Turn] | None = None) -> ScoreGame:
    """The generator against a new discriminator."""
    D = mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH).discriminator.to(settings.device)
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(Z_DIM),
        generator_optimizer=adam(G),
        discriminator_optimizer=adam(D),
        schedule=schedule,
        seed=settings.seed,
    )


def gradients(played: ScoreGame, batch_size: int, batches: int) -> dict[str, np.ndarray]:
    """Of each cost: the gradient with respect to all of G's weights, a row for each batch of noise."""
    params = played.generator.parameters()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in COSTS}
    for k in range(batches):
        z = played.latent(batch_size, played.stream("gradients").at(k)).to(played.step.device)
        scores = played.discriminator(played.generator(z))
        for name, cost in COSTS.items():
            found = mg.grad(cost.generator(scores), params)
            rows[name].append(np.concatenate([g.numpy().ravel() for g in found]).astype(np.float64))
    return {name: np.stack(found) for name, found in rows.items()}


def watched(G: mg.nn.Module, samples: Samples, settings: Settings, label: str) -> Watched:
    """A discriminator from scratch against G as it is."""
    last = 2 if settings.dry_run else settings.extra["d_steps"]
    looks = {int(step) for step in np.unique(np.geomspace(1, last, 20).round())}
    alone = game(G, settings, [Turn("discriminator_turn")])
    images = viz.to_uint8(alone.sample(12).numpy())
    measured = [gradients(alone, settings.batch_size, settings.extra["batches"])]
    for step, _ in studies.play(alone, samples, settings, last, label=label):
        if step in looks:
            measured.append(gradients(alone, settings.batch_size, settings.extra["batches"]))

    def over_steps(number: Callable[[np.ndarray], float]) -> dict[str, np.ndarray]:
        return {name: np.array([number(found[name]) for found in measured]) for name in COSTS}

    norms = over_steps(lambda g: float(np.linalg.norm(g.mean(0))))
    variances = over_steps(lambda g: float(((g - g.mean(0)) ** 2).sum(1).mean()))
    return Watched(np.array([0, *sorted(looks)]), norms, variances, images)


def study(settings: Settings, folder: Path) -> dict[str, float]:
    samples = load_images(settings.data, studies.FEW if settings.dry_run else None, SHAPE)
    settings.data = samples.name
    mg.random.seed(settings.seed)
    trained = game(mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH).generator.to(settings.device), settings)
    found = {}
    for name, length in STAGES.items():
        target = max(1, (settings.steps or 0) * length // max(STAGES.values()))
        for _ in studies.play(trained, samples, settings, max(target - trained.rounds, 0), label="DCGAN"):
            pass
        found[f"{name} ({target} steps)"] = watched(trained.generator, samples, settings, f"new D after {target}")
    draw(found, folder)
    write(found, folder / "gradients.csv")
    return {  # how many times what it was at first
        f"{what}_{name}": float(curve(seen)[-1] / curve(seen)[0])
        for name, seen in zip(STAGES, found.values(), strict=True)
        for what, (_, curve) in PANELS.items()
    }


def write(found: dict[str, Watched], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["generator", "d_step", *(f"{cost}_{what}" for cost in COSTS for what in ("norm", "variance"))])
        for name, seen in found.items():
            for k, step in enumerate(seen.steps):
                values = [measure[cost][k] for cost in COSTS for measure in (seen.norms, seen.variances)]
                rows.writerow([name, step, *values])


def draw(found: dict[str, Watched], folder: Path) -> None:
    """Three panels over the steps of the new discriminator, and what each generator draws."""
    figure = viz.empty_figure(figsize=(13, 3.9), layout="constrained")
    from matplotlib.ticker import LogLocator, NullFormatter  # after the figure, which sees to it that matplotlib loads

    curves, pictures = figure.subfigures(1, 2, width_ratios=[10, 3])
    for axes, (title, curve) in zip(curves.subplots(1, 3), PANELS.values(), strict=True):
        for (name, seen), color in zip(found.items(), COLORS, strict=True):
            axes.plot(seen.steps, curve(seen), "o-", color=color, markersize=3, label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xscale("symlog", linthresh=1)  # logarithmic, with a 0
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("steps of a new D, while G stands still")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    curves.axes[0].legend(frameon=False, fontsize=8, title="G trained for", title_fontsize=8)
    for axes, (name, seen), color in zip(pictures.subplots(3, 1), found.items(), COLORS, strict=True):
        axes.imshow(viz.grid(seen.images, 6, gap=1), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        axes.set_title(name, fontsize=8, color=color, pad=2)
    viz.save_figure(figure, folder / "optimal_discriminator.png")


def options() -> Options:
    p = studies.parser("optimal_discriminator", __doc__, steps=1000, batch_size=32)
    p.add_argument("--d-steps", type=positive, default=400, help="steps of each new discriminator (default: 400)")
    p.add_argument("--batches", type=positive, default=8, help="of noise, for each gradient (default: 8)")
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
