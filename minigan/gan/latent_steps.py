"""Noise that is moved before it is used, so that the critic scores what is made of it higher (LOGAN: Wu et al. 2019).

z' = z + a g / (b + |g|^2), g = d D(G(z)) / dz: a step of natural gradient, with g g^T for Fisher's matrix and b for its
damping. Both players then play with G(z'). The step depends on the weights of both, and their gradients run through it.

What G draws itself, noise or dropout, is part of the sample that is moved: it is the same for z and z'. How D sees
samples, changed at random say, is drawn anew: were it the same, z' would be fitted to that change, and G could take it
back, where a change must not depend on the sample if it is not to be learnt as a part of it (Karras et al. 2020).
"""

from collections.abc import Callable

from .. import ops
from ..grad import grad
from ..tensor import Tensor, ones_like
from .latents import Latent, UniformLatent


def moved(
    z: Tensor, score: Callable[[Tensor], Tensor], latent: Latent, length: float, damping: float
) -> tuple[Tensor, Tensor]:
    """(z', E |z' - z|^2 before z' is limited) of noise z (N, ...) and the scores of what is made of it: recorded.

    Uniform noise stays in its range, as the paper has it.
    """
    z = z.detach()
    scores = score(z)
    slope = grad(scores, z, ones_like(scores), create_graph=True)
    axes = tuple(range(1, z.ndim))
    step = slope * (length / (damping + ops.sum(ops.square(slope), axes, keepdims=True)))
    nearer = z + step
    if isinstance(latent, UniformLatent):
        nearer = ops.clip(nearer, latent.low, latent.high)
    return nearer, ops.mean(ops.sum(ops.square(step), axes))
