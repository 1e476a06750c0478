"""Networks for points in the plane."""

from ..nn import LeakyReLU, Linear, Sequential
from ..random import Stream
from .players import Players, glorot


def quadratic(*, rng: Stream | None = None) -> Players:
    """The GAN in the plane of a tutorial on the curve y = 10 + x^2: noise U(-1, 1)^2, leaky ReLU 0.2.

    G: 2-16-16-2 (354 parameters); D: 2-16-16-2-1 (357), whose third layer is linear and has two units, so that what it
    makes of a point can be drawn: D[:5] is that map. Glorot-uniform weights, zero biases.
    """
    generator = Sequential(
        Linear(2, 16, rng=rng), LeakyReLU(0.2), Linear(16, 16, rng=rng), LeakyReLU(0.2), Linear(16, 2, rng=rng)
    )
    discriminator = Sequential(
        Linear(2, 16, rng=rng),
        LeakyReLU(0.2),
        Linear(16, 16, rng=rng),
        LeakyReLU(0.2),
        Linear(16, 2, rng=rng),
        Linear(2, 1, rng=rng),
    )
    return glorot(generator, discriminator, rng)
