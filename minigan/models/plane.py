"""Networks for points in the plane."""

import itertools
from collections.abc import Callable
from functools import partial

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .maxout import Maxout
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
    orthogonal: float | None = None,
    rng: Stream | None = None,
) -> Players:
    """The players of mixtures in the plane: `depth` hidden layers of `width` units each, N(0, 1) noise.

    G: z_dim to 2; D: 2 pack to 1, for it sees `pack` points at once. Glorot-uniform weights, zero biases. The defaults
    are those of Metz et al. 2017 (unrolled GANs) on a ring of Gaussians. With `generator_std` G's weights are drawn
    from N(0, generator_std): 0.02 (Lin et al. 2018) makes its samples one point, which has to spread to reach every
    mode; Glorot's weights spread them from the start. With `orthogonal` both players' weights are orthogonal of that
    gain instead (1.4 in the demonstration of unrolled GANs). ShapeError if a size is below 1.
    """
    if min(z_dim, width, depth, pack) < 1:
        raise ShapeError(f"mlp2d: expected sizes >= 1, got z_dim {z_dim}, width {width}, depth {depth}, pack {pack}")

    def network(inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs, *[width] * depth]
        hidden = [m for i, o in itertools.pairwise(sizes) for m in (nn.Linear(i, o, rng=rng), activation())]
        return nn.Sequential(*hidden, nn.Linear(width, outputs, rng=rng))

    players = glorot(network(z_dim, 2), network(2 * pack, 1), rng)
    if orthogonal is not None:
        initialise(*players, weights=partial(nn.init.orthogonal_, gain=orthogonal, rng=rng))
    if generator_std is not None:
        initialise(players.generator, weights=partial(nn.init.normal_, std=generator_std, rng=rng))
    return players


def maxout2d(
    z_dim: int = 2, *, width: int = 400, d_width: int = 200, pieces: int = 5, pack: int = 1, rng: Stream | None = None
) -> Players:
    """The players of Lin et al. 2018 (PacGAN) for mixtures in the plane, as in their code; N(0, 1) noise.

    G: z_dim through four layers of `width` units without biases, batch norm (which keeps 0.95 of its averages at each
    step) and ReLU, to 2. D: 2 pack, for it sees `pack` points at once, through three layers of `d_width` maxout units
    of so many pieces, to 1. N(0, 0.02^2) weights, zero biases. G has 484 802 parameters, D 405 201 without packing.
    ShapeError if a size is below 1.
    """
    if min(z_dim, width, d_width, pieces, pack) < 1:
        raise ShapeError(
            f"maxout2d: expected sizes >= 1, got z_dim {z_dim}, width {width}, d_width {d_width}, pieces {pieces}, "
            f"pack {pack}"
        )
    up: list[nn.Module] = []
    for inputs in (z_dim, width, width, width):
        up += [nn.Linear(inputs, width, bias=False, rng=rng), nn.BatchNorm1d(width, momentum=0.05), nn.ReLU()]
    down = [Maxout(inputs, d_width, pieces, rng=rng) for inputs in (2 * pack, d_width, d_width)]
    players = Players(
        nn.Sequential(*up, nn.Linear(width, 2, rng=rng)), nn.Sequential(*down, nn.Linear(d_width, 1, rng=rng))
    )
    initialise(*players, weights=partial(nn.init.normal_, std=0.02, rng=rng))
    return players
