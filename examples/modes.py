"""Train a GAN on a mixture in the plane and count the modes it reaches: 8 Gaussians on a ring, 25 on a grid, a roll.

    python examples/modes.py                 the plain GAN, which jumps from mode to mode
    python examples/modes.py --unroll 5      reaches all of them
    python examples/modes.py --data grid --penalty r1

Metz et al. 2017 (unrolled GANs) have these networks (two hidden layers of 128 tanh units) and a generator that learns
faster than its discriminator. Each of --unroll, --pack, --consensus, --penalty and --instance-noise is a remedy. The
measure is VEEGAN's and PacGAN's: 2 500 samples; those within three deviations of a mode are good; reverse KL compares
the modes' shares with equal ones.

They take 25 000 steps of 512 points, 256 numbers of noise, modes of --std 0.02 and Adam at 1e-4 for D and 1e-3 for G.
Wider modes and a D half as fast as G show the same in a minute. What starts the collapse is the generator's first
weights: N(0, 0.02) (Lin et al. 2018) makes all its samples one point. With --g-std 0 they are Glorot's, the first
samples lie all around the ring, and the plain GAN keeps them there.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigan as mg
from minigan import data, training, viz
from minigan.gan import Moves, ScoreGame, Sight, losses, normal_latent, penalties
from minigan.metrics import mean_nearest_distance, mode_coverage
from minigan.training import positive


class Mixture(NamedTuple):
    """Where a data set has its modes (None if it has none), and their deviation."""

    centres: np.ndarray | None
    std: float
    reach: float  # of the picture, from its middle


MIXTURES = {
    "ring": Mixture(data.ring_centres(), 0.05, 2.8),
    "grid": Mixture(data.grid_centres(), 0.05, 5.0),
    "swiss_roll": Mixture(None, 0.0, 2.4),
}


def build(settings: training.Settings) -> ScoreGame:
    extra = settings.extra
    rng = mg.random.Stream(settings.seed)
    G, D = mg.models.mlp2d(extra["z_dim"], pack=extra["pack"], generator_std=extra["g_std"] or None, rng=rng)
    G.to(settings.device)
    D.to(settings.device)
    return ScoreGame(
        G,
        D,
        loss=losses.LOSSES[extra["loss"]],
        penalty=penalties.PENALTIES.get(extra["penalty"]),
        penalty_weight=extra["penalty_weight"],
        sight=Sight(pack=extra["pack"], instance_noise=extra["instance_noise"]),
        moves=Moves(unroll=extra["unroll"], consensus=extra["consensus"]),
        latent=normal_latent(extra["z_dim"]),
        generator_optimizer=mg.optim.Adam(G.parameters(), extra["lr"], (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), extra["d_lr"], (0.5, 0.999)),
        seed=settings.seed,
    )


def deviation(name: str, settings: training.Settings) -> float:
    return settings.extra["std"] or MIXTURES[name].std


def points(name: str, n: int, std: float, seed: int) -> np.ndarray:
    return {
        "ring": lambda: data.gaussians_ring(n, std=std, seed=seed)[0],
        "grid": lambda: data.gaussians_grid(n, std=std, seed=seed)[0],
        "swiss_roll": lambda: data.swiss_roll(n, seed=seed),
    }[name]()


def load(settings: training.Settings, limit: int | None) -> data.Samples:
    name = "ring" if settings.data == "auto" else settings.data
    return data.Samples(points(name, limit or 100_000, deviation(name, settings), settings.seed), None, name)


def panel(game: ScoreGame, samples: data.Samples, title: str, note: str = "") -> viz.Panel:
    """500 generated points on 1 000 real ones, the discriminator's value behind them: the darker, the more real."""
    reach = MIXTURES[samples.name].reach
    drawn = {"real": samples.values[:1000], "generated": game.sample(500).numpy()}
    return viz.Panel(title, drawn, (-reach, reach, -reach, reach), lambda p: value(game, samples, p), note=note)


def value(game: ScoreGame, samples: data.Samples, at: np.ndarray) -> np.ndarray:
    """What the discriminator says of points (N, 2): beside four choices of real ones, if it sees several at once."""
    beside = samples.values[: 4 * (game.sight.pack - 1)].reshape(4, -1)
    packs = [np.concatenate([at, np.tile(row, (len(at), 1))], 1) for row in beside]
    with mg.no_grad():
        scores = sum(game.discriminator(mg.tensor(p).to(game.step.device)) for p in packs) * (1 / len(packs))
        return (mg.sigmoid(scores) if game.loss.logistic else scores).numpy()


def picture(game: ScoreGame, samples: data.Samples, path: Path) -> None:
    viz.panels([panel(game, samples, f"{samples.name}, step {game.rounds}")], path, size=4.6)


def measure(game: ScoreGame, samples: data.Samples, settings: training.Settings) -> dict[str, float]:
    """Modes, good samples and evenness of 2 500 samples; on the roll, distances from samples to data and back."""
    drawn, mixture = game.sample(2500).numpy(), MIXTURES[samples.name]
    if mixture.centres is None:
        real = points(samples.name, 2500, 0.0, settings.seed + 1)
        return {
            "from_samples_to_data": mean_nearest_distance(drawn, real),
            "from_data_to_samples": mean_nearest_distance(real, drawn),
        }
    found = mode_coverage(drawn, mixture.centres, deviation(samples.name, settings))
    return {"modes": found.modes, "good": found.good, "reverse_kl": found.reverse_kl}


def options() -> training.Options:
    p = training.parser("modes", __doc__, epochs=1, batch_size=128, data=list(MIXTURES))
    p.set_defaults(steps=3000, sample_every=150)
    add_dynamics(p)
    return p


def add_dynamics(p: training.Options) -> None:
    p.add_argument(
        "--loss", choices=losses.LOSSES, default="nonsaturating", metavar="NAME", help=", ".join(losses.LOSSES)
    )
    p.add_argument("--penalty", choices=penalties.PENALTIES, metavar="NAME", help=", ".join(penalties.PENALTIES))
    p.add_argument("--penalty-weight", type=float, default=1.0, help="times the penalty (default: 1)")
    p.add_argument("--unroll", type=int, default=0, metavar="K", help="steps of D that G looks ahead (default: 0)")
    p.add_argument("--pack", type=positive, default=1, metavar="M", help="points that D sees at once (default: 1)")
    p.add_argument("--consensus", type=float, default=0.0, metavar="G", help="weight of consensus (default: 0)")
    p.add_argument("--instance-noise", type=float, default=0.0, metavar="STD", help="on what D sees (default: 0)")
    p.add_argument("--std", type=float, help="the modes' deviation (default: 0.05)")
    p.add_argument("--z-dim", type=positive, default=16, help="numbers of noise (default: 16)")
    p.add_argument("--g-std", type=float, default=0.02, help="of G's first weights; 0: Glorot's (default: 0.02)")
    p.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate for G (default: 0.001)")
    p.add_argument("--d-lr", type=float, default=5e-4, help="and for D (default: 0.0005)")
    p.idle_without("--penalty", lambda o: o.penalty, "--penalty-weight")
    p.idle("--std", lambda o: "is for ring and grid" if o.data == "swiss_roll" else "")


def main(arguments: list[str] | None = None) -> int:
    return training.main(build, options(), load=load, picture=picture, measure=measure, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
