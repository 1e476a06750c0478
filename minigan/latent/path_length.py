"""Perceptual path length: how much images change for each step through a generator's space."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..nn.checks import number
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from .space import CHUNK, Space

CUT = 0.01  # of the distances, at either end, that the mean leaves out
WAYS = ("full", "end")  # where on a way a step is taken


class PathLength(NamedTuple):
    """The mean of what was measured, its standard error, and each distance (n,), in units of the step squared."""

    mean: float
    error: float
    distances: np.ndarray


def path_length(
    space: Space,
    features: Callable[[Tensor], Tensor],
    n: int = 10_000,
    *,
    epsilon: float = 1e-4,
    way: str = "full",
    labels: np.ndarray | None = None,
    seed: int = 0,
    told: Callable[[int], None] = lambda done: None,
) -> PathLength:
    """E |f(G(p(t))) - f(G(p(t + epsilon)))|^2 / epsilon^2 over n ways p between two points of the space.

    Karras et al. 2019 (StyleGAN, section 4.1): the smaller, the more evenly images change. A way is a great circle
    between N(0, 1) noise and a line between all else; t is uniform in [0, 1] ("full"), or 0 ("end", as Karras et al.
    2020 take it in w). The mean leaves out the least and the largest hundredth, as the authors' code does. The paper's
    f is VGG's; with `judge.perceptual` of a judge numbers compare only with those of the same judge, space, way and
    epsilon. Both ends of a way have one class, of `labels` (n,) or in the data's proportion. `told` is called with how
    many are done. ShapeError for a way that is none, or no ways.
    """
    if way not in WAYS or n < 1:
        raise ShapeError(f"path_length: expected one of {', '.join(WAYS)} and a number of ways, got {way!r} and {n}")
    epsilon = number("path_length: epsilon", epsilon, above=0)
    classes = space.labels(n, seed) if labels is None else labels
    ends = [space.draw(n, 2 * seed + k, classes).values.astype(np.float64) for k in (0, 1)]
    t = Stream(seed, "path length").uniform(n, dtype="float64") if way == "full" else np.zeros(n)
    places = np.concatenate(  # (2, n, ...): both ends of each step
        [space.between(a[None], b[None], np.array([s, s + epsilon])) for a, b, s in zip(*ends, t, strict=True)], 1
    ).astype(np.float32)
    found = []
    for k in range(0, n, CHUNK // 2):
        some = places[:, k : k + CHUNK // 2]
        of_some = None if classes is None else space.on_device(np.tile(classes[k : k + CHUNK // 2], 2))
        with no_grad():
            seen = features(space.images(space.on_device(some.reshape(-1, *some.shape[2:])), of_some)).numpy()
        seen = seen.astype(np.float64).reshape(2, some.shape[1], -1)
        found.append(np.square(seen[0] - seen[1]).sum(1) / epsilon**2)
        told(k + some.shape[1])
    distances = np.concatenate(found)
    kept = trimmed(distances)
    return PathLength(float(kept.mean()), float(kept.std() / np.sqrt(len(kept))), distances)


def trimmed(distances: np.ndarray, share: float = CUT) -> np.ndarray:
    """The distances without that share of the least and of the largest, those at either limit kept."""
    low, high = np.quantile(distances, share, method="lower"), np.quantile(distances, 1 - share, method="higher")
    return distances[(distances >= low) & (distances <= high)]
