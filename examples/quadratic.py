"""Train a GAN on a curve in the plane: the tutorial on y = 10 + x^2 with 354 and 357 weights.

Ten steps of the discriminator, then ten of the generator, on the same points and the same noise, 10 001 times, each
time on new points; RMSProp as TensorFlow 1 had it. Besides a run's usual files there are loss_logs.csv as the tutorial
writes it, a scatter plot each 1 000 iterations in OUT/samples, and OUT/features.png: what the discriminator's layer of
two units makes of real and generated points, with their centroids.

The tutorial feeds the points as they are, x up to 50 and y up to 2 510; --as-printed does so too. The default gives
both coordinates mean 0 and deviation 1 and draws them in their old units. With seed 0 both end on the parabola: the
mean distance in y is 1.9% of y's deviation by default, after 200 iterations 4%; it is 13% with --as-printed, whose
first 1 000 iterations are a tumult. 10 001 iterations take some five minutes.
"""

import sys
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import data, training, viz
from minigan.data.points import REACH
from minigan.gan import ScoreGame, Turn, losses, uniform_latent
from minigan.metrics import on_curve
from minigan.training import RunFolder

ITERATIONS = 10_001
SCHEDULE = [
    Turn("discriminator_turn"),
    *[Turn("discriminator_turn", fresh_batch=False, fresh_noise=False)] * 9,
    *[Turn("generator_turn", fresh_batch=False, fresh_noise=False)] * 10,
]
ACTIVATIONS = {
    "leaky_relu": lambda: mg.nn.LeakyReLU(0.2),
    "relu": mg.nn.ReLU,
    "sigmoid": mg.nn.Sigmoid,
}


def build(settings: training.Settings) -> ScoreGame:
    activation = ACTIVATIONS[settings.extra["activation"]]
    G, D = mg.models.quadratic(activation=activation, rng=mg.random.Stream(settings.seed))
    G.to(settings.device)
    D.to(settings.device)
    game = ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(2),
        generator_optimizer=rmsprop(G.parameters()),
        discriminator_optimizer=rmsprop(D.parameters()),
        schedule=SCHEDULE,
        seed=settings.seed,
    )
    game.frame = frame(settings)
    return game


def rmsprop(params: list) -> mg.optim.RMSProp:
    """tf.train.RMSPropOptimizer(0.001): decay 0.9, averages from 1 on, 1e-10 below the root (its root outside)."""
    optimizer = mg.optim.RMSProp(params, lr=1e-3, alpha=0.9, eps=1e-5)
    state = optimizer.state_dict()
    optimizer.load_state_dict({k: mg.ones_like(v) if k.startswith("square_avg") else v for k, v in state.items()})
    return optimizer


def name_of(settings: training.Settings) -> str:
    return "quadratic" if settings.data == "auto" else settings.data


def frame(settings: training.Settings) -> tuple[np.ndarray, np.ndarray]:
    """(origin, unit) of the coordinates that the networks see."""
    if settings.extra["as_printed"]:
        return np.zeros(2, "float32"), np.ones(2, "float32")
    x = np.linspace(-REACH, REACH, 10_001)
    on_it = np.stack([x, data.CURVES[name_of(settings)](x)], 1)
    return on_it.mean(0).astype("float32"), on_it.std(0).astype("float32")


def load(settings: training.Settings, limit: int | None) -> data.Samples:
    """New points for each iteration, so that one epoch is the tutorial's whole training."""
    name, (origin, unit) = name_of(settings), frame(settings)
    points = data.curve(name, limit or ITERATIONS * settings.batch_size, settings.seed)
    return data.Samples((points - origin) / unit, None, name)


def generated(game: ScoreGame, n: int) -> np.ndarray:
    """n samples in the curve's own units."""
    origin, unit = game.frame
    return game.sample(n).numpy() * unit + origin


def panel(game: ScoreGame, samples: data.Samples, title: str, note: str = "") -> viz.Panel:
    """256 real and 256 generated points."""
    real = samples.values[:256] * game.frame[1] + game.frame[0]
    low, high = real.min(0), real.max(0)
    (left, bottom), (right, top) = low - 0.15 * (high - low), high + 0.15 * (high - low)
    clouds = {"Real Data": real, "Generated Data": generated(game, 256)}
    return viz.Panel(title, clouds, limits=(left, right, bottom, top), note=note)


def picture(game: ScoreGame, samples: data.Samples, path: Path) -> None:
    viz.panels([panel(game, samples, f"Samples at Iteration {game.rounds}")], path, size=4.6)


def measure(game: ScoreGame, samples: data.Samples, settings: training.Settings) -> dict[str, float]:
    """How the points lie on the curve; and the tutorial's own files."""
    folder = RunFolder(Path(settings.out))
    write_loss_logs(folder)
    draw_features(game, settings, folder.path / "features.png")
    return distance(game, settings)


def distance(game: ScoreGame, settings: training.Settings) -> dict[str, float]:
    """How 10 000 generated points lie on the curve, and how much of it they reach."""
    return on_curve(generated(game, 10_000), data.CURVES[name_of(settings)], -REACH, REACH)._asdict()


def write_loss_logs(folder: RunFolder) -> None:
    """loss_logs.csv: the last losses of each tenth iteration, counted from 0."""
    log = folder.read_log()
    rows = [
        f"{int(step) - 1:d},{d:f},{g:f}\n"
        for step, d, g in zip(log["step"], log["d_loss"], log["g_loss"], strict=True)
        if (step - 1) % 10 == 0
    ]
    text = "Iteration,Discriminator Loss,Generator Loss\n" + "".join(rows)
    (folder.path / "loss_logs.csv").write_text(text, encoding="utf-8")


def draw_features(game: ScoreGame, settings: training.Settings, path: Path) -> None:
    """What D[:5] makes of 500 real and 500 generated points, and the line on which the discriminator cannot tell."""
    origin, unit = game.frame
    real = mg.tensor((data.curve(name_of(settings), 500, settings.seed + 1) - origin) / unit)
    D = game.discriminator
    with mg.no_grad():
        features = {
            "Real Data": D[:5](real.to(settings.device)).numpy(),
            "Generated Data": D[:5](game.sample(500)).numpy(),
        }
    weight, bias = D[5].weight.numpy()[0], D[5].bias.numpy()
    title = f"Features after iteration {game.rounds}; on the grey line D = 1/2"
    undecided = lambda points: points @ weight + bias
    viz.panels([viz.Panel(title, features, height=undecided, levels=[0.0], centroids=True)], path, size=4.6)


def options():
    p = training.parser("quadratic", __doc__, epochs=1, batch_size=256, data=list(data.CURVES))
    p.set_defaults(sample_every=1000, checkpoint_every=1000)
    p.add_argument("--curve", dest="data", choices=data.CURVES, help="the same as --data")
    p.add_argument("--activation", choices=ACTIVATIONS, default="leaky_relu", help="of both (default: leaky_relu)")
    p.add_argument("--as-printed", action="store_true", help="coordinates as they are, as the tutorial has them")
    return p


def main(arguments: list[str] | None = None) -> int:
    return training.main(build, options(), load=load, picture=picture, measure=measure, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
