"""Watch GANs play in the plane: critic, gradients, samples, losses and eigenvalues of the game, in one HTML page.

    python examples/plane.py                            three games on a ring of 8 Gaussians: some three minutes
    python examples/plane.py --data grid --games plain wgan_gp --steps 6000
    python examples/plane.py --games plain unrolled

It writes OUT/plane.html, a file that loads nothing. The games have the same small networks (two hidden layers of 16
tanh units), the same noise and the same first weights, which make all samples one point, so what differs are the rules:

    plain       the non-saturating loss, alternating turns; G learns faster than D, and its samples jump between modes
    r1          the same loss with R1, and a D that learns faster (Mescheder et al. 2018): samples stay, at some modes
    wgan_gp     WGAN-GP, two turns of the critic for each of G (Gulrajani et al. 2017): the slopes reach far
    unrolled    the generator looks five steps of D ahead (Metz et al. 2017)

Eigenvalues are those of the Jacobian of both players' gradients with respect to all of their weights, computed by the
library's own second derivatives at each frame (`minigan.gan.jacobian`).
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigan as mg
from minigan import data, pages
from minigan.data import Samples
from minigan.gan import Moves, ScoreGame, alternate, losses, normal_latent, penalties
from minigan.training import Options, Settings, positive, studies

Z_DIM, WIDTH = 4, 16


class Rules(NamedTuple):
    """A game: what it is called, what is said of it, learning rates of G and D, and what else a ScoreGame takes."""

    title: str
    about: str
    d_lr: float
    more: dict[str, Any]


GAMES = {
    "plain": Rules(
        "plain GAN",
        "The non-saturating loss with nothing added. The generator runs to wherever the critic says real, all of its "
        "points at once; the critic turns that place orange, and they run on. This is mode collapse, and it does not "
        "end: the losses go up and down with it.",
        1e-3,
        {"loss": losses.nonsaturating},
    ),
    "r1": Rules(
        "with R1",
        "The same loss, with the squared slope of the critic at real points added to it. The surface is level where "
        "the data lie, so points stay where they have arrived, though seldom at all of the data: what is far from "
        "every point has little slope to call them.",
        4e-3,
        {"loss": losses.nonsaturating, "penalty": penalties.r1, "penalty_weight": 0.02},
    ),
    "wgan_gp": Rules(
        "WGAN-GP",
        "A critic whose slope is held near 1 between real and made points, so that arrows are about as long far away "
        "as nearby. Colours go from its lowest score to its highest, as its scores have no fixed level.",
        4e-3,
        {
            "loss": losses.wasserstein,
            "penalty": penalties.gradient_penalty,
            "penalty_weight": 0.1,
            "schedule": alternate(d_steps=2),
        },
    ),
    "unrolled": Rules(
        "unrolled",
        "The generator looks five steps of the critic ahead: it does not run to where the critic says real now, but to "
        "where it would still say so after it had learnt. The arrows and eigenvalues are those of the game without "
        "looking ahead.",
        2e-3,
        {"loss": losses.nonsaturating, "moves": Moves(unroll=5)},
    ),
}
SCENES = {
    "ring": lambda seed: pages.Scene(data.gaussians_ring(20_000, std=0.1, seed=seed)[0], 3.0, data.ring_centres(), 0.1),
    "grid": lambda seed: pages.Scene(data.gaussians_grid(20_000, std=0.1, seed=seed)[0], 5.2, data.grid_centres(), 0.1),
    "swiss_roll": lambda seed: pages.Scene(data.swiss_roll(20_000, seed=seed), 2.6),
}


def build(name: str, settings: Settings) -> ScoreGame:
    rules, rng = GAMES[name], mg.random.Stream(settings.seed)
    G, D = mg.models.mlp2d(Z_DIM, width=WIDTH, generator_std=0.02, rng=rng)
    return ScoreGame(
        G,
        D,
        latent=normal_latent(Z_DIM),
        generator_optimizer=mg.optim.Adam(G.parameters(), settings.extra["lr"], (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), rules.d_lr, (0.5, 0.999)),
        seed=settings.seed,
        **rules.more,
    )


def film(name: str, scene: pages.Scene, settings: Settings) -> pages.Film:
    """The game watched from its first weights on, more closely at first, when more happens."""
    game, steps, count = build(name, settings), settings.steps or 0, settings.extra["frames"]
    moments = {round(steps * (k / count) ** 1.3) for k in range(1, count + 1)}
    frames, log = [pages.frame(game, scene)], []
    for step, now in studies.play(game, Samples(scene.real, None, settings.data), settings, label=GAMES[name].title):
        log.append((now["d_loss"], now["g_loss"]))
        if step in moments:
            frames.append(pages.frame(game, scene))
    d_loss, g_loss = np.array(log).T
    size = sum(player.num_parameters() for player in game.players.values())
    return pages.Film(GAMES[name].title, GAMES[name].about, frames, {"d_loss": d_loss, "g_loss": g_loss}, size)


def study(settings: Settings, folder: Path) -> dict[str, float]:
    if settings.data == "auto":
        settings.data = "ring"
    if settings.dry_run:
        settings.steps, settings.extra["frames"] = 4, 2
    scene = SCENES[settings.data](settings.seed)
    films = {name: film(name, scene, settings) for name in settings.extra["games"]}
    pages.write_plane(folder / "plane.html", list(films.values()), scene, f"GANs in the plane: {settings.data}")
    last = {name: found.frames[-1] for name, found in films.items()}
    return {
        **{f"{name}_modes": frame.modes for name, frame in last.items() if frame.modes is not None},
        **{f"{name}_good": frame.good for name, frame in last.items() if frame.good is not None},
        **{f"{name}_driven_away": float(frame.eigenvalues.real.max()) for name, frame in last.items()},
    }


def options() -> Options:
    p = studies.parser("plane", __doc__, steps=3000, batch_size=256, data=list(SCENES))
    p.add_argument(
        "--games",
        nargs="+",
        choices=GAMES,
        default=["plain", "r1", "wgan_gp"],
        metavar="NAME",
        help=f"which to play, of {', '.join(GAMES)} (default: plain r1 wgan_gp)",
    )
    p.add_argument("--frames", type=positive, default=60, help="of each game, beside its first (default: 60)")
    p.add_argument("--lr", type=float, default=2e-3, help="Adam's learning rate for G (default: 0.002)")
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
