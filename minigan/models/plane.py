"""Networks for points in the plane."""

import itertools
from collections.abc import Callable
from functools import partial

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .players import Players, glorot, initialise

Activation = Callable[[], nn.Module]
LEAKY: Activation = partial(nn.LeakyReLU, 0.2)


def quadratic(*, activation: Activation = LEAKY, rng: Stream | None = None) -> Players:
    """The GAN in the plane of a tutorial on the curve y = 10 + x^2: noise U(-1, 1)^2, leaky ReLU 0.2.

    G: 2-16-16-2 (354 parameters); D: 2-16-16-2-1 (357), whose third layer is linear and has two units, so that what it
    makes of a point can be drawn: D[:5] is that map. Glorot-uniform weights, zero biases. The tutorial tries other
    activations too: `activation=mg.nn.ReLU`, `mg.nn.Sigmoid`.
    """
    generator = nn.Sequential(
        nn.Linear(2, 16, rng=rng), activation(), nn.Linear(16, 16, rng=rng), activation(), nn.Linear(16, 2, rng=rng)
    )
    discriminator = nn.Sequential(
        nn.Linear(2, 16, rng=rng),
        activation(),
        nn.Linear(16, 16, rng=rng),
        activation(),
        nn.Linear(16, 2, rng=rng),
        nn.Linear(2, 1, rng=rng),
    )
    return glorot(generator, discriminator, rng)


def mlp2d(
    z_dim: int = 256,
    *,
    width: int = 128,
    depth: int = 2,
    activation: Activation = nn.Tanh,
    pack: int = 1,
    generator_std: float | None = None,
    rng: Stream | None = None,
) -> Players:
    """The players of mixtures in the plane: `depth` hidden layers of `width` units each, N(0, 1) noise.

    G: z_dim to 2; D: 2 pack to 1, for it sees `pack` points at once. Glorot-uniform weights, zero biases. The defaults
    are those of Metz et al. 2017 (unrolled GANs) on a ring of Gaussians. With `generator_std` G's weights are drawn
    from N(0, generator_std): 0.02 (Lin et al. 2018) makes its samples one point, which has to spread to reach every
    mode; Glorot's weights spread them from the start. ShapeError if a size is below 1.
    """
    if min(z_dim, width, depth, pack) < 1:
        raise ShapeError(f"mlp2d: expected sizes >= 1, got z_dim {z_dim}, width {width}, depth {depth}, pack {pack}")

    def network(inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs, *[width] * depth]
        hidden = [m for i, o in itertools.pairwise(sizes) for m in (nn.Linear(i, o, rng=rng), activation())]
        return nn.Sequential(*hidden, nn.Linear(width, outputs, rng=rng))

    players = glorot(network(z_dim, 2), network(2 * pack, 1), rng)
    if generator_std is not None:
        initialise(players.generator, weights=partial(nn.init.normal_, std=generator_std, rng=rng))
    return players
