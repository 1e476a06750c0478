"""InfoGAN's networks for images of 28x28 pixels, as the authors' code has them (Chen et al. 2016)."""

from functools import partial

from .. import nn
from ..random import Stream
from .labels import TwoHeads
from .players import Players, initialise


def infogan28(z_dim: int = 74, read: int = 12, *, width: int = 64, rng: Stream | None = None) -> Players:
    """InfoGAN's players for MNIST: G(z), and D(x) that gives scores (N, 1) and a reading of the code (N, read).

    G: dense 16 width, dense 7x7x2 width, transposed convolutions 4x4 to width and 1 maps, batch norm and ReLU between,
    tanh. D: convolutions 4x4 of stride 2 to width and 2 width maps, dense 16 width, leaky ReLU 0.1, batch norm from the
    second layer on; Q: dense 2 width, batch norm, leaky ReLU, dense `read`. N(0, 0.02^2) weights, zero biases. At
    the defaults G has 6 652 481 parameters and D, with Q, 6 692 173; both shrink with the square of `width`.
    """
    wide, maps = 16 * width, 2 * width
    generator = nn.Sequential(
        nn.Linear(z_dim, wide, rng=rng),
        nn.BatchNorm1d(wide),
        nn.ReLU(),
        nn.Linear(wide, 7 * 7 * maps, rng=rng),
        nn.BatchNorm1d(7 * 7 * maps),
        nn.ReLU(),
        nn.Unflatten(1, (maps, 7, 7)),
        nn.ConvTranspose2d(maps, width, 4, 2, 1, rng=rng),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )
    trunk = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, maps, 4, 2, 1, rng=rng),
        nn.BatchNorm2d(maps),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(7 * 7 * maps, wide, rng=rng),
        nn.BatchNorm1d(wide),
        nn.LeakyReLU(0.1),
    )
    reader = nn.Sequential(
        nn.Linear(wide, 2 * width, rng=rng),
        nn.BatchNorm1d(2 * width),
        nn.LeakyReLU(0.1),
        nn.Linear(2 * width, read, rng=rng),
    )
    players = Players(generator, TwoHeads(trunk, nn.Linear(wide, 1, rng=rng), reader))
    initialise(*players, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    return players
