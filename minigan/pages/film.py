"""A game in the plane, frame by frame: what the critic says everywhere, where samples are and are pushed."""

from typing import NamedTuple

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..gan import ScoreGame
from ..gan.jacobian import eigenvalues
from ..grad import grad
from ..metrics import mode_coverage
from ..recording import no_grad
from ..tensor import Tensor, tensor

SIDE = 44  # points along each side of the square on which the critic is asked
SAMPLES = 240  # of the same noise in every frame, so that each can be followed
COUNTED = 1000  # samples of which it is said how many are at a mode
KEPT = 120  # eigenvalues of a frame, the largest, of each conjugate pair one


class Scene(NamedTuple):
    """What the game learns, and where the picture ends: the square [-reach, reach]^2."""

    real: np.ndarray  # (N, 2)
    reach: float
    centres: np.ndarray | None = None  # of the modes, if it has some
    std: float = 0.0  # theirs


class Frame(NamedTuple):
    """The game at one step."""

    step: int
    surface: np.ndarray  # (SIDE, SIDE) in [-1, 1], rows from the top: 1 where the critic is sure of "real"
    samples: np.ndarray  # (SAMPLES, 2)
    pushes: np.ndarray  # (SAMPLES, 2): minus the slope of the generator's loss at each, times their number
    eigenvalues: np.ndarray  # (KEPT,) complex or fewer, the largest first, none below the real axis
    modes: int | None  # that samples reach
    good: float | None  # share of samples within three deviations of a mode


class Film(NamedTuple):
    """A game from its first step to its last."""

    title: str
    about: str
    frames: list[Frame]
    losses: dict[str, np.ndarray]  # d_loss and g_loss of every step, (steps,)
    parameters: int


def frame(game: ScoreGame, scene: Scene) -> Frame:
    """The game as it stands. ShapeError if its critic does not score points of the plane one by one."""
    check(game)
    z = game.latent(SAMPLES, game.stream("samples"))
    with no_grad():
        fake = game.generator(z)
    modes = good = None
    if scene.centres is not None:
        found = mode_coverage(game.sample(COUNTED).numpy(), scene.centres, scene.std)
        modes, good = found.modes, found.good
    values = eigenvalues(game, tensor(scene.real[:SAMPLES].astype(np.float32)))
    upper = values[values.imag >= 0][:KEPT]
    return Frame(game.rounds, surface(game, scene), fake.numpy(), pushes(game, fake, scene), upper, modes, good)


def check(game: ScoreGame) -> None:
    """ShapeError unless samples are points of the plane that the critic sees one at a time."""
    if game.sight.pack > 1 or game.labelled:
        told = "with labels" if game.labelled else f"in packs of {game.sight.pack}"
        raise ShapeError(f"a film is of a critic that scores points one by one, without labels; this one does {told}")
    if (shape := game.sample(1).shape) != (1, 2):
        raise ShapeError(f"a film is of points in the plane, and samples of this game are {shape[1:]}")


def surface(game: ScoreGame, scene: Scene) -> np.ndarray:
    """What the critic says of the points of a grid, (SIDE, SIDE) in [-1, 1], rows from the top.

    2 p - 1 where scores are logits of "real" with probability p; else scores from the lowest to the highest of the
    grid.
    """
    line = np.linspace(-scene.reach, scene.reach, SIDE, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line[::-1]), -1).reshape(-1, 2)
    with no_grad():
        scores = game.discriminator(tensor(grid))
        told = (ops.sigmoid(scores) if game.loss.logistic else scores).numpy().reshape(SIDE, SIDE)
    if game.loss.logistic:
        return 2 * told - 1
    told = -told if game.loss.lower else told
    low, high = float(told.min()), float(told.max())
    return 2 * (told - low) / max(high - low, 1e-12) - 1


def pushes(game: ScoreGame, fake: Tensor, scene: Scene) -> np.ndarray:
    """Where the generator's loss falls fastest from each fake (n, 2): minus its slope there, times n."""
    leaf = tensor(fake.numpy())
    real = game.discriminator(tensor(scene.real[: len(fake)].astype(np.float32)))
    loss = game.loss.generator(game.discriminator(leaf), real)
    return -len(fake) * grad(loss, leaf).numpy()
