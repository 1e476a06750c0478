"""How a game moves near where it stands: the Jacobian of both players' gradients, and its eigenvalues.

If both players follow their gradients at once, all parameters x move as dx/dt = v(x), v minus the joint gradient. Near
a point x0 that is dx/dt = v(x0) + J (x - x0), and the eigenvalues of J say whether the game is drawn in (negative real
parts), driven away (positive ones), or turns (imaginary parts): Mescheder et al. 2017, 2018.
"""

import numpy as np

from ..errors import ShapeError
from ..grad import grad
from ..random import using
from ..tensor import Tensor, tensor
from .game import Batch
from .score import ScoreGame

MOST = 3000  # parameters of both players: the Jacobian has the square of it


def jacobian(game: ScoreGame, real: Tensor, *, at: int = 0) -> np.ndarray:
    """The Jacobian (P, P) of v with respect to the P parameters of both players, the discriminator's first.

    v is minus the gradient of each player's own loss, penalties included, for these real samples and as many fakes, of
    the noise that the game draws in turn `at`. Optimizers do not count: it is the game of plain gradient descent, both
    players at once. It takes P backward passes. ShapeError for more than 3000 parameters.
    """
    params = [p for name in ("discriminator", "generator") for p in game.optimizers[name].params]
    if (size := sum(p.size for p in params)) > MOST:
        raise ShapeError(f"jacobian: {size} parameters, of which there may be {MOST}")
    rng = game.stream("jacobian").at(at)
    with using(rng):
        field, _ = game.joint_gradient(Batch(real, at, at, rng), create_graph=True)
    rows = [row for v in field for row in _rows(v, params)]
    return -np.stack(rows)


def eigenvalues(game: ScoreGame, real: Tensor, *, at: int = 0) -> np.ndarray:
    """The eigenvalues (P,) of `jacobian`, complex, the largest first."""
    found = np.linalg.eigvals(jacobian(game, real, at=at).astype(np.float64))
    return found[np.argsort(-np.abs(found), kind="stable")]


def _rows(v: Tensor, params: list[Tensor]) -> list[np.ndarray]:
    """The gradient of each number of v with respect to all parameters in one row."""
    found = []
    for one in np.eye(v.size, dtype=v.dtype):
        slopes = grad(v, params, tensor(one.reshape(v.shape)).to(v.device))
        found.append(np.concatenate([slope.numpy().ravel() for slope in slopes]))
    return found
