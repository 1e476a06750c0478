"""InfoGAN's networks for images of 28x28 pixels, as the authors' code has them (Chen et al. 2016)."""

from ..nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    LeakyReLU,
    Linear,
    ReLU,
    Sequential,
    Tanh,
    Unflatten,
    init,
)
from ..random import Stream
from .labels import TwoHeads
from .players import Players


def infogan28(z_dim: int = 74, read: int = 12, *, width: int = 64, rng: Stream | None = None) -> Players:
    """InfoGAN's players for MNIST: G(z), and D(x) that gives scores (N, 1) and a reading of the code (N, read).

    G: dense 16 width, dense 7x7x2 width, transposed convolutions 4x4 to width and 1 maps, batch norm and ReLU between,
    tanh. D: convolutions 4x4 of stride 2 to width and 2 width maps, dense 16 width, leaky ReLU 0.1, batch norm from the
    second layer on; Q: dense 2 width, batch norm, leaky ReLU, dense `read`. N(0, 0.02^2) weights, zero biases. At
    the defaults G has 6 652 481 parameters and D, with Q, 6 692 173; both shrink with the square of `width`.
    """
    wide, maps = 16 * width, 2 * width
    generator = Sequential(
        Linear(z_dim, wide, rng=rng),
        BatchNorm1d(wide),
        ReLU(),
        Linear(wide, 7 * 7 * maps, rng=rng),
        BatchNorm1d(7 * 7 * maps),
        ReLU(),
        Unflatten(1, (maps, 7, 7)),
        ConvTranspose2d(maps, width, 4, 2, 1, rng=rng),
        BatchNorm2d(width),
        ReLU(),
        ConvTranspose2d(width, 1, 4, 2, 1, rng=rng),
        Tanh(),
    )
    trunk = Sequential(
        Conv2d(1, width, 4, 2, 1, rng=rng),
        LeakyReLU(0.1),
        Conv2d(width, maps, 4, 2, 1, rng=rng),
        BatchNorm2d(maps),
        LeakyReLU(0.1),
        Flatten(),
        Linear(7 * 7 * maps, wide, rng=rng),
        BatchNorm1d(wide),
        LeakyReLU(0.1),
    )
    reader = Sequential(
        Linear(wide, 2 * width, rng=rng), BatchNorm1d(2 * width), LeakyReLU(0.1), Linear(2 * width, read, rng=rng)
    )
    players = Players(generator, TwoHeads(trunk, Linear(wide, 1, rng=rng), reader))
    for layer in [module for player in players for module in player.modules()]:
        if isinstance(layer, Linear | Conv2d | ConvTranspose2d):
            init.normal_(layer.weight, 0.0, 0.02, rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
    return players
