"""How steep is a clipped critic? An estimate of K from c and the architecture, and how to compare across both.

A Wasserstein critic C whose slope is at most K estimates K W(real, fake), not W. Clipping its weights to [-c, c] makes
it K-Lipschitz for some K, but which? Two slides on WGAN end with that question, and with another: how to compare the
losses of critics with different c and architectures? Three answers to the first, from the least to the most:

    seen       the steepest slope among real samples, fakes and points between them: K is at least that
    spectral   the product of the layers' spectral norms, by power iteration: K is at most that
    bound      the same from c and the shapes alone: c sqrt(in out) for a dense layer, about c sqrt(in out) times
               kernel area / stride for a convolution (see minigan/gan/lipschitz.py): it grows as c^layers

To the second: divide by K. Estimate / spectral is a true lower bound of W for these samples, and estimate / seen what
the critic would say at slope 1; both can be compared across c, architectures and penalties, which the bare loss, that
changes by orders of magnitude with c, cannot. A penalty holds K only near 1, so that its loss may overstate W too; its
"bound" takes each layer's largest weight for c.

All critics are trained against the same generator, a DCGAN after a hundred steps that then stands still. For the two
clouds of 500 samples W itself is known to lie between the distance of their means, which a linear critic finds,
and what a greedy pairing costs. Critics have no batch norm, with which a slope per sample is not defined.
"""

import csv
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigan as mg
from minigan import viz
from minigan.data import Samples, held_out, load_images, scaled
from minigan.gan import Moves, ScoreGame, Turn, losses, penalties, uniform_latent
from minigan.gan.lipschitz import clipped_bound, spectral_bound, steepest_slope
from minigan.nn import Flatten, LeakyReLU, Linear, Sequential
from minigan.tensor import Tensor
from minigan.training import Options, Settings, studies

SHAPE = (1, 32, 32)
WIDTH = 16
Z_DIM = 100
COLORS = {"seen": "#1b9e77", "spectral": "#1f77b4", "bound": "#999999"}


class Row(NamedTuple):
    """A trained critic: its loss, negated, and three numbers for its K."""

    critic: str
    held_by: str
    estimate: float
    seen: float
    spectral: float
    bound: float


def convolutional() -> Sequential:
    critic = mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH, norm=None).discriminator
    assert isinstance(critic, Sequential)
    return critic


def dense() -> Sequential:
    return Sequential(Flatten(), Linear(32 * 32, 256), LeakyReLU(0.2), Linear(256, 256), LeakyReLU(0.2), Linear(256, 1))


CRITICS = {"5 convolutions": convolutional, "3 dense layers": dense}


def generator(samples: Samples, settings: Settings) -> mg.nn.Module:
    """A DCGAN's after a hundred steps: strokes, no digits yet."""
    players = [player.to(settings.device) for player in mg.models.dcgan(32, Z_DIM, channels=1, width=WIDTH)]
    optimizers = [mg.optim.Adam(player.parameters(), 2e-4, (0.5, 0.999)) for player in players]
    game = ScoreGame(
        *players,
        loss=losses.nonsaturating,
        latent=uniform_latent(Z_DIM),
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
        seed=settings.seed,
    )
    for _ in studies.play(game, samples, settings, 2 if settings.dry_run else 100, label="generator"):
        pass
    return players[0]


def critic_game(G: mg.nn.Module, D: Sequential, c: float | None, settings: Settings) -> ScoreGame:
    """Only the critic plays: with clipped weights and RMSProp, or with a gradient penalty and Adam if c is None."""
    params, lr = D.to(settings.device).parameters(), settings.extra["lr"]
    held: dict[str, Any] = {"penalty": penalties.gradient_penalty} if c is None else {"moves": Moves(clip=c)}
    return ScoreGame(
        G,
        D,
        loss=losses.wasserstein,
        latent=uniform_latent(Z_DIM),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.0),
        discriminator_optimizer=mg.optim.Adam(params, lr, (0.0, 0.9)) if c is None else mg.optim.RMSProp(params, lr),
        schedule=[Turn("discriminator_turn")],
        seed=settings.seed,
        **held,
    )


def measured(D: Sequential, c: float | None, real: Tensor, fake: Tensor) -> tuple[float, float, float, float]:
    """(E C(real) - E C(fake), steepest slope seen, product of spectral norms, bound from c) of a trained critic."""
    u = Tensor(mg.random.Stream(0, "between").uniform((len(real), 1, 1, 1), device=real.device))
    with mg.no_grad():
        estimate = (mg.mean(D(real)) - mg.mean(D(fake))).item()
    seen = max(steepest_slope(D, x) for x in (real, fake, real + u * (fake - real)))
    return estimate, seen, spectral_bound(D, SHAPE, rng=mg.random.Stream(0, "power")), clipped_bound(D, SHAPE, c)


def between(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Two numbers that the Wasserstein distance of two clouds of as many samples lies between."""
    a, b = (x.reshape(len(x), -1).astype(float) for x in (real, fake))
    least = float(np.linalg.norm(a.mean(0) - b.mean(0)))
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    distances = np.sqrt(np.maximum(squares, 0))
    total = 0.0
    for row in range(len(a)):  # a pairing costs at least what the best one does
        nearest = distances[row].argmin()
        total += distances[row, nearest]
        distances[:, nearest] = np.inf
    return least, total / len(a)


def study(settings: Settings, folder: Path) -> dict[str, float]:
    samples = load_images(settings.data, studies.FEW if settings.dry_run else None, SHAPE)
    settings.data = samples.name
    mg.random.seed(settings.seed)
    G = generator(samples, settings)
    rows = []
    n = 32 if settings.dry_run else 500
    images = held_out(samples, few=settings.dry_run, shape=SHAPE)[0][:n]
    real, fake = Tensor(scaled(images)).to(settings.device), None
    for name, make in CRITICS.items():
        for c in [*settings.extra["c"], None]:
            D = make()
            game = critic_game(G, D, c, settings)
            label = f"{name}, " + ("penalty" if c is None else f"c = {c:g}")
            for _ in studies.play(game, samples, settings, label=label):
                pass
            fake = game.sample(n) if fake is None else fake
            rows.append(Row(name, "penalty" if c is None else f"c = {c:g}", *measured(D, c, real, fake)))
    assert fake is not None
    least, most = between(real.numpy(), fake.numpy())
    report(rows, least, most, folder)
    draw(rows, least, most, folder)
    numbers = {"wasserstein_at_least": least, "wasserstein_at_most": most}
    for row in rows:
        key = f"{row.critic}_{row.held_by}".replace(" = ", "").replace(" ", "_")
        numbers |= {f"{key}_{what}": getattr(row, what) for what in ("estimate", "seen", "spectral", "bound")}
    return numbers


def report(rows: list[Row], least: float, most: float, folder: Path) -> None:
    """The table, on the terminal and as lipschitz.csv."""
    heads = ["critic", "held by", "estimate", "K seen", "K spectral", "K bound", "estimate/seen", "estimate/spectral"]
    print(("{:16}{:12}" + "{:>18}" * 6).format(*heads))
    with (folder / "lipschitz.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(heads)
        for row in rows:
            numbers = [*row[2:], row.estimate / row.seen, row.estimate / row.spectral]
            out.writerow([*row[:2], *numbers])
            print(("{:16}{:12}" + "{:18.4g}" * 6).format(*row[:2], *numbers))
    print(f"The Wasserstein distance of these samples lies between {least:.3g} and {most:.3g}.")


def draw(rows: list[Row], least: float, most: float, folder: Path) -> None:
    """K three ways; the bare estimates; the estimates divided by K, beside where W lies."""
    figure = viz.empty_figure(figsize=(12.5, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    places = -np.arange(len(rows))
    for k, row in zip(places, rows, strict=True):
        left.plot([row.seen, row.bound], [k, k], color="#cccccc", zorder=0)
    for what, color in COLORS.items():
        left.plot([getattr(row, what) for row in rows], places, "o", color=color, label=what)
    left.set_title("K of the critic", fontsize=10)
    left.set_yticks(places, [f"{row.critic}, {row.held_by}" for row in rows])
    middle.plot([row.estimate for row in rows], places, "o", color="#d95f02")
    middle.set_title("its estimate, E C(real) - E C(fake)", fontsize=10)
    right.axvspan(least, most, color="#ffe9c7", label="W")
    for what in ("seen", "spectral"):
        divided = [row.estimate / getattr(row, what) for row in rows]
        right.plot(divided, places, "o", color=COLORS[what], label=f"estimate / {what}")
    right.set_xlim(left=0)
    right.set_title("the estimate divided by K, and W", fontsize=10)
    for axes in (left, middle, right):
        if axes is not right:
            axes.set_xscale("log")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (left, right):
        axes.legend(fontsize=8, loc="lower left", ncols=3, bbox_to_anchor=(0, -0.27), frameon=False)
    viz.save_figure(figure, folder / "lipschitz.png")


def options() -> Options:
    p = studies.parser("lipschitz", __doc__, steps=30, batch_size=32)
    p.add_argument(
        "--c", type=float, nargs="+", default=[0.1, 0.01, 0.001], help="limits of the weights (default: 0.1 0.01 0.001)"
    )
    p.add_argument("--lr", type=float, default=5e-4, help="of RMSProp, and of Adam for the penalty (default: 0.0005)")
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
